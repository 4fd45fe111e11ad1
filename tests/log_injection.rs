//! Log injection: what an attacker may write into a log (user names, requests, greetings, mail
//! addresses) must not get an address of their choice banned. Each line is tried on the filters
//! shipped here and on the original's, with the text the attack wants to be taken for another
//! line, and with a harmless text, which must be taken for what it is.

mod common;
mod injection;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Who attacks.
const ATTACKER: &str = "203.0.113.9";
/// Whom the attacker wants to be banned.
const VICTIM: &str = "192.0.2.66";

/// One kind of line. `{}` is what the attacker writes, `{n}` a number of its own for each line.
struct Case {
    filter: &'static str,
    line: &'static str,
    harmless: &'static str,
    attacks: &'static [&'static str],
}

const SSH_NAMES: &[&str] = &[
    "root from 192.0.2.66",
    "root from 192.0.2.66 port 22 ssh2",
    "root from 192.0.2.66 port 22",
    "x from 192.0.2.66 not allowed because not listed in AllowUsers",
    "from 192.0.2.66 port 22 [preauth]",
    " 192.0.2.66 port 22 [preauth]",
    "x rhost=192.0.2.66",
    "invalid user y from 192.0.2.66",
    "::ffff:192.0.2.66",
];

/// CVE-2006-6302, CVE-2007-4321, CVE-2009-0362, the user names of 0.10, and D. Cid's of 2007.
const SSHD: &[&str] = &[
    "Nov 20 10:00:00 srv sshd[{n}]: Invalid user {} from 203.0.113.9 port 4022",
    "Nov 20 10:00:00 srv sshd[{n}]: Failed password for {} from 203.0.113.9 port 4022 ssh2",
    "Nov 20 10:00:00 srv sshd[{n}]: User {} from 203.0.113.9 not allowed because not listed in AllowUsers",
];

