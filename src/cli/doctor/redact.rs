//! Takes secrets, addresses and names out of a text. The same value gets the same number everywhere, so
//! that a reader still sees what belongs together.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use python_re::{Flags, Regex};

use crate::config::secrets::NAMES as SECRET_NAMES;

/// What a value was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RedactedKind {
    Address,
    Host,
    /// A word that looks like a key.
    Key,
    Mail,
    Secret,
    Url,
    User,
}

impl RedactedKind {
    fn word(self) -> &'static str {
        match self {
            RedactedKind::Address => "address",
            RedactedKind::Host => "host",
            RedactedKind::Key => "key",
            RedactedKind::Mail => "mail",
            RedactedKind::Secret => "secret",
            RedactedKind::Url => "url",
            RedactedKind::User => "user",
        }
    }
}

/// Last parts of names with dots that are no hosts.
const NO_DOMAINS: &str = "7 automount bak bin bz2 conf count d db device err exp gz html increment ini journal \
    json lo local lock log mount old path pid pl py rpmnew requires rpmsave scope service sh \
    slice so sock socket sqlite3 target timer wants";
/// First parts likewise: names of loggers and of options.
const NO_HOSTS: [&str; 5] = ["ban", "bantime", "fail2ban", "math", "random"];
/// Shorter values are found everywhere by chance.
const SHORTEST: usize = 4;
/// So long is a word that may be a key by its look alone.
const LOOKS: usize = 16;

/// Takes out what must not be seen.
pub struct Redactor {
    /// Values that are secret wherever they stand, the longest first.
    known: Vec<(String, RedactedKind)>,
    /// Words that look like secrets, and are none.
    kept: BTreeSet<String>,
    numbers: HashMap<(RedactedKind, String), usize>,
    counts: HashMap<RedactedKind, usize>,
    rules: Vec<RedactRule>,
}

/// A form that values have.
struct RedactRule {
    regex: Regex,
    /// The group that the value is; what stands before it stays.
    group: usize,
    kind: RedactedKind,
    /// Whether it holds for lines of logs alone.
    of_logs: bool,
}

/// All forms, in the order in which they are looked for.
fn rules() -> Option<Vec<RedactRule>> {
    const VALUE: &str = r#"("[^"]*"|'[^']*'|[^\s"',;&]+)"#;
    let named = format!(
        r#"([\w.-]*(?:{SECRET_NAMES})[\w.-]*["']?(?:\s*[:=]\s*|\s+is\s+)|\bauth\s*=\s*){VALUE}"#
    );
    let option = format!(r"((?<!\S)--?[\w-]*(?:{SECRET_NAMES}|user)[\w-]*[ =]){VALUE}");
    let login = format!(r"((?<!\S)-u ?|\b(?:bearer|basic)\s+){VALUE}");
    // `password for anna` says nothing secret
    let apart = r#"(?<![<\w])((?:password|passwd|passphrase|secret|token|api[ _-]?key)\s+["']?)(?!(?:and|authentication|auth|failed|for|from|has|in|is|mismatch|not|of|on|to|was|with)\b)([^\s"',;&=:<][^\s"',;&]*)"#;
    let forms: [(&str, usize, RedactedKind); 15] = [
        (
            r#"\b([a-z][a-z0-9+.-]*)://([^\s"'<>\\]+)"#,
            2,
            RedactedKind::Url,
        ),
        (
            r#"\b((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]*(?:key|token|auth)[a-z-]*)(["']?\s*[:=]\s*)([^"']+)"#,
            3,
            RedactedKind::Secret,
        ),
        (&named, 2, RedactedKind::Secret),
        (apart, 2, RedactedKind::Secret),
        (&option, 2, RedactedKind::Secret),
        (&login, 2, RedactedKind::Secret),
        (r"(?<!\S)-p[^\s-]\S{3,}", 0, RedactedKind::Secret),
        (r"[\w.+=-]+@[\w-]+(?:\.[\w-]+)*", 0, RedactedKind::Mail),
        (
            r"(?<![\w:])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![\w:])",
            0,
            RedactedKind::Address,
        ),
        (
            r"(?<![\w@<-])(?:\w(?:[\w-]*\w)?\.)+[^\W\d_][\w-]*(?![\w-])",
            0,
            RedactedKind::Host,
        ),
        (
            r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4})(?![\w:])",
            0,
            RedactedKind::Address,
        ),
        (
            r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)",
            0,
            RedactedKind::Address,
        ),
        (
            r"(?<!\d)\d{1,3}(?:-\d{1,3}){3}(?!-?\d)",
            0,
            RedactedKind::Address,
        ),
        (
            r#"(/home/|/Users/|(?<!\S)~)([^/\s"']+)"#,
            2,
            RedactedKind::User,
        ),
        (
            r"(?<![\w/.<-])[a-z0-9+/_-]{16,}={0,2}(?![\w>-])",
            0,
            RedactedKind::Key,
        ),
    ];
    let of_logs: [(&str, usize, RedactedKind); 3] = [
        (
            r"(\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)? )(\S+)(?= [\w./-]+(?:\[\d+\])?:)",
            2,
            RedactedKind::Host,
        ),
        (
            r#"\b((?:user(?:_?name)?|login|logname|ruser|account|acct|sasl_username)\s*[=:]\s*["'<]?)([^\s"'>,;]+)"#,
            2,
            RedactedKind::User,
        ),
        (
            r#"(?<![<\w])((?:user|account|password for|failure for|publickey for|opened for|closed for|login (?:of|for|by))\s+["'<]?)([^\s"'>,;:]+)"#,
            2,
            RedactedKind::User,
        ),
    ];
    let flags = Flags {
        ignore_case: true,
        ..Flags::default()
    };
    let rule = |(source, group, kind): (&str, usize, RedactedKind), of_logs| {
        let regex = Regex::new(source, flags).ok()?;
        Some(RedactRule {
            regex,
            group,
            kind,
            of_logs,
        })
    };
    let forms = forms.into_iter().map(|form| rule(form, false));
    forms
        .chain(of_logs.into_iter().map(|form| rule(form, true)))
        .collect()
}

