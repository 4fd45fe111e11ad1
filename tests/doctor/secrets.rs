//! `ferroban doctor --support`: what is secret is in the report nowhere, and what helps stays.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::common;
use crate::machine::Machine;

/// Secrets of many shapes, each with where it is planted.
#[rustfmt::skip]
const SECRETS: &[&str] = &[
    // action parameters
    "abuse5c1e77f0ab", "cfTok-91hZ_q", "op3n.sesame!", "tg:AAHdqTcvCH1vGW", "smtpPW 4 me",
    // commands of actions
    "dXNlcjpwYXNzd29yZA==", "hunter2-in-command", "pgPass#77", "b0b:s3cr3tpw", "eyJhbGciOiJIUzI1NiJ9.payload.sig",
    // variables of jails, addresses and names in options
    "zoneid-77aa", "chat-4711-99", "203.0.113.77", "2001:db8:77::9", "office.example-corp.com", "alerts@example-corp.com",
    "carol-home", "shop.customer.example",
    // units and environments
    "unitSecret-1", "envSecret-2", "proxyUser9:proxyPw9", "ownEnvSecret-3", "execPostSecret-4",
    // the server's log
    "198.51.100.23", "2001:db8::beef", "logpw-55x", "trudy-the-user", "T0KEN/B0/xoxb1234", "mallory@evil.example",
    "evil-host.example.net", "10.20.30.40", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "curlSecret-6", "matchSecret-7",
    "AKIAIOSFODNN7EXAMPLE", "stderrToken-8", "debugSecret-9", "02:42:ac:11:00:02", "srv-inner-name",
    "correct-horse-battery-staple", "angle-pw-1",
    // names of the machine and of people on it
    "vault-box", "vault-box.corp.example", "dave",
];

fn machine() -> Machine {
    let machine = Machine::healthy();
    machine.file("/etc/hostname", "vault-box\n");
    machine.file("/etc/mailname", "vault-box.corp.example\n");
    machine.file(
        "/etc/passwd",
        "root:x:0:0::/root:/bin/sh\ndave:x:1000:1000::/home/dave:/bin/sh\n",
    );
    machine.file(
        "/etc/fail2ban/action.d/own.conf",
        "[Definition]\n\
         actionban = curl -H 'Authorization: Basic dXNlcjpwYXNzd29yZA==' -u b0b:s3cr3tpw https://h.example-corp.com/<ip>\n \
         mysql -phunter2-in-command -e 'x' ; PGPASSWORD=pgPass#77 psql\n \
         curl -H 'X-Thing: eyJhbGciOiJIUzI1NiJ9.payload.sig' x <apikey>\n\
         actionunban = true # op3n.sesame!\n\n[Init]\napikey = none\nchatid = 1\n",
    );
    machine.file(
        "/etc/fail2ban/jail.local",
        "[DEFAULT]\nabuseipdb_apikey = abuse5c1e77f0ab\ncfzone = zoneid-77aa\ndestemail = alerts@example-corp.com\n\
         sender = fail2ban@vault-box.corp.example\nignoreip = 127.0.0.1/8 203.0.113.77 2001:db8:77::9 office.example-corp.com\n\
         [sshd]\nenabled = true\nbackend = polling\nmaxretry = 4\nlogpath = /var/log/auth.log\n /home/carol-home/shop.customer.example.access.log\n\
         banaction = nftables\naction = %(banaction)s[port=\"22\"]\n own[name=sshd, apikey=\"cfTok-91hZ_q\", password='op3n.sesame!', bottoken=\"tg:AAHdqTcvCH1vGW\", smtp_pass=\"smtpPW 4 me\", chatid=\"chat-4711-99\"]\n",
    );
    machine.file("/home/carol-home/shop.customer.example.access.log", "");
    machine.file(
        "/usr/lib/systemd/system/fail2ban.service",
        "[Unit]\nDescription=for dave\n[Service]\nType=simple\nEnvironment=\"API_TOKEN=unitSecret-1\" HTTP_PROXY=http://proxyUser9:proxyPw9@p.example-corp.com\n\
         ExecStart=/usr/bin/fail2ban-server -xf start\nExecStartPost=/usr/bin/curl --data execPostSecret-4 x\nProtectSystem=strict\n",
    );
    machine.file("/proc/812/environ", "PATH=/bin\0MY_SECRET=envSecret-2\0");
    let stamp = "2026-11-29 10:11:12,123";
    let lines = [
        "fail2ban.server         [812]: INFO    Starting Fail2ban v1.1.1".to_owned(),
        "fail2ban.filter         [812]: INFO    [sshd] Found 198.51.100.23 - 2026-11-29 10:11:12".to_owned(),
        "fail2ban.actions        [812]: NOTICE  [sshd] Ban 198.51.100.23".to_owned(),
        "fail2ban.actions        [812]: NOTICE  [sshd] Ban 2001:db8::beef".to_owned(),
        "fail2ban.actions        [812]: NOTICE  [sshd] Ban 10.20.30.40".to_owned(),
        "fail2ban.filter         [812]: WARNING Nov 29 10:11:12 srv-inner-name sshd[7]: Invalid user trudy-the-user from evil-host.example.net port 22".to_owned(),
        "fail2ban.utils          [812]: ERROR   7f1 -- exec: curl -d key=curlSecret-6 https://hooks.example.com/T0KEN/B0/xoxb1234".to_owned(),
        "    continued with debugSecret-9".to_owned(),
        "fail2ban.utils          [812]: ERROR   7f1 -- stderr: 'login failed, password: logpw-55x, token stderrToken-8'".to_owned(),
        "fail2ban.actions        [812]: ERROR   Failed to execute ban jail 'sshd' action 'own' info 'ActionInfo({'matches': 'x matchSecret-7'})': Error".to_owned(),
        "fail2ban.utils          [812]: WARNING posted to https://hooks.example.com/services/T0KEN/B0/xoxb1234 for mallory@evil.example".to_owned(),
        "fail2ban.utils          [812]: WARNING used ghp_16C7e42F292c6912E7710c838347Ae178B4a and AKIAIOSFODNN7EXAMPLE at 02:42:ac:11:00:02".to_owned(),
        "fail2ban.utils          [812]: WARNING tried password=correct-horse-battery-staple and pwd=<angle-pw-1".to_owned(),
        "fail2ban.filter         [812]: DEBUG   line debugSecret-9 from 198.51.100.23".to_owned(),
    ];
    let log: String = lines
        .iter()
        .map(|line| format!("{stamp} {line}\n"))
        .collect();
    machine.file("/var/log/fail2ban.log", &log);
    machine
}