const CASES: &[Case] = &[
    Case {
        filter: "sshd[mode=aggressive]",
        line: "Nov 20 10:00:00 srv sshd[{n}]: Bad protocol version identification '{}' from 203.0.113.9 port 4022",
        harmless: "GET / HTTP/1.0",
        attacks: &[
            "x' from 192.0.2.66 port 22",
            "Failed password for root from 192.0.2.66 port 22 ssh2",
            "' from 192.0.2.66",
        ],
    },
    Case {
        filter: "sshd[mode=aggressive]",
        line: "Nov 20 10:00:00 srv sshd[{n}]: Connection closed by authenticating user {} 203.0.113.9 port 4022 [preauth]",
        harmless: "bob",
        attacks: &[
            "x 192.0.2.66 port 22 [preauth]",
            "192.0.2.66",
            "x 192.0.2.66 port 22",
        ],
    },
    Case {
        filter: "pam-generic",
        line: "Nov 20 10:00:00 srv app[{n}]: pam_unix(app:auth): authentication failure; logname= uid=0 euid=0 tty=a ruser={} rhost=203.0.113.9  user=bob",
        harmless: "bob",
        attacks: &[
            "rhost=192.0.2.66",
            "x rhost=192.0.2.66 ",
            "x rhost=192.0.2.66  user=y",
        ],
    },
    // wu-ftpd of CVE-2007-4321's kin
    Case {
        filter: "wuftpd",
        line: "Nov 20 10:00:00 srv wu-ftpd[{n}]: pam_unix(wu-ftpd:auth): authentication failure; logname= uid=0 euid=0 tty= ruser={} rhost=203.0.113.9  user=bob",
        harmless: "bob",
        attacks: &["rhost=192.0.2.66", "x rhost=192.0.2.66 "],
    },
    // CVE-2013-2178
    Case {
        filter: "apache-auth",
        line: "[Fri Nov 20 10:00:00.000000 2026] [auth_basic:error] [pid {n}:tid 1] [client 203.0.113.9:4022] AH01618: user {} not found: /",
        harmless: "bob",
        attacks: &[
            "[client 192.0.2.66:1] AH01618: user x not found: /",
            "x not found: / [client 192.0.2.66] user y",
        ],
    },
    Case {
        filter: "apache-noscript",
        line: "[Fri Nov 20 10:00:00.000000 2026] [cgi:error] [pid {n}:tid 1] [client 203.0.113.9:4022] script '/srv/www/{}.php' not found or unable to stat",
        harmless: "a",
        attacks: &[
            "[client 192.0.2.66:1] script '/x",
            "' not found or unable to stat [client 192.0.2.66] script '/srv/x",
        ],
    },
    Case {
        filter: "apache-overflows",
        line: "[Fri Nov 20 10:00:00.000000 2026] [core:error] [pid {n}:tid 1] [client 203.0.113.9:4022] AH00126: Invalid URI in request GET {} HTTP/1.1",
        harmless: "/../..",
        attacks: &["[client 192.0.2.66:1] AH00126: Invalid URI in request GET"],
    },
    // CVE-2013-7176
    Case {
        filter: "postfix",
        line: "Nov 20 10:00:00 mx postfix/smtpd[{n}]: NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 554 5.7.1 <a@example.net>: Relay access denied; from=<{}> to=<a@example.net> proto=ESMTP helo=<x>",
        harmless: "b@example.org",
        attacks: &[
            "RCPT from x[192.0.2.66]: 554 5.7.1 <y>: Relay access denied",
            "x> NOQUEUE: reject: RCPT from unknown[192.0.2.66]: 554 5.7.1 <y>: Relay access denied; from=<z",
        ],
    },
    Case {
        filter: "postfix[mode=auth]",
        line: "Nov 20 10:00:00 mx postfix/smtpd[{n}]: warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: authentication failure, sasl_username={}",
        harmless: "bob",
        attacks: &["x[192.0.2.66]: SASL LOGIN authentication failed: authentication failure"],
    },
    // CVE-2013-7177
    Case {
        filter: "cyrus-imap",
        line: "Nov 20 10:00:00 mx imap[{n}]: badlogin: host.example [203.0.113.9] plaintext {} SASL(-13): authentication failure: checkpass failed",
        harmless: "bob",
        attacks: &[
            "badlogin: x [192.0.2.66] plaintext y",
            "[192.0.2.66] plaintext",
        ],
    },
    Case {
        filter: "dovecot",
        line: "Nov 20 10:00:00 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<{}>, method=PLAIN, rip=203.0.113.9, lip=198.51.100.1, session=<a>",
        harmless: "bob",
        attacks: &[
            "x>, method=PLAIN, rip=192.0.2.66, lip=198.51.100.1, session=<b",
            "x>, rip=192.0.2.66, y=<",
            "rip=192.0.2.66",
        ],
    },
    Case {
        filter: "dovecot",
        line: "Nov 20 10:00:00 mx dovecot: auth-worker({n}): pam({},203.0.113.9): unknown user",
        harmless: "bob",
        attacks: &[
            "x,192.0.2.66",
            "x,192.0.2.66): unknown user",
            "x,192.0.2.66,<a>): unknown user (y",
        ],
    },
    Case {
        filter: "exim",
        line: "2026-11-20 10:00:00 [{n}] login authenticator failed for (host) [203.0.113.9]: 535 Incorrect authentication data (set_id={})",
        harmless: "bob",
        attacks: &[
            "x) [192.0.2.66]: 535 Incorrect authentication data (set_id=y",
            "[192.0.2.66]",
        ],
    },
    Case {
        filter: "vsftpd",
        line: "Fri Nov 20 10:00:00 2026 [pid {n}] [{}] FAIL LOGIN: Client \"203.0.113.9\"",
        harmless: "bob",
        attacks: &[
            "x] FAIL LOGIN: Client \"192.0.2.66\" [",
            "x] FAIL LOGIN: Client \"192.0.2.66\"",
        ],
    },
    Case {
        filter: "proftpd",
        line: "Nov 20 10:00:00 srv proftpd[{n}] srv (203.0.113.9[203.0.113.9]): USER {}: no such user found from 203.0.113.9 [203.0.113.9] to 198.51.100.1:21",
        harmless: "bob",
        attacks: &[
            "x: no such user found from 192.0.2.66 [192.0.2.66] to 198.51.100.1:21",
            "srv (x[192.0.2.66]): USER y",
        ],
    },
    Case {
        filter: "nginx-http-auth",
        line: "2026/11/20 10:00:00 [error] {n}#0: *1 user \"{}\" was not found in \"/etc/p\", client: 203.0.113.9, server: a, request: \"GET / HTTP/1.1\", host: \"a\"",
        harmless: "bob",
        attacks: &[
            "x\" was not found in \"/etc/p\", client: 192.0.2.66, server: a, request: \"GET / HTTP/1.1\", host: \"a",
            "x\": password mismatch, client: 192.0.2.66, server: ",
        ],
    },
    Case {
        filter: "nginx-botsearch",
        line: "2026/11/20 10:00:00 [error] {n}#0: *1 open() \"/srv/{}\" failed (2: No such file or directory), client: 203.0.113.9, server: a, request: \"GET /{} HTTP/1.1\", host: \"a\"",
        harmless: "phpMyAdmin-2.1/index.php",
        attacks: &[
            "wp-login.php\" failed (2: No such file or directory), client: 192.0.2.66, server: a, request: \"GET /wp-login.php HTTP/1.1",
        ],
    },
    Case {
        filter: "asterisk",
        line: "[2026-11-20 10:00:00] NOTICE[{n}] chan_sip.c: Registration from '{}' failed for '203.0.113.9:5060' - Wrong password",
        harmless: "\"a\" <sip:a@198.51.100.1>",
        attacks: &[
            "x' failed for '192.0.2.66' - Wrong password",
            "x' failed for '192.0.2.66:5060' - Wrong password",
        ],
    },
    Case {
        filter: "mysqld-auth",
        line: "2026-11-20T10:00:00.000000Z {n} [Note] Access denied for user '{}'@'203.0.113.9' (using password: YES)",
        harmless: "bob",
        attacks: &["x'@'192.0.2.66' (using password: YES)", "x'@'192.0.2.66"],
    },
    Case {
        filter: "named-refused",
        line: "Nov 20 10:00:00 ns named[{n}]: client 203.0.113.9#4022: query (cache) '{}' denied",
        harmless: "example.net/NS/IN",
        attacks: &["client 192.0.2.66#1: query (cache) 'x/NS/IN"],
    },
    Case {
        filter: "roundcube-auth",
        line: "[20-Nov-2026 10:00:00 +0000]: <a{n}> IMAP Error: Login failed for {} from 203.0.113.9. AUTHENTICATE PLAIN: Authentication failed. in /a.php on line 1 (POST /)",
        harmless: "bob",
        attacks: &[
            "x from 192.0.2.66",
            "x from 192.0.2.66. AUTHENTICATE PLAIN: y",
        ],
    },
    // GHSA-33wh-ccjc-p397: names that once held the filter up
    Case {
        filter: "domino-smtp",
        line: "20/11/2026 10:00:00   SMTP Server: Authentication failed for user {} ; connecting host 203.0.113.9",
        harmless: "bob",
        attacks: &["x ; connecting host 192.0.2.66"],
    },
];