impl Redactor {
    /// One that knows no value yet; `None` where its own expressions are wrong.
    pub fn new() -> Option<Redactor> {
        Some(Redactor {
            known: Vec::new(),
            kept: BTreeSet::new(),
            numbers: HashMap::new(),
            counts: HashMap::new(),
            rules: rules()?,
        })
    }

    /// A value that is secret wherever it stands.
    pub fn knows_secret(&mut self, value: &str) {
        self.knows(value, RedactedKind::Secret);
    }

    /// The name of a machine.
    pub fn knows_host(&mut self, name: &str) {
        if name != "localhost" {
            self.knows(name, RedactedKind::Host);
        }
    }

    /// The name of a person.
    pub fn knows_user(&mut self, name: &str) {
        self.knows(name, RedactedKind::User);
    }

    fn knows(&mut self, value: &str, kind: RedactedKind) {
        let value = value.trim().trim_matches(['"', '\'']);
        let is_known = self.known.iter().any(|(known, _)| known == value);
        let long =
            value.chars().count() >= SHORTEST || kind != RedactedKind::Secret && value.len() > 1;
        if !is_known && long && !self.kept.contains(value) {
            self.known.push((value.to_owned(), kind));
            self.known
                .sort_by_key(|(known, _)| std::cmp::Reverse(known.len()));
        }
    }

    /// A word that is no secret, whatever it looks like: the name of a jail.
    pub fn keeps(&mut self, word: &str) {
        self.kept.insert(word.to_owned());
    }

    /// A text without what must not be seen.
    pub fn text(&mut self, text: &str) -> String {
        self.lines(text, |rule| !rule.of_logs)
    }

    /// A line of a log, which may also name people.
    pub fn log_line(&mut self, line: &str) -> String {
        self.line(line, |_| true)
    }

    /// A regex: words such as `password` say nothing secret there.
    pub fn expression(&mut self, text: &str) -> String {
        self.lines(text, |rule| {
            !rule.of_logs
                && !matches!(
                    rule.kind,
                    RedactedKind::Key | RedactedKind::Secret | RedactedKind::User
                )
        })
    }

    /// A host name, or an address.
    pub fn host(&mut self, name: &str) -> String {
        let shown = self.text(name);
        let is_address = name.parse::<IpAddr>().is_ok() || name.parse::<IpNet>().is_ok();
        match shown == name && !is_address {
            true => self.label(RedactedKind::Host, name),
            false => shown,
        }
    }

