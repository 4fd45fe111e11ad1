//! The multi-call binary. All code is in the library.

#[global_allocator]
static ALLOCATOR: ferroban::Allocator = ferroban::Allocator;

fn main() -> std::process::ExitCode {
    ferroban::main()
}