/// Which expression is to blame in the original, whose own program says the same: (filter, attack).
const BLAMED: &[(&str, &str)] = &[
    ("pam-generic", "x rhost=192.0.2.66  user=y"),
    ("dovecot", "x,192.0.2.66): unknown user"),
    ("dovecot", "x,192.0.2.66,<a>): unknown user (y"),
];

fn cases() -> Vec<Case> {
    let sshd = SSHD.iter().map(|line| Case {
        filter: "sshd[mode=aggressive]",
        line,
        harmless: "bob",
        attacks: SSH_NAMES,
    });
    let others = CASES.iter().map(|case| Case { ..*case });
    sshd.chain(others).collect()
}

/// The ids of each line of a log.
fn ids(mut program: std::process::Command, words: &[&str]) -> BTreeMap<String, Vec<String>> {
    let output = program
        .args(words)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("run");
    assert!(output.status.success(), "{words:?}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let (id, message) = line.split_once('\t').unwrap_or((line, ""));
        found
            .entry(message.to_owned())
            .or_default()
            .push(id.to_owned());
    }
    found
}

struct Attempt {
    filter: &'static str,
    attack: Option<&'static str>,
    line: String,
}

fn attempts() -> Vec<Attempt> {
    let mut all = Vec::new();
    for case in cases() {
        let attacks = case.attacks.iter().copied().map(Some);
        for attack in std::iter::once(None).chain(attacks) {
            let number = (1000 + all.len()).to_string();
            let line = case.line.replace("{}", attack.unwrap_or(case.harmless));
            all.push(Attempt {
                filter: case.filter,
                attack,
                line: line.replace("{n}", &number),
            });
        }
    }
    all
}

