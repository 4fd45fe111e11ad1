//! The main job, end to end, beside the original: the stock configuration with three jails
//! switched on, real log lines, the firewall's rules, the mail, the unban, `kill -9` and restart,
//! and the original's own client on our socket.

mod common;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

const ATTACKER: &str = "192.0.2.61";
const ATTACKER_6: &str = "2001:db8::61";
const MAIL_ATTACKER: &str = "198.51.100.62";

/// A machine in a directory: configuration, logs, database, outgoing mail.
struct Machine {
    dir: tempfile::TempDir,
    program: Program,
    server: Option<Child>,
}

#[derive(Clone, Copy, PartialEq)]
enum Program {
    Original,
    Ours,
}

impl Machine {
    fn new(program: Program) -> Machine {
        let dir = tempfile::tempdir().expect("temporary directory");
        let root = dir.path();
        common::copy_tree(
            &common::reference("1.1.1").join("etc/fail2ban"),
            &root.join("etc"),
        );
        for log in ["auth.log", "mail.log"] {
            fs::write(root.join(log), "").expect("log");
        }
        fs::create_dir(root.join("mails")).expect("mails");
        write_program(
            &root.join("sendmail"),
            &format!(
                "cat > {0}/mails/.$$; printf '%s\\n' \"$@\" > {0}/mails/$$.args; mv {0}/mails/.$$ {0}/mails/$$",
                root.display()
            ),
        );
        fs::write(
            root.join("etc/action.d/sendmail-common.local"),
            format!(
                "[Init]\nmailcmd = {}/sendmail -f \"<sender>\" \"<dest>\"\n",
                root.display()
            ),
        )
        .expect("mail settings");
        fs::write(root.join("etc/fail2ban.local"), format!(
            "[DEFAULT]\nsocket = {0}/f2b.sock\npidfile = {0}/f2b.pid\ndbfile = {0}/f2b.sqlite3\nlogtarget = {0}/f2b.log\n", root.display()
        )).expect("server settings");
        fs::write(root.join("etc/jail.local"), format!(
            "[DEFAULT]\nbackend = auto\nbanaction = iptables-multiport\nmta = sendmail\ndestemail = admin@example.org\nsender = f2b@example.org\naction = %(action_mw)s\nmaxretry = 3\nusedns = no\n\
             [sshd]\nenabled = true\nbackend = auto\nlogpath = {0}/auth.log\nbantime = 1h\n\
             [postfix]\nenabled = true\nbackend = auto\nmode = aggressive\nlogpath = {0}/mail.log\n\
             [dovecot]\nenabled = true\nbackend = auto\nlogpath = {0}/mail.log\nbantime = 7\n", root.display()
        )).expect("jails");
        Machine {
            dir,
            program,
            server: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&mut self) {
        let program = match self.program {
            Program::Original => common::original("1.1.1", "fail2ban-server"),
            Program::Ours => common::ours("fail2ban-server"),
        };
        self.server = Some(common::serve(program, &self.path("etc")));
        assert!(
            common::eventually(60, || self.client(&["ping"]).contains("pong")
                && self.client(&["status"]).contains("dovecot, postfix, sshd")),
            "the server does not come up; log:\n{}",
            self.log()
        );
    }

    /// Always the original's Python client, whoever's server it asks.
    fn client(&self, words: &[&str]) -> String {
        let output = common::original("1.1.1", "fail2ban-client")
            .arg("-c")
            .arg(self.path("etc"))
            .args(words)
            .output()
            .expect("client runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn append(&self, log: &str, lines: &[String]) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.path(log))
            .expect("log");
        let now = chrono::Utc::now().format("%b %e %H:%M:%S");
        let text: String = lines
            .iter()
            .map(|line| format!("{now} mx1 {line}\n"))
            .collect();
        file.write_all(text.as_bytes()).expect("append");
    }

    fn mails(&self) -> Vec<String> {
        let mut mails: Vec<String> = fs::read_dir(self.path("mails"))
            .expect("mails")
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let name = path.file_name()?.to_str()?.to_owned();
                if name.starts_with('.') || name.ends_with(".args") {
                    return None;
                }
                let args = fs::read_to_string(path.with_extension("args")).ok()?;
                let body = fs::read_to_string(&path).ok()?;
                let body: Vec<&str> = body.lines().filter(|l| !l.starts_with("Date: ")).collect();
                Some(format!("{args}---\n{}", body.join("\n")))
            })
            .collect();
        mails.sort();
        mails
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("f2b.log")).unwrap_or_default()
    }

    fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().expect("kill -9");
            server.wait().expect("reaped");
        }
    }

    fn stop(&mut self) {
        self.client(&["stop"]);
        if let Some(mut server) = self.server.take() {
            server.wait().expect("reaped");
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn write_program(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("mode");
}

/// The rules of both families, without counters and times.
fn rules() -> String {
    ["iptables-save", "ip6tables-save"]
        .iter()
        .map(|program| {
            let output = Command::new(program).output().expect("iptables");
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .filter(|line| {
                    !line.starts_with('#') && !line.starts_with(':') || line.contains("f2b-")
                })
                .map(|line| line.split(" [").next().unwrap_or(line).to_owned() + "\n")
                .collect::<String>()
        })
        .collect()
}

fn ssh_failures(ip: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|n| {
            format!(
                "sshd[{}]: Failed password for root from {ip} port {} ssh2",
                100 * ip.len() + n,
                40000 + n
            )
        })
        .collect()
}

fn dovecot_failures(ip: &str) -> Vec<String> {
    (0..3)
        .map(|n| format!("dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<bob{n}>, method=PLAIN, rip={ip}, lip=192.0.2.25, TLS, session=<abc{n}>"))
        .collect()
}

fn postfix_failures(ip: &str) -> Vec<String> {
    (0..3)
        .map(|n| format!("postfix/smtpd[{}]: NOQUEUE: reject: RCPT from unknown[{ip}]: 554 5.7.1 <x{n}@example.net>: Relay access denied; from=<a@example.com> to=<x{n}@example.net> proto=ESMTP helo=<h>", 5100 + n))
        .collect()
}

/// The part of a status that tells of bans. What was found differs after a crash: the original
/// reads the last ten seconds of its logs again, ours one second at most.
fn bans(status: &str) -> String {
    status
        .split_once("`- Actions")
        .map_or_else(|| status.to_owned(), |(_, bans)| bans.to_owned())
}

/// What a run shows, step by step.
#[derive(Debug, PartialEq)]
struct Seen {
    rules_banned: String,
    status_banned: String,
    rules_after_unban: String,
    rules_after_crash: String,
    status_after_crash: String,
    rules_after_stop: String,
    mails: Vec<String>,
}

/// The order in which two jails change the firewall is not fixed; the order within a chain is.
fn sorted_by_chain(rules: &str) -> String {
    let mut lines: Vec<&str> = rules.lines().collect();
    lines.sort_by_key(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() == Some(&"-A") && words.get(1) == Some(&"INPUT") {
            (*line).to_owned()
        } else {
            words.get(1).unwrap_or(&"").to_string()
        }
    });
    lines.join("\n")
}