    fn label(&mut self, kind: RedactedKind, value: &str) -> String {
        let count = self.counts.entry(kind).or_default();
        let next = *count + 1;
        let number = *self.numbers.entry((kind, value.to_owned())).or_insert(next);
        *count = (*count).max(number);
        match (kind, value.parse()) {
            (RedactedKind::Address, Ok(ip)) => format!("<address {number}, {}>", world(ip)),
            _ => format!("<{} {number}>", kind.word()),
        }
    }

    fn lines(&mut self, text: &str, wanted: fn(&RedactRule) -> bool) -> String {
        let lines: Vec<String> = text
            .split('\n')
            .map(|line| self.line(line, wanted))
            .collect();
        lines.join("\n")
    }

    fn line(&mut self, line: &str, wanted: fn(&RedactRule) -> bool) -> String {
        let mut line = self.without_known(line);
        let rules = std::mem::take(&mut self.rules);
        for rule in rules.iter().filter(|rule| wanted(rule)) {
            line = self.replaced(&line, rule);
        }
        self.rules = rules;
        line
    }

    fn without_known(&mut self, line: &str) -> String {
        let known = std::mem::take(&mut self.known);
        let mut line = line.to_owned();
        for (value, kind) in &known {
            if !line.contains(value.as_str()) {
                continue;
            }
            let label = self.label(*kind, value);
            line = match kind {
                RedactedKind::Secret => line.replace(value.as_str(), &label),
                _ => replace_words(&line, value, &label),
            };
        }
        self.known = known;
        line
    }

    fn replaced(&mut self, line: &str, rule: &RedactRule) -> String {
        let mut out = String::new();
        let mut at = 0;
        loop {
            // a search that gives up may have missed something
            let Ok(found) = rule.regex.search_range(line, at, line.len()) else {
                return format!("<{} characters>", line.chars().count());
            };
            let value = found.and_then(|found| found.group(rule.group));
            let Some((from, to)) = value.filter(|(from, to)| from < to) else {
                break;
            };
            out.push_str(&line[at..from]);
            let value = &line[from..to];
            match self.is_harmless(rule.kind, value) {
                true => out.push_str(value),
                false => {
                    let bare = value.trim_matches(['"', '\'']);
                    let label = self.label(rule.kind, bare);
                    out.push_str(&label);
                }
            }
            at = to;
        }
        out.push_str(&line[at..]);
        out
    }

    /// Whether a value that has the form of something to be taken out is none.
    fn is_harmless(&self, kind: RedactedKind, value: &str) -> bool {
        // a label of an earlier rule, or its beginning
        let label = value
            .strip_prefix('<')
            .and_then(|label| label.split(' ').next());
        if label.is_some_and(|label| is_among("address host key mail secret url user", label)) {
            return true;
        }
        match kind {
            RedactedKind::Address => match value.parse::<IpAddr>() {
                Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
                // the time of day looks like the beginning of an address
                Err(_) => value.contains(':') && value.split(':').count() < 6,
            },
            RedactedKind::Host => {
                let mut parts: Vec<&str> = value.split('.').collect();
                let is_name = parts.len() == 2 && NO_HOSTS.contains(&parts[0]);
                while parts
                    .last()
                    .is_some_and(|last| is_among(NO_DOMAINS, &last.to_lowercase()))
                {
                    parts.pop();
                }
                is_name || value.contains('.') && parts.len() < 2
            }
            RedactedKind::Url => value.starts_with('/'),
            RedactedKind::Mail => value.ends_with(".service"),
            RedactedKind::Key => self.kept.contains(value) || is_plain_word(value),
            RedactedKind::Secret => false,
            RedactedKind::User => value == "root",
        }
    }
}

/// Whether a word that was taken for a key by its look alone reads like words or numbers.
fn is_plain_word(value: &str) -> bool {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let letters = value.chars().filter(char::is_ascii_alphabetic).count();
    value.chars().count() >= LOOKS
        && (value.starts_with('/')
            || digits == 0 && value.contains(['-', '_', '/'])
            || letters == 0
            || value.chars().all(|c| c == '-' || c == '='))
}

/// Whether a word is among words.
pub fn is_among(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|known| known == word)
}

/// Replaces a value where it is a whole word.
fn replace_words(line: &str, value: &str, label: &str) -> String {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(value) {
        let (before, behind) = (&rest[..at], &rest[at + value.len()..]);
        out.push_str(before);
        let is_word = !inside(before.chars().next_back()) && !inside(behind.chars().next());
        out.push_str(if is_word { label } else { value });
        rest = behind;
    }
    out + rest
}

