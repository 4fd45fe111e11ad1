//! The recipes of `docs/recipes`: their files, put into the shipped configuration, do on log lines what
//! the page promises.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The files of a recipe: blocks that follow a path under `/etc/fail2ban`.
fn files(recipe: &str) -> Vec<(String, String)> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(repository.join("docs/recipes").join(recipe)).unwrap();
    let mut files = Vec::new();
    for part in page.split("`/etc/fail2ban/").skip(1) {
        let (path, rest) = part.split_once('`').unwrap();
        let lines = rest.lines().skip_while(|line| !line.starts_with("    "));
        let block = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
        let text: String = block
            .map(|line| format!("{}\n", line.get(4..).unwrap_or_default()))
            .collect();
        files.push((path.to_owned(), text));
    }
    assert!(!files.is_empty(), "no file in {recipe}");
    files
}

/// A machine set up after a recipe.
struct Machine {
    directory: tempfile::TempDir,
    server: Option<Child>,
}

impl Machine {
    fn new(recipe: &str) -> Machine {
        let directory = tempfile::tempdir().unwrap();
        let machine = Machine {
            directory,
            server: None,
        };
        let here = machine.directory.path().display().to_string();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::create_dir_all(machine.path("etc/jail.d")).unwrap();
        fs::create_dir(machine.path("mail")).unwrap();
        for part in ["filter.d", "action.d", "jail.conf", "fail2ban.conf"] {
            common::copy_tree(&repository.join(part), &machine.path("etc").join(part));
        }
        for (path, text) in files(recipe) {
            machine.write(&format!("etc/{path}"), &text.replace("/var/log", &here));
        }
        machine.write(
            "etc/fail2ban.local",
            &format!(
                "[DEFAULT]\nsocket = {here}/s\npidfile = {here}/p\ndbfile = {here}/db\nlogtarget = {here}/f2b.log\n"
            ),
        );
        machine.write(
            "etc/action.d/sendmail.local",
            &format!("[Init]\nmailcmd = {here}/sendmail\n"),
        );
        machine.write(
            "sendmail",
            &format!(
                "#!/bin/sh\ncat >{here}/mail/$$.part && mv {here}/mail/$$.part {here}/mail/$$\n"
            ),
        );
        fs::set_permissions(machine.path("sendmail"), fs::Permissions::from_mode(0o755)).unwrap();
        for log in ["mail.log", "auth.log"] {
            machine.write(log, "");
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Starts the server and waits for its jails.
    fn start(&mut self, jails: &[&str]) {
        let server = common::ours("fail2ban-server");
        self.server = Some(common::serve(server, &self.path("etc")));
        for jail in jails {
            let up = || self.client(&["status", jail]).contains("Banned IP");
            assert!(common::eventually(20, up), "{}", self.read("f2b.log"));
        }
    }

    /// Ends the server as a power cut does.
    fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    fn client(&self, words: &[&str]) -> String {
        let mut client = common::ours("fail2ban-client");
        client.arg("-c").arg(self.path("etc")).args(words);
        String::from_utf8_lossy(&client.output().unwrap().stdout).into_owned()
    }

    /// Writes lines as syslog does, now.
    fn log(&self, name: &str, lines: &[String]) {
        let now = chrono::Local::now().format("%b %e %H:%M:%S");
        let text: String = lines
            .iter()
            .map(|line| format!("{now} mail {line}\n"))
            .collect();
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn wait(&self, what: &str, check: impl Fn() -> bool) {
        let happened = common::eventually(20, check);
        assert!(happened, "{what}:\n{}\n{}", rules(), self.read("f2b.log"));
    }

    /// Every mail that was sent.
    fn mails(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("mail")).unwrap().flatten();
        let whole = entries.filter(|entry| entry.path().extension().is_none());
        whole
            .filter_map(|entry| fs::read_to_string(entry.path()).ok())
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn rules() -> String {
    let output = Command::new("iptables-save").output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn offences_have_limits_of_their_own_on_one_interface() {
    let test = "offences_have_limits_of_their_own_on_one_interface";
    common::in_network_namespace(test, || {
        let jails = ["postfix-rejected", "postfix-no-smtp", "postfix-errors"];
        let mut machine = Machine::new("interface-and-quiet.md");
        machine.start(&jails);
        let rejected = |ip: &str| {
            format!(
                "postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[{ip}]: 454 4.7.1 <a@example.net>: Relay access denied; proto=SMTP"
            )
        };
        let breach = |ip: &str| {
            format!(
                "postfix/smtpd[7]: warning: non-SMTP command from unknown[{ip}]: GET / HTTP/1.0"
            )
        };
        let errors =
            |ip: &str| format!("postfix/smtpd[7]: too many errors after DATA from unknown[{ip}]");
        machine.log(
            "mail.log",
            &[
                rejected("198.51.100.1"),
                rejected("198.51.100.1"),
                rejected("198.51.100.2"),
                rejected("198.51.100.2"),
                breach("192.168.3.4"),
                rejected("198.51.100.1"),
                breach("198.51.100.3"),
                errors("198.51.100.4"),
            ],
        );
        let ban = |jail: &str, ip: &str| format!("-A f2b-{jail} -s {ip}/32 -j DROP");
        let banned = [
            ban(jails[0], "198.51.100.1"),
            ban(jails[1], "198.51.100.3"),
            ban(jails[2], "198.51.100.4"),
        ];
        let all = || banned.iter().all(|rule| rules().contains(rule));
        machine.wait("bans", all);
        let found = rules();
        for jail in jails {
            let chain = format!("-A INPUT -i eth1 -p tcp -j f2b-{jail}");
            assert!(found.contains(&chain), "{found}");
        }
        assert_eq!(found.matches("-j DROP").count(), 3, "{found}");
        assert_eq!(
            machine.client(&["get", jails[0], "unbanwhenquiet"]),
            "True\n"
        );
        // the power fails, the rules are gone
        std::thread::sleep(std::time::Duration::from_millis(1200));
        machine.kill();
        for arguments in [["-F"], ["-X"]] {
            let flushed = Command::new("iptables").args(arguments).status().unwrap();
            assert!(flushed.success());
        }
        assert!(!all());
        machine.start(&jails);
        machine.wait("bans after the restart", all);
    });
}

#[test]
fn five_lines_whenever_they_came_are_a_ban_and_a_mail_that_quotes_them() {
    let test = "five_lines_whenever_they_came_are_a_ban_and_a_mail_that_quotes_them";
    common::in_network_namespace(test, || {
        let mut machine = Machine::new("evidence.md");
        machine.start(&["dovecot-pam"]);
        let failure = |user: &str, ip: &str| {
            format!(
                "dovecot-auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser={user} rhost={ip}"
            )
        };
        let mapped = "::ffff:198.51.100.82";
        machine.log(
            "mail.log",
            &[
                failure("anna", mapped),
                failure("bert", mapped),
                failure("carl", "198.51.100.82"),
                failure("anna", "198.51.100.83"),
            ],
        );
        let counted = || {
            machine
                .read("f2b.log")
                .matches("Found 198.51.100.82")
                .count()
                == 3
        };
        machine.wait("three lines", counted);
        assert!(!rules().contains("-j DROP"));
        // logrotate; nobody restarts anything
        fs::rename(machine.path("mail.log"), machine.path("mail.log.1")).unwrap();
        machine.log(
            "mail.log",
            &[failure("dora", mapped), failure("emil", mapped)],
        );
        machine.wait("the ban", || {
            rules().contains("-A f2b-dovecot-pam -s 198.51.100.82/32 -j DROP")
        });
        assert_eq!(rules().matches("-j DROP").count(), 1);
        let banned = |mail: &String| mail.contains("dovecot-pam: banned 198.51.100.82");
        machine.wait("the mail", || machine.mails().iter().any(banned));
        let mails = machine.mails();
        let mail = mails.iter().find(|mail| banned(mail)).unwrap();
        // those in the log that is not rotated yet
        assert!(
            mail.contains("ruser=dora") && mail.contains("ruser=emil"),
            "{mail}"
        );
        let with_time = machine.client(&["get", "dovecot-pam", "banip", "--with-time"]);
        assert!(with_time.contains(" + 3600 = "), "{with_time}");
    });
}

#[test]
fn a_service_without_addresses_is_limited_while_its_logins_fail() {
    let test = "a_service_without_addresses_is_limited_while_its_logins_fail";
    common::in_network_namespace(test, || {
        let mut machine = Machine::new("rate-limit.md");
        machine.start(&["saslauthd"]);
        let failure = |user: &str, service: &str| {
            format!(
                "saslauthd[812]: do_auth         : auth failure: [user={user}] [service={service}] [realm=] [mech=pam] [reason=PAM auth error]"
            )
        };
        let mut lines: Vec<String> = ["anna", "bert", "carl", "dora", "emil"]
            .map(|user| failure(user, "smtp"))
            .to_vec();
        lines.push(failure("anna", "imap"));
        machine.log("auth.log", &lines);
        let limit = "-p tcp -m tcp --dport 25 -m conntrack --ctstate NEW -m hashlimit --hashlimit-above 4/min --hashlimit-burst 16";
        machine.wait("the limit", || rules().contains(limit));
        assert!(!rules().contains("--dport 143"), "{}", rules());
        assert_eq!(machine.client(&["unban", "smtp"]), "1\n");
        machine.wait("no limit", || !rules().contains(limit));
    });
}
