//! The multi-call binary: everything it can do is in the library.
// elsewhere the standard library alone knows the arguments
#![cfg_attr(all(target_os = "linux", target_env = "gnu"), no_main)]

#[cfg(all(target_os = "linux", target_env = "gnu"))]
ferroban::entry_point!(ferroban::cli::main);

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() -> std::process::ExitCode {
    ferroban::cli::main()
}