/// Which part of the world an address is of.
fn world(ip: IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(ip) => world_of_v4(ip),
        IpAddr::V6(ip) => ip
            .to_ipv4_mapped()
            .map_or_else(|| world_of_v6(ip), world_of_v4),
    }
}

fn world_of_v4(ip: Ipv4Addr) -> &'static str {
    let [first, second, ..] = ip.octets();
    let shared = first == 100 && (64..128).contains(&second);
    match ip {
        ip if ip.is_private() || shared => "private IPv4",
        ip if ip.is_link_local() => "link-local IPv4",
        ip if ip.is_multicast() || ip.is_broadcast() => "multicast IPv4",
        _ => "public IPv4",
    }
}

fn world_of_v6(ip: Ipv6Addr) -> &'static str {
    match ip {
        ip if ip.is_unique_local() => "private IPv6",
        ip if ip.is_unicast_link_local() => "link-local IPv6",
        ip if ip.is_multicast() => "multicast IPv6",
        _ => "public IPv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_and_what_they_belong_to_stays() {
        for (line, expected) in [
            (
                "Ban 192.0.2.7, again 192.0.2.7 and 10.0.0.0/8",
                "Ban <address 1, public IPv4>, again <address 1, public IPv4> and <address 2, private IPv4>/8",
            ),
            (
                "from 2001:db8::7 at 10:11:12,345",
                "from <address 1, public IPv6> at 10:11:12,345",
            ),
            (
                "127.0.0.1/8 ::1 0.0.0.0/0 ::/0",
                "127.0.0.1/8 ::1 0.0.0.0/0 ::/0",
            ),
            (
                "to root@mail.example.com and /etc/fail2ban/jail.local",
                "to <mail 1> and /etc/fail2ban/jail.local",
            ),
            (
                "fail2ban.filter sees www.example.com in /var/log/www.example.com.log",
                "fail2ban.filter sees <host 1> in /var/log/<host 2>",
            ),
            ("password = hunter2", "password = <secret 1>"),
            (
                "smtp_password=\"two words\", port=25",
                "smtp_password=<secret 1>, port=25",
            ),
            ("Authorization: Bearer abc.def", "Authorization: <secret 1>"),
            (
                "curl -u bob:pw1234 https://api.example.com/x?token=1",
                "curl -u <secret 1> https://<url 1>",
            ),
            (
                "mysql -phunter2 --user bob",
                "mysql <secret 2> --user <secret 1>",
            ),
            (
                "iptables -p tcp -m multiport",
                "iptables -p tcp -m multiport",
            ),
            (
                "key ghp_16C7e42F292c6912E7710c838347Ae178B4a",
                "key <key 1>",
            ),
            (
                "nginx-http-auth-and-more sees 1234567890123456789",
                "nginx-http-auth-and-more sees 1234567890123456789",
            ),
            (
                "password=correct-horse-battery-staple pwd=<angle-1",
                "password=<secret 1> pwd=<secret 2>",
            ),
            (
                "login failed, password: pw-1, token t-2",
                "login failed, password: <secret 1>, token <secret 2>",
            ),
            (
                "/var/lib/fail2ban/fail2ban.sqlite3",
                "/var/lib/fail2ban/fail2ban.sqlite3",
            ),
            ("x aa:bb:cc:dd:ee:ff", "x <address 1>"),
            ("/home/anna/x", "/home/<user 1>/x"),
        ] {
            let mut redactor = Redactor::new().expect("expressions");
            assert_eq!(redactor.text(line), expected);
        }
    }

    #[test]
    fn known_values_go_wherever_they_stand() {
        let mut redactor = Redactor::new().expect("expressions");
        redactor.knows_secret("s3cr:et");
        redactor.knows_host("srv");
        redactor.knows_user("anna");
        let shown = redactor.text("srv: xs3cr:etx anna, annabel");
        assert_eq!(shown, "<host 1>: x<secret 1>x <user 1>, annabel");
        let shown = redactor
            .log_line("Nov 29 10:00:00 box sshd[1]: Invalid user bert from 192.0.2.1 port 4");
        assert_eq!(
            shown,
            "Nov 29 10:00:00 <host 2> sshd[1]: Invalid user <user 2> from <address 1, public IPv4> port 4"
        );
    }
}
