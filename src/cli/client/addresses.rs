//! Commands about addresses: options and addresses are checked before anything is sent, because the
//! protocol takes every word for an id. `@FILE` stands for the addresses in a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::address::{Address, ignorable};
use crate::python::text;

/// Largest list read, in bytes; a request may not be longer anyway.
const MAX_SIZE: u64 = 8 << 20;
/// Refused words that are shown; the rest is counted.
const MAX_SHOWN: usize = 20;

/// A command that may be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its words, lists expanded; `None` when all of its addresses were refused.
    pub words: Option<Vec<String>>,
    /// What is wrong with words of the lists, which were left out.
    pub refused: Vec<String>,
}

/// Why a command is not sent.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// A list cannot be read.
    #[error("Unable to read the list {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// A list is larger than 8 MiB.
    #[error("The list {} is larger than 8 MiB", .0.display())]
    TooLarge(PathBuf),
    /// An option the command does not have.
    #[error("Unknown option {option} of {command}{known}")]
    Option {
        /// The option.
        option: String,
        /// The command.
        command: &'static str,
        /// What is known, as the end of a sentence.
        known: String,
    },
    /// An option without its value, or with a bad one.
    #[error("{0}")]
    Value(String),
    /// A word that `ignoreip` cannot mean.
    #[error("{word}: {why}")]
    Ignored {
        /// The word.
        word: String,
        /// What is wrong with it.
        why: std::borrow::Cow<'static, str>,
    },
}

/// How the words of a command are read.
struct Grammar {
    /// The command.
    name: &'static str,
    /// Where its options and addresses begin.
    at: usize,
    /// Options of the server that have a value.
    with_value: &'static [&'static str],
    /// Options of the server that have none.
    flags: &'static [&'static str],
    /// What may stand among the addresses.
    addresses: Addresses,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Addresses {
    /// Any id, and lists.
    Ids,
    /// One id; what follows is something else.
    One,
    /// Words of `ignoreip`.
    Ignored,
    /// As before, but any that may have been added.
    AnyIgnored,
}

impl Grammar {
    fn of(words: &[String]) -> Option<Grammar> {
        let words: Vec<&str> = words.iter().take(3).map(String::as_str).collect();
        let grammar = |name, at| Grammar {
            name,
            at,
            with_value: &[],
            flags: &[],
            addresses: Addresses::Ids,
        };
        Some(match words.as_slice() {
            ["unban", ..] => Grammar {
                flags: &["--all"],
                ..grammar("unban", 1)
            },
            ["forget", ..] => grammar("forget", 1),
            ["set", _, "banip"] => Grammar {
                with_value: &["--time", "--reason"],
                ..grammar("banip", 3)
            },
            ["set", _, "unbanip"] => Grammar {
                flags: &["--report-absent"],
                ..grammar("unbanip", 3)
            },
            ["set", _, "attempt"] => Grammar {
                addresses: Addresses::One,
                ..grammar("attempt", 3)
            },
            ["set", _, "addignoreip"] => Grammar {
                addresses: Addresses::Ignored,
                ..grammar("addignoreip", 3)
            },
            ["set", _, "delignoreip"] => Grammar {
                addresses: Addresses::AnyIgnored,
                ..grammar("delignoreip", 3)
            },
            _ => return None,
        })
    }

    fn takes_lists(&self) -> bool {
        self.addresses == Addresses::Ids
    }

    fn unknown(&self, option: &str) -> AddressError {
        let lists: &[&str] = match self.takes_lists() {
            true => &["--column", "--ids"],
            false => &[],
        };
        let known: Vec<&str> = [self.flags, self.with_value, lists].concat();
        AddressError::Option {
            option: option.to_owned(),
            command: self.name,
            known: match known.as_slice() {
                [] => ", which has none".to_owned(),
                known => format!("; known are {}", known.join(", ")),
            },
        }
    }
}

