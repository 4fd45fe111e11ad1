//! What a person types: one file per program.

use std::process::ExitCode;

pub mod regex;

/// Picks the program by the name it was called under, or by the first argument.
pub fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    let called = args.first().map(|a| a.to_string_lossy().into_owned());
    let regex = called.is_some_and(|name| name.ends_with("fail2ban-regex"));
    if !regex && args.get(1).is_some_and(|word| word == "regex") {
        args.remove(0);
        return regex::main(args);
    }
    match regex {
        true => regex::main(args),
        false => ExitCode::FAILURE,
    }
}
