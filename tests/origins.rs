//! The home-made systems this program replaces, on log lines like theirs. Here: sections and filters
//! of the fail2ban 0.8 era, for Dovecot and Postfix on one mail log.

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};

/// As such machines have them: actions with arguments of their own, the second on a line of its
/// own, blanks between ignored networks.
const JAILS: &str = r#"
[DEFAULT]
ignoreip = 127.0.0.1 10.0.0.0/8 192.168.0.0/16 172.16.0.0/16

[dovecot-old]
enabled  = true
filter   = dovecot-old
action   = iptables-multiport[name=dovecot, port="smtp,smtps,submission,pop3,pop3s,imap,imaps", protocol=tcp]
           sendmail-whois[name=dovecot, dest=admin@example.com]
logpath  = DIR/maillog
maxretry = 5
findtime = 1200
bantime  = 1200

[postfix-old]
enabled  = true
filter   = postfix-old
action   = iptables-multiport[name=postfix, port="smtp,smtps,submission", protocol=tcp]
           sendmail-whois[name=postfix, dest=admin@example.com]
           hostsdeny[file=DIR/hosts.deny]
logpath  = DIR/maillog
maxretry = 3
findtime = 1200
bantime  = 1200
"#;

/// A group named `host` instead of the tag, a flag in front of a part, a tab that syslog wrote as #011.
const DOVECOT: &str = r"
[Definition]
failregex = (?:pop3-login|imap-login): (?:Authentication failure|Aborted login \(auth failed|Disconnected \(auth failed).*rip=(?P<host>\S*),.*
            (?i)dovecot.*auth.*password mismatch.*\#011rip=<HOST>\#
ignoreregex =
";

const POSTFIX: &str = r"
[Definition]
failregex = reject: RCPT from (.*)\[<HOST>\]: 554
            statistics: max recipient rate .*\/.*s for \(smtp:<HOST>\) at .*
ignoreregex =
";

struct Server {
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(etc: &Path, words: &[&str]) -> String {
    let output = common::ours("fail2ban-client")
        .arg("-c")
        .arg(etc)
        .args(words)
        .output();
    String::from_utf8_lossy(&output.expect("client").stdout).into_owned()
}

fn rules() -> String {
    let output = Command::new("iptables-save").output().expect("iptables");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn append(log: &Path, lines: &[String]) {
    let now = chrono::Utc::now().format("%b %e %H:%M:%S");
    let text: String = lines
        .iter()
        .map(|line| format!("{now} mail {line}\n"))
        .collect();
    let mut file = fs::OpenOptions::new().append(true).open(log).expect("log");
    file.write_all(text.as_bytes()).expect("written");
}

#[test]
fn sections_and_filters_of_the_0_8_era_load_and_ban() {
    common::in_network_namespace("sections_and_filters_of_the_0_8_era_load_and_ban", || {
        let temporary = tempfile::tempdir().expect("directory");
        let dir = temporary.path();
        let etc = dir.join("etc");
        common::copy_tree(&common::reference("1.1.1").join("etc/fail2ban"), &etc);
        let here = |text: &str| text.replace("DIR", &dir.display().to_string());
        let sendmail = dir.join("sendmail");
        for (path, text) in [
            (etc.join("jail.local"), here(JAILS)),
            (etc.join("jail.d/defaults-debian.conf"), String::new()),
            (etc.join("filter.d/dovecot-old.conf"), DOVECOT.to_owned()),
            (etc.join("filter.d/postfix-old.conf"), POSTFIX.to_owned()),
            (
                etc.join("fail2ban.local"),
                here(
                    "[Definition]\nsocket = DIR/s\npidfile = DIR/p\ndbfile = DIR/db\nlogtarget = DIR/log\n",
                ),
            ),
            (
                etc.join("action.d/sendmail-common.local"),
                here("[Init]\nmailcmd = DIR/sendmail -f \"<sender>\" \"<dest>\"\n"),
            ),
            (
                sendmail.clone(),
                here("#!/bin/sh\ncat > DIR/mail.$$.part && mv DIR/mail.$$.part DIR/mail.$$\n"),
            ),
            (dir.join("maillog"), String::new()),
            (dir.join("hosts.deny"), "# mine\n".to_owned()),
        ] {
            fs::write(path, text).expect("written");
        }
        fs::set_permissions(&sendmail, fs::Permissions::from_mode(0o755)).expect("mode");
        let child = common::serve(common::ours("fail2ban-server"), &etc);
        let _server = Server { child };
        let log = || fs::read_to_string(dir.join("log")).unwrap_or_default();
        assert!(
            common::eventually(60, || client(&etc, &["status"])
                .contains("dovecot-old, postfix-old")),
            "{}",
            log()
        );

        let login = |ip: &str| {
            format!(
                "dovecot: imap-login: Disconnected (auth failed, 1 attempts): user=<bob>, method=PLAIN, rip={ip}, lip=192.0.2.25"
            )
        };
        let tab = |ip: &str| format!("dovecot: auth: Password Mismatch#011rip={ip}#");
        let relay = |ip: &str| {
            format!(
                "postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[{ip}]: 554 5.7.1 <a@example.net>: Relay access denied"
            )
        };
        let rate = |ip: &str| {
            format!(
                "postfix/anvil[8]: statistics: max recipient rate 61/60s for (smtp:{ip}) at Nov 21 10:00:00"
            )
        };
        // 4 and 1: both expressions count; a mapped address is the address
        let mut lines = vec![
            login("::ffff:198.51.100.82"),
            login("198.51.100.82"),
            login("198.51.100.82"),
            login("198.51.100.82"),
        ];
        lines.push(tab("198.51.100.82"));
        lines.extend((0..9).map(|_| login("192.168.7.7")));
        lines.extend([
            relay("203.0.113.9"),
            relay("203.0.113.9"),
            rate("203.0.113.9"),
        ]);
        append(&dir.join("maillog"), &lines);

        assert!(
            common::eventually(60, || rules()
                .contains("-A f2b-dovecot -s 198.51.100.82/32 -j REJECT")
                && rules().contains("-A f2b-postfix -s 203.0.113.9/32 -j REJECT")),
            "{}\n{}",
            rules(),
            log()
        );
        assert!(
            rules().contains("--dports 25,465,587,110,995,143,993 -j f2b-dovecot"),
            "{}",
            rules()
        );
        assert!(
            !rules().contains("192.168."),
            "an ignored address is banned"
        );
        assert!(
            client(&etc, &["get", "dovecot-old", "banip", "--with-time"]).contains(" + 1200 = ")
        );
        let denied = || fs::read_to_string(dir.join("hosts.deny")).unwrap_or_default();
        assert!(
            common::eventually(60, || denied().contains("203.0.113.9")),
            "{}",
            denied()
        );
        assert!(denied().starts_with("# mine\n"));

        let mails = || -> Vec<String> {
            let entries = fs::read_dir(dir).expect("directory").flatten();
            entries
                .filter(|entry| {
                    let name = entry.file_name();
                    let name = name.to_string_lossy();
                    name.starts_with("mail.") && !name.ends_with(".part")
                })
                .filter_map(|entry| fs::read_to_string(entry.path()).ok())
                .collect()
        };
        let told = |text: &str| mails().iter().any(|mail| mail.contains(text));
        assert!(
            common::eventually(60, || told("banned 198.51.100.82")
                && told("banned 203.0.113.9")),
            "{:#?}",
            mails()
        );
        assert!(told("To: admin@example.com"));

        // lifted, from hosts.deny as well
        assert_eq!(client(&etc, &["unban", "--all"]), "2\n");
        assert!(
            common::eventually(60, || !rules().contains("/32 -j REJECT")
                && !denied().contains("203.0.113.9")),
            "{}\n{}",
            rules(),
            denied()
        );
        client(&etc, &["stop"]);
    });
}
