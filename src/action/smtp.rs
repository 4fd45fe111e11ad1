//! The one Python action that comes with the original, `smtp.py`: the command action that does the
//! same, with words of its own. No file of that name is needed. Its arguments become the texts of `actionstart`, `actionban` and `actionstop`, mails to an SMTP
//! server as any action file may spell them out (fact A33).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::control::{CommandError, Value};

/// The arguments of `smtp.py`, and what they are unless given.
const ARGUMENTS: [(&str, &str); 8] = [
    ("host", "localhost"),
    ("ssl", ""),
    ("user", ""),
    ("password", ""),
    ("sendername", "Fail2Ban"),
    ("sender", "fail2ban"),
    ("dest", "root"),
    ("matches", ""),
];

/// An action that sends mail to a server.
#[derive(Clone, Debug)]
pub struct SmtpAction {
    arguments: Vec<(&'static str, Value)>,
}

impl SmtpAction {
    /// Whether a Python file is the one this stands for.
    pub fn is_meant(path: &str) -> bool {
        path.rsplit('/').next() == Some("smtp.py")
    }

    /// With these arguments, a dictionary.
    ///
    /// # Errors
    /// The original's `TypeError` for an argument it does not know.
    pub fn new(arguments: &Value) -> Result<SmtpAction, CommandError> {
        let mut action = SmtpAction {
            arguments: ARGUMENTS
                .into_iter()
                .map(|(name, value)| (name, Value::from(value)))
                .collect(),
        };
        if let Value::Dict(pairs) = arguments {
            for (name, value) in pairs {
                let name = name.str();
                if !action.set(&name, value) {
                    return Err(CommandError::builtin(
                        "TypeError",
                        format!(
                            "SMTPAction.__init__() got an unexpected keyword argument '{name}'"
                        ),
                    ));
                }
            }
        }
        Ok(action)
    }

    /// Changes an argument; answers whether there is one of that name.
    pub fn set(&mut self, name: &str, value: &Value) -> bool {
        let known = self.arguments.iter_mut().find(|(known, _)| *known == name);
        known.map(|(_, old)| *old = value.clone()).is_some()
    }

    /// An argument.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let known = self.arguments.iter().find(|(known, _)| *known == name);
        known.map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> String {
        self.get(name)
            .map_or_else(String::new, |value| match value {
                Value::None => String::new(),
                value => value.str().into_owned(),
            })
    }

    /// The properties of the command action that does the same.
    pub fn properties(&self) -> [(&'static str, Value); 4] {
        let matches = match self.text("matches").as_str() {
            "matches" => "\nThe lines that led to it:\n\n<matches>\n",
            "ipmatches" => "\nAll failures of <ip> in any jail:\n\n<ipmatches>\n",
            "ipjailmatches" => "\nAll failures of <ip> in this jail:\n\n<ipjailmatches>\n",
            _ => "",
        };
        let ban = format!(
            "<ip> is out for <jail.bantime> seconds: <failures> failures in jail <jail.name>.\n{matches}"
        );
        let mail = |what: &str, text: &str| Value::from(self.mail(what, text));
        [
            (
                "actionstart",
                mail("started on", "Jail <jail.name> is watching now.\n"),
            ),
            ("actionban", mail("banned <ip> from", &ban)),
            (
                "actionstop",
                mail("stopped on", "Jail <jail.name> has stopped watching.\n"),
            ),
            ("norestored", Value::Int(1)),
        ]
    }

    /// The command that sends a mail.
    fn mail(&self, what: &str, text: &str) -> String {
        let dest = self.text("dest");
        let head = format!(
            "Subject: [Fail2Ban] <jail.name>: {what} <sh-hostname>\nFrom: {}\nTo: {}\n",
            quoted(&from(&self.text("sendername"), &self.text("sender"))),
            quoted(&dest)
        );
        let recipients: String = dest
            .split(", ")
            .map(|recipient| format!(" \"{}\"", quoted(recipient)))
            .collect();
        format!(
            "printf %s \"{head}\n{text}\" | {} -f \"{}\"{recipients}",
            self.server(),
            quoted(&self.text("sender"))
        )
    }

    fn server(&self) -> String {
        let scheme = match self.get("ssl") {
            Some(Value::Bool(true)) => "smtp+mime+starttls",
            // what is given in a configuration is text, and any text is true
            Some(Value::Str(text)) if !text.is_empty() => "smtp+mime+starttls",
            _ => "smtp+mime",
        };
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (user, password) = (self.text("user"), self.text("password"));
        let login = match user.is_empty() || password.is_empty() {
            true => String::new(),
            false => format!("{}:{}@", encode(&user), encode(&password)),
        };
        format!("{scheme}://{login}{}", quoted(&self.text("host")))
    }
}

/// A name and an address as a header has them (RFC 5322).
fn from(name: &str, address: &str) -> String {
    match name {
        "" => address.to_owned(),
        name if name.is_ascii()
            && name.contains([
                '[', ']', '\\', '(', ')', '<', '>', '@', ',', ':', ';', '"', '.',
            ]) =>
        {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{name}\" <{address}>")
        }
        name => format!("{name} <{address}>"),
    }
}

/// Inside of a shell's double quotes; a line end would start a header.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' | '`' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Script;
    use crate::mail::server::Security;
    use crate::mail::{Mail, Sink};

    fn action(pairs: &[(&str, &str)]) -> SmtpAction {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (Value::from(*name), Value::from(*value)))
            .collect();
        SmtpAction::new(&Value::Dict(pairs)).unwrap()
    }

    #[test]
    fn its_commands_are_mails() {
        let action = action(&[
            ("host", "mail.example.org:2525"),
            ("ssl", "true"),
            ("user", "me@x"),
            ("password", "p \"w$"),
            ("sendername", "The \"guard\""),
            ("dest", "a@x, b@y"),
        ]);
        for (name, value) in action.properties() {
            if name == "norestored" {
                continue;
            }
            let text = value.str().into_owned();
            let mail = Mail::recognise(&Script::plain(text.replace("<ip>", "192.0.2.1")))
                .unwrap_or_else(|| panic!("{text}"));
            let Sink::Smtp {
                server,
                sender,
                recipients,
            } = mail.sink()
            else {
                panic!("{text}");
            };
            assert_eq!((server.port, server.security), (2525, Security::StartTls));
            assert_eq!(server.login, Some(("me@x".into(), "p \"w$".into())));
            assert_eq!(sender, "fail2ban");
            assert_eq!(recipients, &["a@x", "b@y"]);
        }
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert_eq!(from("Fail2Ban", "a"), "Fail2Ban <a>");
        assert_eq!(from("", "a"), "a");
        assert_eq!(from("a, \"b\"", "a"), "\"a, \\\"b\\\"\" <a>");
    }

    #[test]
    fn unknown_arguments_are_refused() {
        let wrong = Value::Dict(vec![("nose".into(), "x".into())]);
        let error = SmtpAction::new(&wrong).unwrap_err();
        assert_eq!(
            error.to_string(),
            "SMTPAction.__init__() got an unexpected keyword argument 'nose'"
        );
    }
}
