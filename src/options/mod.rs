//! Every option, one row each: its name, type, default, its command for the server, and its help text.
//!
//! [`jail`] has those of jails and filters, [`server`] those of `fail2ban.conf`, [`action`] those of actions.
//! Reading files, `set` and `get`, help and lint all use these rows; what an option does is implemented in
//! `jail/options.rs` and `server/settings.rs`.
#![forbid(unsafe_code)]

pub mod action;
pub mod jail;
pub mod server;

/// What the text of an option in a file becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// It stays as it is.
    Text,
    /// True for `1`, `on`, `true`, `yes` (fact C55).
    Flag,
    /// A whole number (fact C51).
    Integer,
}

/// A value that is known when the program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Literal {
    Flag(bool),
    Text(&'static str),
}

/// How the server is told of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Not at all: whoever reads the files goes by it.
    Never,
    /// By `set … NAME VALUE`.
    Value,
    /// The same, before everything else of a filter: what `<HOST>` stands for depends on it.
    First,
    /// The same, before the regexes of a filter.
    Early,
    /// By `addNAME WORD…`, all words at once.
    Words,
    /// By `addNAME LINE`, several lines as one `multi-set`.
    Lines,
    /// By `addNAME WORD…` for each line.
    Matches,
    /// By `addNAME PATH` for each file that is found.
    Files,
}

/// What follows the name in a command that sets an option, and what it does; `None`: the help does not
/// mention it.
pub type Help = Option<(&'static str, &'static str)>;

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct OptionRow {
    /// Its name in files and commands.
    pub name: &'static str,
    /// Its kind.
    pub kind: ValueKind,
    /// What it is when nobody sets it; with `None` it is left out.
    pub default: Option<Literal>,
    /// The original does not know it: where nobody sets it, nothing shall tell of it.
    pub beyond: bool,
    /// How the server is told.
    pub sent: Sent,
    /// Help of `set … NAME`.
    pub set: Help,
    /// Help of `set … addNAME`.
    pub add: Help,
    /// Help of `set … delNAME`.
    pub del: Help,
    /// What `get … NAME` answers, for the help.
    pub get: Option<&'static str>,
}

impl OptionRow {
    const fn new(name: &'static str, kind: ValueKind) -> OptionRow {
        OptionRow {
            name,
            kind,
            default: None,
            beyond: false,
            sent: Sent::Value,
            set: None,
            add: None,
            del: None,
            get: None,
        }
    }

    const fn text(name: &'static str) -> OptionRow {
        OptionRow::new(name, ValueKind::Text)
    }

    const fn flag(name: &'static str) -> OptionRow {
        OptionRow::new(name, ValueKind::Flag)
    }

    const fn integer(name: &'static str) -> OptionRow {
        OptionRow::new(name, ValueKind::Integer)
    }

    const fn default(mut self, value: Literal) -> OptionRow {
        self.default = Some(value);
        self
    }

    const fn beyond(mut self) -> OptionRow {
        self.beyond = true;
        self
    }

    const fn sent(mut self, sent: Sent) -> OptionRow {
        self.sent = sent;
        self
    }

    const fn set(mut self, form: &'static str, meaning: &'static str) -> OptionRow {
        self.set = Some((form, meaning));
        self
    }

    const fn add(mut self, form: &'static str, meaning: &'static str) -> OptionRow {
        self.add = Some((form, meaning));
        self
    }

    const fn del(mut self, form: &'static str, meaning: &'static str) -> OptionRow {
        self.del = Some((form, meaning));
        self
    }

    const fn get(mut self, meaning: &'static str) -> OptionRow {
        self.get = Some(meaning);
        self
    }

    /// Whether `set … NAME VALUE` sets it.
    pub fn has_value(&self) -> bool {
        matches!(self.sent, Sent::Value | Sent::First | Sent::Early)
    }
}