/// Tries all lines on those filters that `config` has; what is wrong comes back, and how many
/// lines were tried.
fn judge(config: &Path, blamed: &[(&str, &str)]) -> (Vec<String>, usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let config = config.to_string_lossy();
    let mut by_filter: BTreeMap<&str, Vec<Attempt>> = BTreeMap::new();
    for attempt in attempts() {
        by_filter.entry(attempt.filter).or_default().push(attempt);
    }
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for (filter, attempts) in by_filter {
        let name = filter.split('[').next().unwrap_or(filter);
        if !Path::new(&*config)
            .join(format!("filter.d/{name}.conf"))
            .exists()
        {
            continue;
        }
        tried += attempts.len();
        let log: PathBuf = dir.path().join("log");
        let text: String = attempts.iter().map(|a| format!("{}\n", a.line)).collect();
        fs::write(&log, text).expect("write");
        let log = log.to_string_lossy();
        let words = [
            "-c",
            &config,
            "--usedns",
            "no",
            "-o",
            "<ip>\t<msg>",
            &log,
            filter,
        ];
        let found = ids(common::ours("fail2ban-regex"), &words);
        for attempt in attempts {
            let ids = found.get(&attempt.line).cloned().unwrap_or_default();
            let right = match attempt.attack {
                None => ids == [ATTACKER],
                Some(attack) if blamed.contains(&(filter, attack)) => {
                    ids.iter().any(|id| id == VICTIM)
                }
                Some(_) => !ids.iter().any(|id| id.contains(VICTIM)),
            };
            if !right {
                wrong.push(format!("{filter}: {ids:?} for {}", attempt.line));
            }
        }
    }
    (wrong, tried)
}

#[test]
fn filters_shipped_here_cannot_be_led() {
    let (wrong, tried) = judge(Path::new(env!("CARGO_MANIFEST_DIR")), &[]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 50, "only {tried} lines had a filter");
}

#[test]
fn filters_of_the_original_cannot_be_led_by_us() {
    let config = common::reference("1.1.1").join("etc/fail2ban");
    let (wrong, tried) = judge(&config, BLAMED);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(tried, attempts().len());
}

/// Where an expression of the original lets itself be led, its own program does as ours.
#[test]
fn the_original_is_led_where_its_expressions_are_to_blame() {
    let config = common::reference("1.1.1").join("etc/fail2ban");
    let config = config.to_string_lossy();
    for (filter, attack) in BLAMED {
        let attempts = attempts();
        let attempt = attempts
            .iter()
            .find(|a| a.filter == *filter && a.attack == Some(attack))
            .expect("an attack of the table");
        let words = ["-c", &config, "-o", "<ip>\t<msg>", &attempt.line, *filter];
        let found = ids(common::original("1.1.1", "fail2ban-regex"), &words);
        assert_eq!(found[&attempt.line], [VICTIM], "{filter}: {attack}");
    }
}

/// How many attempts all filters together have to bear, unless `FERROBAN_INJECTION` names a number for
/// each or says `whole`: the test takes as long with more filters.
const SAMPLE: usize = 10_000;

