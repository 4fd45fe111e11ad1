//! Colours of what is printed for people: on a terminal, and nowhere else. `NO_COLOR` and a terminal
//! without colours (`TERM=dumb`) are heeded, as <https://no-color.org> has it.

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _};

/// What a text is, and so what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextStyle {
    /// As it is.
    Plain,
    /// A heading: bold.
    Heading,
    /// Who is banned: red.
    Banned,
    /// What is beside the point: faint.
    Aside,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug)]
pub struct Colours {
    wanted: bool,
}

impl Colours {
    /// None.
    #[cfg(test)]
    pub const NONE: Colours = Colours { wanted: false };

    /// Those of standard output.
    pub fn of_output() -> Colours {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == OsStr::new("dumb"));
        Colours {
            wanted: io::stdout().is_terminal() && set("NO_COLOR").is_none() && !dumb,
        }
    }

    /// A text in its style.
    pub fn paint(self, text: &str, style: TextStyle) -> String {
        let code = match style {
            TextStyle::Plain => "",
            TextStyle::Heading => "1",
            TextStyle::Banned => "31",
            TextStyle::Aside => "2",
        };
        match self.wanted && !code.is_empty() && !text.is_empty() {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}
