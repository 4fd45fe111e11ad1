//! `ferroban doctor` on made-up machines, and on a server that runs: it finds each fault, and nothing
//! where all is well.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "doctor/live.rs"]
mod live;
#[path = "doctor/machine.rs"]
mod machine;
#[path = "doctor/secrets.rs"]
mod secrets;

use std::fs;

use machine::Machine;

/// What makes a machine another.
type Plant = fn(&Machine);

/// A fault, and what must be said of it: its kind, and a part of the message.
struct Fault {
    name: &'static str,
    plant: Plant,
    kind: &'static str,
    says: &'static str,
}

const PYTHON: &str = "#!/usr/bin/python3\nimport sys\n";
const HOUR: i64 = 3600;

#[rustfmt::skip]
const FAULTS: &[Fault] = &[
    Fault {
        name: "two servers",
        plant: |m| m.process(901, "/usr/bin/python3 /usr/bin/fail2ban-server -xf start"),
        kind: "two-servers", says: "fail2ban, process 901",
    },
    Fault {
        name: "two servers by one configuration and two sockets",
        plant: |m| m.process(901, "ferroban server -s /run/other -f start"),
        kind: "two-servers", says: "2 servers",
    },
    Fault {
        name: "no server",
        plant: |m| m.remove("/proc/812"),
        kind: "not-running", says: "fail2ban.service is enabled",
    },
    Fault {
        name: "a program that was replaced",
        plant: |m| m.link("/usr/bin/ferroban (deleted)", "/proc/812/exe"),
        kind: "old-program", says: "process 812",
    },
    Fault {
        name: "links to nothing",
        plant: |m| {
            m.link("/usr/local/sbin/ferroban", "/usr/bin/fail2ban-client");
        },
        kind: "command", says: "/usr/bin/fail2ban-client is a link to a program that is not there",
    },
    Fault {
        name: "a name that is still the original",
        plant: |m| m.program("/usr/bin/fail2ban-regex", PYTHON),
        kind: "command", says: "/usr/bin/fail2ban-regex is still the original",
    },
    Fault {
        name: "an original before ours in the search path",
        plant: |m| m.program("/usr/local/bin/fail2ban-client", PYTHON),
        kind: "command", says: "/usr/local/bin/fail2ban-client comes before /usr/bin/fail2ban-client",
    },
    Fault {
        name: "two programs that differ",
        plant: |m| m.program("/usr/local/sbin/ferroban", "\x7fELF of last year"),
        kind: "command", says: "/usr/local/sbin/ferroban and /usr/bin/ferroban",
    },
    Fault {
        name: "a unit without the drop-in",
        plant: |m| {
            for name in ["client", "server", "regex"] {
                m.program(&format!("/usr/bin/fail2ban-{name}"), PYTHON);
                m.link("/usr/bin/ferroban", &format!("/usr/local/bin/fail2ban-{name}"));
            }
        },
        kind: "unit", says: "fail2ban.service starts the original",
    },
    Fault {
        name: "a unit whose program is not there",
        plant: |m| m.file("/etc/systemd/system/fail2ban.service.d/own.conf", "[Service]\nExecStart=\nExecStart=/opt/fail2ban-server -f start\n"),
        kind: "unit", says: "starts /opt/fail2ban-server, which is not there",
    },
    Fault {
        name: "two units",
        plant: |m| m.unit("ferroban.service", "/usr/bin/ferroban server -xf start"),
        kind: "unit", says: "both started",
    },
    Fault {
        name: "no firewall program",
        plant: |m| m.remove("/usr/sbin/nft"),
        kind: "tool", says: "nft is not installed",
    },
    Fault {
        name: "no program that mails",
        plant: |m| {
            m.jail("action = %(action_mw)s\n");
            m.remove("/usr/sbin/sendmail");
        },
        kind: "mail-program", says: "sendmail is not installed",
    },
    Fault {
        name: "no journal",
        plant: |m| m.jail("backend = systemd\n"),
        kind: "journal", says: "which the jails sshd read",
    },
    Fault {
        name: "no log",
        plant: |m| m.remove("/var/log/auth.log"),
        kind: "missing-log", says: "/var/log/auth.log",
    },
    Fault {
        name: "a log that nobody writes",
        plant: |m| m.age("/var/log/auth.log", 10 * 24 * HOUR),
        kind: "log", says: "has not been written to for 10 days",
    },
    Fault {
        name: "a log that is empty for days",
        plant: |m| {
            m.file("/var/log/auth.log", "");
            m.age("/var/log/auth.log", 4 * 24 * HOUR);
        },
        kind: "log", says: "is empty, and has been for 4 days",
    },
    Fault {
        name: "a quiet log of a service",
        plant: |m| {
            m.file("/var/log/own.log", "");
            m.age("/var/log/own.log", 9 * 24 * HOUR);
            m.jail("logpath = /var/log/own.log\n");
        },
        kind: "log", says: "for 9 days",
    },
    Fault {
        name: "a service that writes to the rotated log",
        plant: |m| {
            m.age("/var/log/auth.log", 5 * HOUR);
            m.file("/var/log/auth.log.1", &m.attempts(0, "192.0.2.7"));
        },
        kind: "log", says: "still writes to /var/log/auth.log.1",
    },
    Fault {
        name: "a log without dates",
        plant: |m| m.file("/var/log/auth.log", &"GET / HTTP/1.1 by 192.0.2.7\n".repeat(200)),
        kind: "no-date", says: "neither a date nor a failure in the last 200 lines",
    },
    Fault {
        name: "a log from the future",
        plant: |m| m.file("/var/log/auth.log", &m.attempts(-5800, "192.0.2.7")),
        kind: "clock", says: "1.6 hours in the future",
    },
    Fault {
        name: "a log of another zone",
        plant: |m| m.file("/var/log/auth.log", &m.attempts(2 * HOUR, "192.0.2.7")),
        kind: "clock", says: "2 hours before it was written",
    },
    Fault {
        name: "a log of a zone to the east",
        plant: |m| m.file("/var/log/auth.log", &m.attempts(-HOUR, "192.0.2.7")),
        kind: "clock", says: "1 hours after it was written",
    },
    Fault {
        name: "a clock that was set back",
        plant: |m| m.age("/var/log/auth.log", -5 * HOUR),
        kind: "clock", says: "in the future",
    },
    Fault {
        name: "a directory for a database",
        plant: |m| {
            m.remove("/var/lib/fail2ban/fail2ban.sqlite3");
            fs::create_dir_all(m.path("/var/lib/fail2ban/fail2ban.sqlite3")).unwrap();
        },
        kind: "database", says: "is a directory",
    },
    Fault {
        name: "a database that is none",
        plant: |m| m.file("/var/lib/fail2ban/fail2ban.sqlite3", "<html>this is no database</html>"),
        kind: "database", says: "no database of SQLite",
    },
    Fault {
        name: "a database that belongs to another",
        plant: |m| m.file("/proc/812/status", "PPid:\t1\nUid:\t77\t77\t77\t77\nCapEff:\t0000000000001000\n"),
        kind: "database", says: "another user than the server's (77)",
    },
    Fault {
        name: "a socket that is gone",
        plant: |m| m.remove("/var/run/fail2ban/fail2ban.sock"),
        kind: "socket", says: "is gone",
    },
    Fault {
        name: "a file in the socket's place",
        plant: |m| {
            m.remove("/var/run/fail2ban/fail2ban.sock");
            m.file("/var/run/fail2ban/fail2ban.sock", "");
        },
        kind: "socket", says: "is no socket",
    },
    Fault {
        name: "a socket for everybody",
        plant: |m| m.mode("/var/run/fail2ban/fail2ban.sock", 0o777),
        kind: "socket", says: "everybody may write to the socket",
    },
    Fault {
        name: "a socket of somebody else",
        plant: |m| std::os::unix::fs::chown(m.path("/var/run/fail2ban/fail2ban.sock"), Some(12345), None).unwrap(),
        kind: "socket", says: "belongs to user 12345",
    },
    Fault {
        name: "a refusal by AppArmor",
        plant: |m| m.file("/var/log/kern.log", &format!(
            "audit: type=1400 audit({}.123:45): apparmor=\"DENIED\" operation=\"open\" profile=\"fail2ban\" \
             name=\"/srv/log/x\" pid=812 comm=\"fail2ban-server\"\n", m.now())),
        kind: "denied", says: "AppArmor has refused the server 1 times, at last: open /srv/log/x",
    },
    Fault {
        name: "a refusal by SELinux",
        plant: |m| m.file("/var/log/audit/audit.log", &format!(
            "type=AVC msg=audit({}.123:45): avc:  denied  {{ read }} for  pid=812 comm=\"f2b/worker\" name=\"x.log\" \
             scontext=system_u:system_r:fail2ban_t:s0 permissive=0\n", m.now())),
        kind: "denied", says: "SELinux has refused the server 1 times, at last: read x.log",
    },
    Fault {
        name: "an ignoreip of everything",
        plant: |m| m.jail("ignoreip = 127.0.0.1 0.0.0.0/0\n"),
        kind: "ignores-everyone", says: "ignoreip covers all of IPv4",
    },
    Fault {
        name: "a private network that is all there is",
        plant: |m| {
            m.jail("ignoreip = 10.0.0.0/8\n");
            m.file("/var/log/auth.log", &m.attempts(0, "10.1.2.3").repeat(8));
        },
        kind: "ignores-everyone", says: "are of private addresses",
    },
    Fault {
        name: "a configuration that does not load",
        plant: |m| m.file("/etc/fail2ban/jail.d/x.local", "this is no section\n"),
        kind: "configuration", says: "does not load",
    },
    Fault {
        name: "a mistake that lint finds",
        plant: |m| m.jail("maxrety = 3\n"),
        kind: "lint", says: "lint has 1 warnings",
    },
    Fault {
        name: "a rotation that tells nobody",
        plant: |m| m.file("/etc/logrotate.d/fail2ban", "/var/log/fail2ban.log {\n weekly\n create 640 root adm\n}\n"),
        kind: "own-log", says: "does not tell the server",
    },
    Fault {
        name: "a server that writes to the old log",
        plant: |m| m.link("/var/log/fail2ban.log.1", "/proc/812/fd/3"),
        kind: "own-log", says: "/var/log/fail2ban.log.1",
    },
    Fault {
        name: "a server that writes to a log that was removed",
        plant: |m| m.link("/var/log/fail2ban.log (deleted)", "/proc/812/fd/3"),
        kind: "own-log", says: "(deleted)",
    },
];