fn run(program: Program) -> Seen {
    let mut machine = Machine::new(program);
    let dir = machine.dir.path().display().to_string();
    machine.start();

    machine.append("auth.log", &ssh_failures(ATTACKER, 3));
    assert!(
        common::eventually(60, || rules().contains(ATTACKER)),
        "no rule for {ATTACKER}; log:\n{}",
        machine.log()
    );
    machine.append("auth.log", &ssh_failures(ATTACKER_6, 4));
    assert!(
        common::eventually(60, || rules().contains(ATTACKER_6)),
        "no rule for {ATTACKER_6}; log:\n{}",
        machine.log()
    );
    machine.append("mail.log", &postfix_failures(MAIL_ATTACKER));
    assert!(
        common::eventually(60, || rules().contains(MAIL_ATTACKER)),
        "no rule for {MAIL_ATTACKER}; log:\n{}",
        machine.log()
    );
    machine.append("mail.log", &dovecot_failures(ATTACKER));
    let banned = || rules().matches(ATTACKER).count() == 2;
    assert!(
        common::eventually(60, banned),
        "no second rule for {ATTACKER}:\n{}",
        rules()
    );
    let rules_banned = sorted_by_chain(&rules());
    let status_banned = machine.client(&["status", "sshd"]).replace(&dir, "DIR");

    assert!(
        common::eventually(60, || rules().matches(ATTACKER).count() == 1),
        "dovecot's ban is not lifted"
    );
    let rules_after_unban = sorted_by_chain(&rules());

    // whois answers nothing here, but it may take its time to say so; three start mails, four bans
    assert!(
        common::eventually(60, || machine.mails().len() >= 7),
        "mails: {:#?}",
        machine.mails()
    );
    let mails = machine.mails();

    // the original writes its database a moment after the ban
    std::thread::sleep(std::time::Duration::from_secs(2));
    machine.kill();
    for program in ["iptables", "ip6tables"] {
        for args in [["-F"], ["-X"]] {
            Command::new(program).args(args).status().expect("iptables");
        }
    }
    machine.start();
    let restored = || {
        [ATTACKER, ATTACKER_6, MAIL_ATTACKER]
            .iter()
            .all(|ip| rules().contains(ip))
    };
    assert!(
        common::eventually(60, restored),
        "bans do not come back:\n{}",
        rules()
    );
    let rules_after_crash = sorted_by_chain(&rules());
    let status_after_crash = bans(&machine.client(&["status", "sshd"]));
    machine.stop();
    let rules_after_stop = sorted_by_chain(&rules());
    Seen {
        rules_banned,
        status_banned,
        rules_after_unban,
        rules_after_crash,
        status_after_crash,
        rules_after_stop,
        mails: mails.iter().map(|mail| mail.replace(&dir, "DIR")).collect(),
    }
}

#[test]
fn stock_configuration_does_what_the_original_does() {
    common::in_network_namespace("stock_configuration_does_what_the_original_does", || {
        let original = run(Program::Original);
        let ours = run(Program::Ours);
        assert!(
            original.rules_banned.contains(ATTACKER_6),
            "the original itself failed"
        );
        assert_eq!(original.rules_banned, ours.rules_banned);
        assert_eq!(original.status_banned, ours.status_banned);
        assert_eq!(original.rules_after_unban, ours.rules_after_unban);
        assert_eq!(original.rules_after_crash, ours.rules_after_crash);
        assert_eq!(original.status_after_crash, ours.status_after_crash);
        assert_eq!(original.rules_after_stop, ours.rules_after_stop);
        assert_eq!(original.mails, ours.mails);
    });
}
