//! Reverse lookups of addresses, and the names of this machine, by the C library's resolver calls.
//!
//! The standard library resolves names to addresses only; the reverse, with all aliases, is
//! `gethostbyaddr_r`, which also reads `/etc/hosts`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::net::{IpAddr, ToSocketAddrs};
use std::ptr;

#[repr(C)]
struct HostEntry {
    name: *const libc::c_char,
    aliases: *const *const libc::c_char,
    family: libc::c_int,
    length: libc::c_int,
    addresses: *const *const libc::c_char,
}

// SAFETY: as the C libraries of Linux declare it (gethostbyaddr_r(3)).
unsafe extern "C" {
    fn gethostbyaddr_r(
        address: *const libc::c_void,
        length: libc::socklen_t,
        family: libc::c_int,
        entry: *mut HostEntry,
        buffer: *mut libc::c_char,
        size: libc::size_t,
        result: *mut *mut HostEntry,
        error: *mut libc::c_int,
    ) -> libc::c_int;
}

/// The names of this machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostNames {
    /// With domain, where one is known.
    pub full: String,
    /// As the kernel knows it.
    pub short: String,
}

impl HostNames {
    /// Asks the resolver, and so may block for a while.
    pub fn of_this_machine() -> HostNames {
        HostNames {
            full: full_name(),
            short: short_name(),
        }
    }
}

/// Room for a name and its aliases; answers beyond it count as none.
const BUFFER: usize = 16 * 1024;

/// The name of an address followed by its aliases; `None` when there is none. Blocks.
pub fn names_of(address: IpAddr) -> Option<Vec<String>> {
    let (bytes, family) = match address {
        IpAddr::V4(ip) => (ip.octets().to_vec(), libc::AF_INET),
        IpAddr::V6(ip) => (ip.octets().to_vec(), libc::AF_INET6),
    };
    let mut entry = MaybeUninit::<HostEntry>::uninit();
    let mut buffer = vec![0 as libc::c_char; BUFFER];
    let mut result: *mut HostEntry = ptr::null_mut();
    let mut error = 0;
    // SAFETY: all pointers are to live memory of the stated sizes. On success `result` points to
    // `entry`, filled with pointers into `buffer`: a NUL-terminated name and a list of such that ends
    // in a null pointer; both still live.
    unsafe {
        let code = gethostbyaddr_r(
            bytes.as_ptr().cast(),
            bytes.len() as libc::socklen_t,
            family,
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &mut result,
            &mut error,
        );
        if code != 0 || result.is_null() {
            return None;
        }
        let entry = &*result;
        let mut names = vec![CStr::from_ptr(entry.name).to_string_lossy().into_owned()];
        let mut alias = entry.aliases;
        while !alias.is_null() && !(*alias).is_null() {
            names.push(CStr::from_ptr(*alias).to_string_lossy().into_owned());
            alias = alias.add(1);
        }
        Some(names)
    }
}

/// The name of this machine as the kernel knows it; empty when it has none.
pub fn short_name() -> String {
    nix::unistd::gethostname()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The name that the resolver holds for the proper one of this machine, which has the domain where
/// one is known; without an answer the first of the names of its address that has a dot, else
/// [`short_name`]. Blocks.
pub fn full_name() -> String {
    let short = short_name();
    canonical_name(&short).unwrap_or_else(|| {
        let names = (short.as_str(), 0)
            .to_socket_addrs()
            .ok()
            .and_then(|mut addresses| addresses.next())
            .and_then(|address| names_of(address.ip()))
            .unwrap_or_default();
        let dotted = names.iter().find(|name| name.contains('.'));
        dotted.or(names.first()).cloned().unwrap_or(short)
    })
}

/// What `getaddrinfo` calls the canonical name of a host.
fn canonical_name(host: &str) -> Option<String> {
    let host = CString::new(host).ok()?;
    let hints = libc::addrinfo {
        ai_flags: libc::AI_CANONNAME,
        ai_family: libc::AF_UNSPEC,
        ai_socktype: libc::SOCK_DGRAM,
        ai_protocol: 0,
        ai_addrlen: 0,
        ai_addr: ptr::null_mut(),
        ai_canonname: ptr::null_mut(),
        ai_next: ptr::null_mut(),
    };
    let mut answers: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: the host is NUL-terminated, the hints are complete, `answers` takes the result. On
    // success that is a list whose first entry holds the canonical name, NUL-terminated, or null; the
    // list is released once, after the name was copied.
    unsafe {
        let code = libc::getaddrinfo(host.as_ptr(), ptr::null(), &hints, &mut answers);
        if code != 0 || answers.is_null() {
            return None;
        }
        let name = (*answers).ai_canonname;
        let name = (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned());
        libc::freeaddrinfo(answers);
        name.filter(|name| !name.is_empty())
    }
}
