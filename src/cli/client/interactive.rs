//! Interactive mode: commands from standard input, one a line (fact P65).

use std::io::{BufRead, Write};

use super::session::{ClientSession, TARGET};

use crate::cli::{say, usage};
use crate::error;
use crate::python::text::shell_words;

/// What stands before each line.
const PROMPT: &str = "fail2ban> ";

/// Carries out `first`, if there is one, then what is typed; whether it ended as it should.
pub fn run(session: &mut ClientSession, first: &[String]) -> bool {
    if !first.is_empty() && !session.command(first) {
        return false;
    }
    say(&usage::introduction());
    let mut lines = std::io::stdin().lock().split(b'\n');
    loop {
        let mut out = std::io::stdout().lock();
        // a reader that has gone away shows at the next line
        let _ = out.write_all(PROMPT.as_bytes()).and_then(|()| out.flush());
        drop(out);
        let line = match lines.next() {
            Some(Ok(line)) => line,
            Some(Err(failure)) => {
                error!(TARGET, "{}", failure);
                return false;
            }
            None => {
                say("");
                error!(TARGET, "EOF when reading a line");
                return false;
            }
        };
        let line = String::from_utf8_lossy(&line);
        match line.strip_suffix('\r').unwrap_or(&line) {
            "exit" | "quit" => return true,
            "" => {}
            line => match shell_words(line) {
                Ok(words) if words.first().is_some_and(|word| word == "help") => {
                    session.help(&words[1..]);
                }
                Ok(words) => {
                    session.command(&words);
                }
                Err(failure) => error!(TARGET, "{}", failure),
            },
        }
    }
}
