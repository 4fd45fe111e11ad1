//! Lines on which Python searches for minutes or for ever: those known to stall the reference's
//! filters, among them the user names of GHSA-33wh-ccjc-p397. Each must be done with, and the
//! line after it be found as always. That this takes no time is for the `adversary` example to
//! measure; here a stall would be a test that does not end.

mod common;

use ferroban::parts::config;
use ferroban::parts::filter::{Clock, Filter};

const NOW: f64 = 1_795_287_600.0;
/// Length of the rows that attackers write.
const LONG: usize = 2_000;

/// Filter, an attacker's line, what the `#` in it is a row of; and a line that is a failure.
const ATTACKS: &[(&str, &str, &[&str], &str)] = &[
    (
        "dovecot",
        "imap-login: Disconnected: # (auth failed, 1 attempts): user=<#>, rip=#",
        &["(", "()", " ", "a ", ": ", ">", "=<", "(a"],
        "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2",
    ),
    (
        "domino-smtp",
        "SMTP Server: Authentication failed for user # ; connecting host #",
        &[" ", "a ", "; ", "[", "user "],
        "[28325:00010-3735542592]  smtp: postmaster [192.0.2.1] authentication failure using internet password",
    ),
    (
        "sshd",
        "sshd[1]: Too many authentication failures for # from # port",
        &[" ", " from ", "1", "a ", ":"],
        "sshd[1]: Failed password for root from 192.0.2.1 port 22 ssh2",
    ),
    (
        "sshd[logtype=rfc5424]",
        "<38>1 - host sshd 1 - #Failed password for # from #",
        &["[", "[]", "[a ", "\"", " ", "[a=\"b\" "],
        "",
    ),
    (
        "pam-generic[logtype=rfc5424]",
        "<38>1 - host x 1 - #",
        &["[", "[a ", "\"", "("],
        "",
    ),
    (
        "exim[mode=aggressive]",
        "H=# [192.0.2.1] F=<#> rejected #",
        &["\"", "(", " ", "#\"", "a "],
        "",
    ),
    ("lighttpd-auth", "(mod_auth.c.1) #", &[" ", "a ", ": "], ""),
    ("freeswitch", "[WARNING] # [#", &[" ", "[", "a "], ""),
    ("softethervpn", "# #", &[" ", "- "], ""),
    ("zoneminder", "web_php[1].ERR [#", &["::", " ", "["], ""),
    ("grafana", "logger=context # msg=#", &["=", " ", "\""], ""),
    ("roundcube-auth", "roundcube: #", &[" ", "<", "a "], ""),
    ("slapd", "slapd[1]: conn=# fd=#", &["=", " "], ""),
    (
        "apache-auth",
        "[error] [client # user #",
        &[":", "::", " ", "`"],
        "",
    ),
    (
        "recidive",
        "fail2ban.actions # NOTICE #",
        &["\t", " ", "["],
        "",
    ),
    (
        "asterisk",
        "NOTICE[1] # failed for '#",
        &["\t", "'", " ", "\""],
        "",
    ),
    ("assp", "# [SMTP Error] #", &["a@", " ", "["], ""),
];

fn filter(version: &str, name: &str) -> Option<Filter> {
    let base = common::reference(version).join("etc/fail2ban");
    let file = name.split('[').next().unwrap_or(name);
    if !base.join(format!("filter.d/{file}.conf")).exists() {
        return None;
    }
    let path = base
        .join("filter.d")
        .join(name.replacen(file, &format!("{file}.conf"), 1));
    let found = config::find_filter(&base, &path.to_string_lossy(), "auto");
    let found = found.expect("a filter").expect("a file").options;
    let mut filter = Filter::new(name);
    if let Some(prefregex) = &found.prefregex {
        filter.set_prefregex(prefregex).expect("prefregex");
    }
    for regex in &found.failregex {
        filter.add_failregex(regex).expect("failregex");
    }
    Some(filter)
}

#[test]
fn no_line_stalls_a_filter() {
    let clock = Clock {
        now: NOW,
        in_operation: true,
        findtime: 600.0,
    };
    let mut lines = 0;
    for version in ["1.0.2", "1.1.1"] {
        for (name, line, payloads, failure) in ATTACKS {
            let Some(mut filter) = filter(version, name) else {
                continue;
            };
            let mut failures =
                |line: &str| filter.process_line(line, Some(("", NOW)), &clock).len();
            for payload in *payloads {
                let row = payload.repeat(LONG / payload.len());
                for end in ["", "\u{1}"] {
                    failures(&format!("{}{end}", line.replace('#', &row)));
                    lines += 1;
                }
                let expected = usize::from(!failure.is_empty());
                assert_eq!(
                    failures(failure),
                    expected,
                    "{version} {name} after {payload:?}"
                );
            }
        }
    }
    assert!(lines > 150, "only {lines} lines");
}