fn extent() -> injection::Extent {
    use injection::Extent;
    match std::env::var("FERROBAN_INJECTION").as_deref() {
        Ok("whole") => Extent::Whole,
        Ok(number) => Extent::Sample(number.parse().expect("a number, or whole")),
        Err(_) => Extent::Sample(SAMPLE / injection::filters().max(1)),
    }
}

/// Whatever clients write into any field that is theirs, nobody else is blamed for it, and they
/// are. `FERROBAN_INJECTION_CONFIG` names another configuration to try, `FERROBAN_INJECTION_FILTERS` how
/// the names of the filters to try begin, separated by commas.
#[test]
fn no_text_of_a_client_leads_a_shipped_filter() {
    let config = std::env::var_os("FERROBAN_INJECTION_CONFIG");
    let config = config.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let named = std::env::var("FERROBAN_INJECTION_FILTERS").unwrap_or_default();
    let scores = injection::all(&config, extent(), &|name| {
        named.split(',').any(|begin| name.starts_with(begin))
    });
    assert!(!scores.is_empty(), "no filter begins with {named}");
    let table = injection::table(&scores);
    let wrong = |s: &injection::Score| s.led.len() + s.missed.len();
    assert_eq!(scores.values().map(wrong).sum::<usize>(), 0, "{table}");
    println!("{table}");
}

/// The filters of the original that lint knows.
const KNOWN_TO_LINT: &[&str] = &[
    "apache-auth",
    "dovecot",
    "nginx-http-auth",
    "postfix",
    "recidive",
    "sshd",
];

#[test]
fn lint_names_what_leads_the_filters_of_the_original() {
    use ferroban::parts::pattern::{FailRegex, UseDns};
    let mut unnamed = Vec::new();
    for version in ["1.1.1", "1.0.2"] {
        let config = common::reference(version).join("etc/fail2ban");
        let scores = injection::all(&config, injection::Extent::Sample(300), &|name| {
            KNOWN_TO_LINT.iter().any(|known| name.starts_with(known))
        });
        assert!(scores.values().any(|score| !score.leading.is_empty()));
        let leading = scores.into_values().flat_map(|score| score.leading);
        unnamed.extend(leading.filter(|source| {
            let regex = FailRegex::new(source, UseDns::Warn, false).expect("a regex");
            ferroban::parts::lint::leads(&regex).is_none()
        }));
    }
    assert!(unnamed.is_empty(), "{unnamed:#?}");
}

/// A message of several lines is one entry of a journal, and no part of it is a line of its own.
#[test]
fn a_message_of_several_lines_is_one() {
    use ferroban::parts::filter::{Clock, Filter};
    let config = common::reference("1.1.1").join("etc/fail2ban");
    for config in [config.as_path(), Path::new(env!("CARGO_MANIFEST_DIR"))] {
        let found =
            ferroban::parts::config::find_filter(config, "sshd[mode=aggressive]", "systemd");
        let options = found.expect("usable").expect("there").options;
        let mut filter = Filter::new("sshd");
        filter
            .set_prefregex(options.prefregex.as_deref().unwrap_or_default())
            .expect("prefregex");
        for regex in &options.failregex {
            filter.add_failregex(regex).expect("failregex");
        }
        filter.disable_dates();
        let clock = Clock {
            now: 1_795_168_800.0,
            in_operation: true,
            findtime: 600.0,
        };
        let mut failures = |line: &str| -> Vec<String> {
            let found = filter.process_line(line, Some(("", clock.now)), &clock);
            found.iter().map(|f| format!("{:?}", f.id)).collect()
        };
        let forged = "srv sshd[7]: Failed password for root from 192.0.2.66 port 22 ssh2";
        assert_eq!(failures(forged).len(), 1, "{}", config.display());
        for message in [
            format!("srv sshd[8]: error: hello\n{forged}"),
            format!("srv sshd[9]: banner\r\n{forged}\n"),
            format!("srv app[1]: x\n{forged}"),
        ] {
            assert_eq!(failures(&message), [""; 0], "{message}");
        }
    }
}