/// Checks the words of a command. Commands that are not about addresses stay as they are.
///
/// Addresses on the command line may be any id, as in the original, but `--x` counts as an option;
/// after `--` nothing does. Words of a list must be addresses or networks, unless `--ids` is given.
/// `--column N` reads only the Nth field of each line of a list.
///
/// # Errors
/// A list that cannot be read or is too large; an option the command does not have, or without its
/// value; a word that `ignoreip` cannot mean.
pub fn check(words: &[String]) -> Result<Checked, AddressError> {
    let Some(grammar) = Grammar::of(words) else {
        return Ok(Checked {
            words: Some(words.to_vec()),
            refused: Vec::new(),
        });
    };
    let (start, rest) = words.split_at(grammar.at);
    if grammar.addresses == Addresses::One {
        if let Some(option) = rest.first().filter(|word| word.starts_with("--")) {
            return Err(grammar.unknown(option));
        }
        return Ok(Checked {
            words: Some(words.to_vec()),
            refused: Vec::new(),
        });
    }
    let mut options = Vec::new();
    let mut ids = Vec::new();
    let mut list = ListOptions::default();
    let mut rest: VecDeque<&str> = rest.iter().map(String::as_str).collect();
    while let Some(word) = rest.pop_front() {
        if word == "--" {
            ids.extend(rest.drain(..).map(str::to_owned));
        } else if word.starts_with("--") && grammar.addresses != Addresses::AnyIgnored {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            if value.is_none() && grammar.flags.contains(&name) {
                options.push(name.to_owned());
            } else if value.is_none() && grammar.takes_lists() && name == "--ids" {
                list.any_id = true;
            } else if grammar.with_value.contains(&name)
                || grammar.takes_lists() && name == "--column"
            {
                let value = value.or_else(|| rest.pop_front());
                let value =
                    value.ok_or_else(|| AddressError::Value(format!("{name} needs a value")))?;
                match name {
                    "--column" => list.column = Some(column(value)?),
                    name => options.extend([name.to_owned(), value.to_owned()]),
                }
            } else {
                return Err(grammar.unknown(word));
            }
        } else {
            ids.push(word.to_owned());
        }
    }
    let mut refused = Vec::new();
    let mut checked = Vec::new();
    for id in &ids {
        match id.strip_prefix('@').filter(|_| grammar.takes_lists()) {
            Some(path) => list.read(Path::new(path), &mut checked, &mut refused)?,
            None => {
                if grammar.addresses == Addresses::Ignored {
                    for word in text::words(id) {
                        ignorable(word).map_err(|why| AddressError::Ignored {
                            word: word.to_owned(),
                            why,
                        })?;
                    }
                }
                checked.push(id.clone());
            }
        }
    }
    if options.iter().any(|option| option == "--all") && !ids.is_empty() {
        let text = "unban --all lifts all bans and takes no addresses";
        return Err(AddressError::Value(text.to_owned()));
    }
    let all_refused = checked.is_empty() && !ids.is_empty();
    Ok(Checked {
        words: (!all_refused).then(|| [start, &options, &checked].concat()),
        refused: shortened(refused),
    })
}

fn column(value: &str) -> Result<usize, AddressError> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        AddressError::Value(format!("--column needs a number from 1 on, not {value}"))
    })
}

/// The first refused words, and how many more there are.
fn shortened(mut refused: Vec<String>) -> Vec<String> {
    let more = refused.len().saturating_sub(MAX_SHOWN);
    if more > 0 {
        refused.truncate(MAX_SHOWN);
        refused.push(format!("{more} more words of the lists were left out"));
    }
    refused
}

/// How lists are read.
#[derive(Debug, Default)]
struct ListOptions {
    /// Which field of a line, from 1; all of them without it.
    column: Option<usize>,
    /// Words need not be addresses.
    any_id: bool,
}

impl ListOptions {
    /// Adds the addresses of a list. Fields are separated by blanks and commas; what follows `#` or
    /// `;` in a line is a comment.
    fn read(
        &self,
        path: &Path,
        ids: &mut Vec<String>,
        refused: &mut Vec<String>,
    ) -> Result<(), AddressError> {
        let text = text_of(path)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut refuse = |why: String| {
                refused.push(format!("{}:{number}: {why}, left out", path.display()));
            };
            let mut take = |word: &str| match self.any_id || Address::parse_ip(word).is_some() {
                true => ids.push(word.to_owned()),
                false => refuse(format!("'{word}' is no address and no network")),
            };
            match self.column {
                None => text::words(line).for_each(take),
                Some(_) if line.trim().is_empty() => {}
                Some(column) => match field(line, column) {
                    Some(word) => take(word),
                    None => refuse(format!("there is no column {column}")),
                },
            }
        }
        Ok(())
    }
}

/// A field of a line, from 1: between commas where there are any, else between blanks.
fn field(line: &str, column: usize) -> Option<&str> {
    let field = match line.contains(',') {
        true => line.split(',').nth(column - 1),
        false => line.split_whitespace().nth(column - 1),
    };
    let field = field.map(|field| field.trim().trim_matches('"'));
    field.filter(|field| !field.is_empty())
}

