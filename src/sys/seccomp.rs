//! Restricts the system calls of a thread and of its children.
//!
//! `seccompiler` only builds the filter: if it also installed it, no program could gain rights by its set-id
//! bits any more.
#![allow(unsafe_code)]

use std::io;

use nix::errno::Errno;
use seccompiler::sock_filter;

/// Installs a filter for the calling thread, for good.
///
/// # Errors
/// `EACCES` without `CAP_SYS_ADMIN` and without `no_new_privs`; a kernel without such filters.
pub fn install(filter: &[sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `program` is as long as it says, and both structures are laid out as C has them; the
    // kernel copies and checks them before it returns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            // without it older kernels slow the whole process down
            libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            &raw const program,
        )
    };
    Errno::result(done)?;
    Ok(())
}
