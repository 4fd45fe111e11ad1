//! The multi-call binary: everything it can do is in the library.

#[global_allocator]
static ALLOCATOR: ferroban::sys::allocator::Allocator = ferroban::sys::allocator::Allocator;

fn main() -> std::process::ExitCode {
    ferroban::cli::main()
}
