//! The error of a failed command: a Python exception by class name and arguments, because clients print the
//! arguments and distinguish the classes (facts P2, P4, P55).
#![forbid(unsafe_code)]

use std::fmt;
use std::io;

use crate::python::{self, Value};

/// A failed command.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandError {
    /// Module and class, as pickled: `builtins`, `Exception`.
    pub class: (&'static str, &'static str),
    /// The exception's arguments.
    pub args: Vec<Value>,
}

/// The classes of fail2ban's own that a reply may name.
const OWN_CLASSES: [(&str, &str); 5] = [
    ("fail2ban.exceptions", "UnknownJailException"),
    ("fail2ban.exceptions", "DuplicateJailException"),
    ("fail2ban.server.failregex", "RegexException"),
    ("fail2ban.server.server", "ServerInitializationError"),
    ("fail2ban.server.asyncserver", "AsyncServerException"),
];

/// Python's own exceptions that a reply may name.
const BUILTIN_CLASSES: [&str; 33] = [
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BlockingIOError",
    "BrokenPipeError",
    "ChildProcessError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "EOFError",
    "Exception",
    "FileExistsError",
    "FileNotFoundError",
    "ImportError",
    "IndexError",
    "InterruptedError",
    "IsADirectoryError",
    "KeyError",
    "LookupError",
    "MemoryError",
    "ModuleNotFoundError",
    "NameError",
    "NotADirectoryError",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "PermissionError",
    "RecursionError",
    "RuntimeError",
    "SyntaxError",
    "TimeoutError",
    "TypeError",
    "ValueError",
    "ZeroDivisionError",
];

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

    /// The command has too few words; printed as `Sorry but the command is invalid` (fact P55).
    pub fn too_few_words() -> CommandError {
        Self::builtin("IndexError", "list index out of range")
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

    /// A failed system call about a file: `[Errno 2] No such file or directory: 'F'` (fact P36).
    pub fn file(error: &io::Error, path: &str) -> CommandError {
        let Some(number) = error.raw_os_error() else {
            return Self::builtin("OSError", error.to_string());
        };
        let class = match error.kind() {
            io::ErrorKind::NotFound => "FileNotFoundError",
            io::ErrorKind::PermissionDenied => "PermissionError",
            io::ErrorKind::AlreadyExists => "FileExistsError",
            io::ErrorKind::NotADirectory => "NotADirectoryError",
            io::ErrorKind::IsADirectory => "IsADirectoryError",
            _ => "OSError",
        };
        CommandError {
            class: ("builtins", class),
            args: vec![
                Value::Int(number.into()),
                nix::errno::Errno::from_raw(number).desc().into(),
                path.into(),
            ],
        }
    }

    /// The exception a reply names. Classes this build does not know count as plain exceptions:
    /// nothing is looked up by a name that came over the wire.
    pub fn from_wire(module: &str, class: &str, args: Vec<Value>) -> CommandError {
        // protocols below 3 use Python 2's module names
        let known = if matches!(module, "builtins" | "exceptions" | "__builtin__") {
            BUILTIN_CLASSES
                .iter()
                .find(|known| **known == class)
                .map(|known| ("builtins", *known))
        } else {
            OWN_CLASSES
                .iter()
                .find(|known| **known == (module, class))
                .copied()
        };
        CommandError {
            class: known.unwrap_or(("builtins", "Exception")),
            args,
        }
    }

    /// Whether it is of this class.
    pub fn is(&self, class: &str) -> bool {
        self.class.1 == class
    }

    /// `exception.args` as Python prints it, the text behind `NOK: ` (fact P58).
    pub fn args_repr(&self) -> String {
        Value::Tuple(self.visible_args().to_vec()).repr()
    }

    /// `repr(exception)`, as in the server's log (fact P4).
    pub fn repr(&self) -> String {
        let args: Vec<_> = self.visible_args().iter().map(Value::repr).collect();
        format!("{}({})", self.class.1, args.join(", "))
    }

    /// Python keeps the file name of a failed system call out of the arguments.
    fn visible_args(&self) -> &[Value] {
        if self.system_call().is_some() {
            &self.args[..2]
        } else {
            &self.args
        }
    }

    /// Number, text and file name of a failed system call.
    fn system_call(&self) -> Option<(&Value, &Value, Option<&Value>)> {
        match self.args.as_slice() {
            [number @ Value::Int(_), text] => Some((number, text, None)),
            [number @ Value::Int(_), text, path, ..] => Some((number, text, Some(path))),
            _ => None,
        }
    }
}

impl From<python::PythonException> for CommandError {
    fn from(error: python::PythonException) -> CommandError {
        CommandError::builtin(error.class, error.text)
    }
}

/// `str(exception)`: the text people see (fact P55).
impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((number, text, path)) = self.system_call() {
            write!(f, "[Errno {}] {}", number.str(), text.str())?;
            return match path {
                Some(path) => write!(f, ": {}", path.repr()),
                None => Ok(()),
            };
        }
        match self.args.as_slice() {
            [] => Ok(()),
            // a KeyError shows its key quoted
            [key] if self.is("KeyError") || self.is("UnknownJailException") => {
                f.write_str(&key.repr())
            }
            [one] => f.write_str(&one.str()),
            several => f.write_str(&Value::Tuple(several.to_vec()).repr()),
        }
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_pythons() {
        let missing = CommandError::file(&io::Error::from_raw_os_error(2), "/nope");
        let table = [
            (
                CommandError::new("Invalid command"),
                "Invalid command",
                "('Invalid command',)",
                "Exception('Invalid command')",
            ),
            (
                CommandError::builtin("KeyError", "zz"),
                "'zz'",
                "('zz',)",
                "KeyError('zz')",
            ),
            (
                CommandError::unknown_jail("x"),
                "'x'",
                "('x',)",
                "UnknownJailException('x')",
            ),
            (
                missing,
                "[Errno 2] No such file or directory: '/nope'",
                "(2, 'No such file or directory')",
                "FileNotFoundError(2, 'No such file or directory')",
            ),
            (
                CommandError {
                    class: ("builtins", "Exception"),
                    args: vec![],
                },
                "",
                "()",
                "Exception()",
            ),
        ];
        for (error, text, args, repr) in table {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.args_repr(), args);
            assert_eq!(error.repr(), repr);
        }
    }

    #[test]
    fn unknown_classes_become_plain() {
        assert_eq!(
            CommandError::from_wire("os", "system", vec![]).class,
            ("builtins", "Exception")
        );
        assert_eq!(
            CommandError::from_wire("exceptions", "KeyError", vec![]).class,
            ("builtins", "KeyError")
        );
    }
}
