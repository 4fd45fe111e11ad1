//! The multi-call binary: everything it can do is in the library.
// elsewhere the standard library alone knows the arguments, and a test has a beginning of its own
#![cfg_attr(all(target_os = "linux", target_env = "gnu", not(test)), no_main)]

#[global_allocator]
static ALLOCATOR: ferroban::sys::allocator::Allocator = ferroban::sys::allocator::Allocator;

#[cfg(all(target_os = "linux", target_env = "gnu", not(test)))]
ferroban::entry_point!(ferroban::cli::main);

#[cfg(not(all(target_os = "linux", target_env = "gnu", not(test))))]
fn main() -> std::process::ExitCode {
    ferroban::cli::main()
}
