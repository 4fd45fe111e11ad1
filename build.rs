//! Links the unwinder into the program instead of loading it at every start.
//!
//! `libgcc_s.so` is loaded, relocated and asked for the processor's features (which a virtual
//! machine has to trap) each time a client runs, for functions that only a panic needs. GCC comes
//! with the same code as an archive; where there is none the shared library serves as before.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if !gnu || env::var("TARGET") != env::var("HOST") {
        return;
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
