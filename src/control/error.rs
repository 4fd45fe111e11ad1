//! What a command answers when it fails: a Python exception by class name and arguments, because
//! clients print the arguments and tell the classes apart (facts P2, P4, P55).
#![forbid(unsafe_code)]

use std::fmt;

use super::value::Value;

/// A failed command.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandError {
    /// Module and class, as pickled: `builtins`, `Exception`.
    pub class: (&'static str, &'static str),
    /// The exception's arguments.
    pub args: Vec<Value>,
}

impl CommandError {
    /// An exception of a class of Python's own (`KeyError`, `ValueError`, `Exception`).
    pub fn builtin(class: &'static str, message: impl Into<String>) -> CommandError {
        CommandError {
            class: ("builtins", class),
            args: vec![Value::Str(message.into())],
        }
    }

    /// A plain `Exception` with a message.
    pub fn new(message: impl Into<String>) -> CommandError {
        Self::builtin("Exception", message)
    }

    /// The command names a jail that is not there.
    pub fn unknown_jail(name: &str) -> CommandError {
        CommandError {
            class: ("fail2ban.exceptions", "UnknownJailException"),
            args: vec![name.into()],
        }
    }

    /// A jail of that name exists already.
    pub fn duplicate_jail(name: &str) -> CommandError {
        CommandError {
            class: ("fail2ban.exceptions", "DuplicateJailException"),
            args: vec![name.into()],
        }
    }

    /// A regular expression that cannot be used.
    pub fn regex(message: impl Into<String>) -> CommandError {
        CommandError {
            class: ("fail2ban.server.failregex", "RegexException"),
            args: vec![Value::Str(message.into())],
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.args.first() {
            Some(Value::Str(text)) => f.write_str(text),
            Some(other) => write!(f, "{other:?}"),
            None => f.write_str(self.class.1),
        }
    }
}

impl std::error::Error for CommandError {}
