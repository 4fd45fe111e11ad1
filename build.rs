//! Makes the program cheap to start, since a client is started for each question.
//!
//! The unwinder is linked in: `libgcc_s.so` would be loaded, relocated and asked for the processor's
//! features (which a virtual machine has to trap) each time, for functions that only a panic needs.
//! GCC comes with the same code as an archive; where there is none the shared library serves.
//!
//! And the list of addresses that the loader has to adjust is written in the short form that the C
//! library of this machine may know.

use std::env;
use std::path::Path;
use std::process::Command;

/// The first version of glibc that reads relative relocations in the short form.
const SHORT_RELOCATIONS: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if !gnu || env::var("TARGET") != env::var("HOST") {
        return;
    }
    if libc_version().is_some_and(|version| version >= SHORT_RELOCATIONS) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    let found = Command::new("cc")
        .arg("-print-file-name=libgcc_eh.a")
        .output();
    let Ok(found) = found else { return };
    let archive = String::from_utf8_lossy(&found.stdout);
    // a bare name comes back when it knows of none
    if let Some(directory) = Path::new(archive.trim()).parent()
        && directory.is_absolute()
    {
        println!("cargo::rustc-link-search=native={}", directory.display());
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// `glibc 2.36`
fn libc_version() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let said = String::from_utf8(said.ok()?.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