#[test]
fn each_fault_is_found() {
    let mut missed = Vec::new();
    for fault in FAULTS {
        let machine = Machine::healthy();
        (fault.plant)(&machine);
        let (code, json) = machine.doctor();
        let found = machine::findings(&json);
        let told = found
            .iter()
            .any(|(_, kind, message)| kind == fault.kind && message.contains(fault.says));
        let severities: Vec<&str> = found
            .iter()
            .map(|(severity, ..)| severity.as_str())
            .collect();
        let expected = match severities.first() {
            Some(&"error") => 3,
            Some(&"warning") => 1,
            _ => 0,
        };
        if !told || code != expected {
            missed.push(format!("{}: {code} {found:#?}", fault.name));
        }
        // a fault is not blamed on what is sound
        let others = found
            .iter()
            .filter(|(_, kind, _)| kind != fault.kind)
            .count();
        if others > 1 {
            missed.push(format!("{}: told too much: {found:#?}", fault.name));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn healthy_machines_have_no_finding() {
    #[rustfmt::skip]
    let variants: &[(&str, Plant)] = &[
        ("as it is", |_| {}),
        ("swapped by hand, with the drop-in", |m| {
            m.file("/usr/local/sbin/ferroban", "\x7fELF");
            m.remove("/usr/bin/ferroban");
            for name in ["client", "server", "regex"] {
                m.program(&format!("/usr/bin/fail2ban-{name}"), PYTHON);
                m.link("/usr/local/sbin/ferroban", &format!("/usr/local/bin/fail2ban-{name}"));
            }
            m.file("/etc/systemd/system/fail2ban.service.d/override.conf",
                "[Service]\nExecStart=\nExecStart=/usr/local/bin/fail2ban-server -xf start\n");
        }),
        ("our own unit, which is fail2ban's by another name", |m| {
            m.remove("/usr/lib/systemd/system/fail2ban.service");
            m.remove("/etc/systemd/system/multi-user.target.wants/fail2ban.service");
            m.unit("ferroban.service", "/usr/bin/ferroban server -xf start");
            m.link("/usr/lib/systemd/system/ferroban.service", "/etc/systemd/system/fail2ban.service");
        }),
        ("a server in a container beside", |m| {
            m.process(4001, "/usr/bin/python3 /usr/bin/fail2ban-server -f start");
            m.file("/proc/4001/status", "PPid:\t4000\nUid:\t0\t0\t0\t0\nNSpid:\t4001\t1\n");
        }),
        ("a server in a container that shares the process numbers", |m| {
            m.process(4001, "/usr/bin/python3 /usr/bin/fail2ban-server -f start");
            m.file("/proc/4001/cgroup", "0::/system.slice/docker-0123abc.scope\n");
        }),
        ("a log without dates whose lines count", |m| {
            m.file("/var/log/auth.log", &"sshd[7]: Invalid user anna from 192.0.2.7 port 4\n".repeat(200));
        }),
        ("a second server of its own configuration", |m| {
            m.file("/etc/other/fail2ban.conf", "[Definition]\nsocket = /run/other.sock\n");
            m.process(901, "fail2ban-server -c /etc/other -f start");
        }),
        ("a log that was rotated just now", |m| {
            m.file("/var/log/auth.log.1", &m.attempts(HOUR, "192.0.2.7"));
            m.age("/var/log/auth.log.1", HOUR);
            m.file("/var/log/auth.log", "");
        }),
        ("a log whose last line is of yesterday", |m| {
            m.file("/var/log/auth.log", &m.attempts(20 * HOUR + 1200, "192.0.2.7"));
            m.age("/var/log/auth.log", 20 * HOUR + 1200);
        }),
        ("private networks are ignored, others fail", |m| {
            m.jail("ignoreip = 10.0.0.0/8\n");
            m.file("/var/log/auth.log", &(m.attempts(0, "10.1.2.3").repeat(8) + &m.attempts(0, "192.0.2.7")));
        }),
        ("a refusal of another program, one of old and one that was let through", |m| m.file("/var/log/kern.log", &format!(
            "x audit({0}.1:1): apparmor=\"DENIED\" operation=\"open\" profile=\"nginx\" name=\"/var/log/fail2ban.log\" comm=\"nginx\"\n\
             x audit(1700000000.1:2): apparmor=\"DENIED\" operation=\"open\" profile=\"f2b\" name=\"/x\" comm=\"fail2ban-server\"\n\
             x audit({0}.1:3): avc:  denied  {{ read }} for comm=\"fail2ban-server\" name=\"x\" permissive=1\n", m.now()))),
        ("no database", |m| m.file("/etc/fail2ban/fail2ban.local", "[Definition]\ndbfile = None\n")),
        ("a log target that is no file", |m| m.file("/etc/fail2ban/fail2ban.local", "[Definition]\nlogtarget = SYSTEMD-JOURNAL\n")),
        ("a jail that is not enabled and needs what is not there", |m| {
            m.file("/etc/fail2ban/jail.d/off.local", "[nginx-http-auth]\nenabled = false\nbanaction = shorewall\nlogpath = /none\n");
        }),
        ("a rotation that copies", |m| m.file("/etc/logrotate.d/fail2ban", "/var/log/fail2ban.log { weekly\n copytruncate\n}\n")),
        ("a filter whose lines have no date", |m| {
            m.file("/etc/fail2ban/filter.d/own.conf", "[Definition]\nfailregex = ^bad <ADDR>$\ndatepattern = {NONE}\n");
            m.file("/var/log/own.log", &"bad 192.0.2.8\n".repeat(300));
            m.jail("filter = own\nlogpath = /var/log/own.log\n");
        }),
    ];
    for (name, change) in variants {
        let machine = Machine::healthy();
        change(&machine);
        let (code, json) = machine.doctor();
        let found = machine::findings(&json);
        assert!(found.is_empty() && code == 0, "{name}: {found:#?}");
    }
}

#[test]
fn the_text_is_eighty_columns_wide_with_the_worst_first_and_a_cure() {
    let machine = Machine::healthy();
    machine.jail("maxrety = 3\n");
    machine.remove("/usr/sbin/nft");
    let (code, text) = machine.shown(&["-v"]);
    assert_eq!(code, 3, "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    let error = text.find("error: nft is not installed").unwrap();
    let warning = text.find("warning: lint has 1 warnings").unwrap();
    assert!(error < warning, "{text}");
    for part in [
        "    cure: install nftables",
        "    cure: run ferroban lint\n",
        "ok: ",
        "not looked at: ",
        "1 errors, 1 warnings, 0 notes",
    ] {
        assert!(text.contains(part), "{part}\nnot in\n{text}");
    }
    let (_, text) = machine.shown(&[]);
    assert!(!text.contains("ok: "), "{text}");
}

#[test]
fn looking_changes_nothing() {
    let machine = Machine::healthy();
    let before = machine.everything();
    machine.doctor();
    assert_eq!(machine.everything(), before);
}