fn support(machine: &Machine, words: &[&str]) -> String {
    let mut command = common::ours("doctor");
    let output = command
        .env("DEPLOY_TOKEN", "ownEnvSecret-3")
        .arg("--support")
        .arg("--root")
        .arg(machine.path("/"))
        .args(words)
        .output()
        .unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn no_secret_is_in_the_report_and_what_helps_stays() {
    let machine = machine();
    let text = support(&machine, &[]);
    let root = machine.path("/").display().to_string();
    let leaks: Vec<&&str> = SECRETS
        .iter()
        .filter(|secret| text.contains(**secret))
        .collect();
    assert!(
        SECRETS.len() >= 25 && leaks.is_empty(),
        "{leaks:?} in\n{text}"
    );
    assert!(!text.contains(&root), "{text}");
    for part in [
        "Ferroban ",
        "== findings",
        "fail2ban.service, enabled",
        "ProtectSystem=strict",
        "Environment=<",
        "[sshd]\n",
        "maxretry = 4  ; /etc/fail2ban/jail.local:10",
        "logpath = /var/log/auth.log",
        "ignoreip = 127.0.0.1/8 <address ",
        "apikey=<12 characters>",
        "port=22",
        "actionban = <",
        "[sshd] Found <address ",
        ", public IPv4> - 2026-11-29 10:11:12",
        ", private IPv4>",
        ", public IPv6>",
        "Invalid user <user ",
        "-- exec: <",
        "Failed to execute ban jail 'sshd' action 'own'",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    // the same address has the same number
    let ban = text
        .lines()
        .find(|line| line.contains("[sshd] Ban <address"))
        .unwrap();
    let found = text
        .lines()
        .find(|line| line.contains("[sshd] Found <address"))
        .unwrap();
    let number = |line: &str| {
        line.split_once("<address ")
            .unwrap()
            .1
            .split(',')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(number(ban), number(found));
}

#[test]
fn the_report_goes_to_a_new_file_for_its_owner_alone() {
    let machine = machine();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report");
    let words = ["--output", file.to_str().unwrap()];
    assert_eq!(support(&machine, &words), "");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("== configuration"), "{text}");
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = support(&machine, &words);
    assert!(again.contains("cannot write"), "{again}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}