fn text_of(path: &Path) -> Result<String, AddressError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes));
    match read {
        Ok(size) if size as u64 > MAX_SIZE => Err(AddressError::TooLarge(path.to_owned())),
        Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(reason) => Err(AddressError::Unreadable {
            path: path.to_owned(),
            reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn sent(line: &str) -> Vec<String> {
        let checked = check(&words(line)).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(checked.refused, Vec::<String>::new(), "{line}");
        checked.words.unwrap_or_default()
    }

    fn error(line: &str) -> String {
        check(&words(line)).expect_err(line).to_string()
    }

    /// A file, and what stands for it.
    fn list(text: &str) -> (tempfile::NamedTempFile, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let word = format!("@{}", file.path().display());
        (file, word)
    }

    #[test]
    fn list_stands_for_its_addresses() {
        let (_file, list) =
            list("\u{feff}# drop\n192.0.2.1 192.0.2.2,2001:db8::/32 ; why\n\n192.0.2.3");
        let all = "192.0.2.1 192.0.2.2 2001:db8::/32 192.0.2.3";
        for command in ["set j banip", "set j unbanip", "unban", "forget"] {
            assert_eq!(
                sent(&format!("{command} x {list}")),
                words(&format!("{command} x {all}"))
            );
        }
        assert_eq!(
            sent(&format!("set j banip x {list} --reason @home")),
            words(&format!("set j banip --reason @home x {all}"))
        );
        let error = error("set j banip @/nowhere");
        assert!(
            error.starts_with("Unable to read the list /nowhere: "),
            "{error}"
        );
    }

    #[test]
    fn list_word_no_address_refused_with_line() {
        let (file, list) = list("192.0.2.1 2026-01-01 bad\n300.1.1.1\n192.0.2.2\n");
        let checked = check(&words(&format!("set j banip {list}"))).unwrap();
        let sent = words("set j banip 192.0.2.1 192.0.2.2");
        assert_eq!(checked.words, Some(sent));
        let path = file.path().display();
        let expected = [(1, "2026-01-01"), (1, "bad"), (2, "300.1.1.1")];
        let expected = expected.map(|(line, word)| {
            format!("{path}:{line}: '{word}' is no address and no network, left out")
        });
        assert_eq!(checked.refused, expected);
        let ids = self::sent(&format!("set j banip --ids {list}"));
        assert_eq!(
            ids,
            words("set j banip 192.0.2.1 2026-01-01 bad 300.1.1.1 192.0.2.2")
        );
    }

    #[test]
    fn list_all_refused_sends_nothing() {
        let (_file, list) = list(&"no\n".repeat(25));
        let checked = check(&words(&format!("set j banip {list}"))).unwrap();
        assert_eq!(checked.words, None);
        assert_eq!(checked.refused.len(), 21);
        assert_eq!(
            checked.refused[20],
            "5 more words of the lists were left out"
        );
        // on the command line any id will do, as in the original
        assert!(
            check(&words(&format!("set j banip user {list}")))
                .unwrap()
                .words
                .is_some()
        );
    }

    #[test]
    fn list_column_picks_one_field() {
        let (file, list) = list("2026-01-01 192.0.2.1\n\"2026\",\"192.0.2.2\",192.0.2.9\n7\n");
        let checked = check(&words(&format!("set j banip {list} --column=2"))).unwrap();
        assert_eq!(
            checked.words,
            Some(words("set j banip 192.0.2.1 192.0.2.2"))
        );
        let path = file.path().display();
        assert_eq!(
            checked.refused,
            [format!("{path}:3: there is no column 2, left out")]
        );
        let needs = "--column needs a number from 1 on, not 0";
        assert_eq!(error("set j banip --column 0 @x"), needs);
    }

    #[test]
    fn option_unknown_refused() {
        for (line, expected) in [
            (
                "set j banip 192.0.2.1 --tiem 1h",
                "Unknown option --tiem of banip; known are --time, --reason, --column, --ids",
            ),
            (
                "set j unbanip 192.0.2.1 --report",
                "Unknown option --report of unbanip; known are --report-absent, --column, --ids",
            ),
            (
                "unban --al",
                "Unknown option --al of unban; known are --all, --column, --ids",
            ),
            (
                "forget --x",
                "Unknown option --x of forget; known are --column, --ids",
            ),
            (
                "set j attempt --x",
                "Unknown option --x of attempt, which has none",
            ),
            (
                "set j addignoreip --x",
                "Unknown option --x of addignoreip, which has none",
            ),
            ("set j banip 192.0.2.1 --time", "--time needs a value"),
            (
                "unban --all 192.0.2.1",
                "unban --all lifts all bans and takes no addresses",
            ),
        ] {
            assert_eq!(error(line), expected, "{line}");
        }
    }

    #[test]
    fn option_known_sent_before_the_addresses() {
        for (line, expected) in [
            ("set j banip a --time=1h", "set j banip --time 1h a"),
            ("set j banip a --time --x", "set j banip --time --x a"),
            ("set j banip -1 x@y", "set j banip -1 x@y"),
            ("set j banip -- --x", "set j banip --x"),
            (
                "set j unbanip a --report-absent",
                "set j unbanip --report-absent a",
            ),
            ("unban --all", "unban --all"),
            ("set j attempt a --x @y", "set j attempt a --x @y"),
            ("set j delignoreip --foo", "set j delignoreip --foo"),
            ("set j banip", "set j banip"),
            ("get j banip --with-time", "get j banip --with-time"),
        ] {
            assert_eq!(sent(line), words(expected), "{line}");
        }
    }

    #[test]
    fn addignoreip_what_is_no_address_refused() {
        for word in ["300.1.1.1", "1.2.3.4/33", "192.0.2.1,1.2.3"] {
            assert!(
                check(&words(&format!("set j addignoreip {word}"))).is_err(),
                "{word}"
            );
        }
        sent("set j addignoreip 192.0.2.0/24,host.example ::1 file:/etc/x");
    }
}
