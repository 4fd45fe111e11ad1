//! The multi-call binary: everything it can do is in the library.

fn main() -> std::process::ExitCode {
    ferroban::cli::main()
}
