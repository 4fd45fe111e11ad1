//! The recipes of `docs/recipes`: their files, put into the shipped configuration, do on log lines what
//! the page promises.
#![allow(clippy::unwrap_used)]

mod common;
// the messages' tests look at more of what it was asked
#[allow(dead_code)]
#[path = "notices/recorder.rs"]
mod recorder;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use common::post::{Kind, Post, trusting};
use common::root::{CRON, LOGIN, Root};

fn page(recipe: &str) -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(repository.join("docs/recipes").join(recipe)).unwrap()
}

/// The indented blocks of a recipe, each with the paragraph before it.
fn blocks(recipe: &str) -> Vec<(String, String)> {
    let (mut blocks, mut before) = (Vec::new(), String::new());
    let page = page(recipe);
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with("    ") || before.starts_with('*') {
            // a list item goes on in indented lines
            match line.is_empty() {
                true if lines.peek().is_some_and(|next| next.starts_with("    ")) => {}
                true => before.clear(),
                false => before.push_str(&format!("{line}\n")),
            }
            continue;
        }
        let mut text = format!("{}\n", &line[4..]);
        while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with("    ")) {
            text.push_str(&format!("{}\n", line.get(4..).unwrap_or_default()));
        }
        blocks.push((
            std::mem::take(&mut before),
            format!("{}\n", text.trim_end()),
        ));
    }
    blocks
}

/// The path in a paragraph that ends in a block: what is to be written there.
fn path_of(paragraph: &str) -> Option<&str> {
    let (_, rest) = paragraph.rsplit_once("`/etc/")?;
    rest.split_once('`').map(|(path, _)| path)
}

/// The files of a recipe below `/etc`, by path.
fn all_files(recipe: &str) -> Vec<(String, String)> {
    let blocks = blocks(recipe).into_iter();
    let files = blocks.filter_map(|(before, text)| Some((path_of(&before)?.to_owned(), text)));
    files.collect()
}

/// Those below `/etc/fail2ban`.
fn files(recipe: &str) -> Vec<(String, String)> {
    let all = all_files(recipe).into_iter();
    let files =
        all.filter_map(|(path, text)| Some((path.strip_prefix("fail2ban/")?.to_owned(), text)));
    let files: Vec<_> = files.collect();
    assert!(!files.is_empty(), "no file in {recipe}");
    files
}

/// The commands of a recipe for a shell: blocks, and what stands in the text between back-ticks.
fn commands(recipe: &str) -> Vec<String> {
    let is_command = |text: &str| {
        let program = text.split_whitespace().next().unwrap_or_default();
        text.contains(' ') && (program == "ferroban" || program.starts_with("fail2ban-"))
    };
    let page = page(recipe);
    let mut commands: Vec<String> = Vec::new();
    for (before, text) in blocks(recipe) {
        if path_of(&before).is_some() {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        match lines.iter().all(|line| is_command(line)) {
            true => commands.extend(lines.into_iter().map(str::to_owned)),
            // else it is an example of a log
            false => assert!(text.contains("]: "), "{recipe}: what is this?\n{text}"),
        }
    }
    let spans = page.split('`').skip(1).step_by(2);
    let spans = spans.filter(|span| is_command(span));
    commands.extend(spans.map(|span| span.replace('\n', " ").replace("ADDRESS", "192.0.2.1")));
    commands
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
        for directory in ["etc/jail.d", "etc/fail2ban.d", "mail", "bin"] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        for part in ["filter.d", "action.d"] {
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
            "etc/action.d/sendmail-common.local",
            &format!("[Init]\nmailcmd = {here}/sendmail\n"),
        );
        machine.program(
            "sendmail",
            &format!("cat >{here}/mail/$$.part && mv {here}/mail/$$.part {here}/mail/$$\n"),
        );
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

    /// Puts a shell script where programs are.
    fn program(&self, name: &str, script: &str) {
        self.write(name, &format!("#!/bin/sh\n{script}"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Starts the server and waits for its jails.
    fn start(&mut self, jails: &[&str]) {
        let mut server = common::ours("fail2ban-server");
        let path = std::env::var("PATH").unwrap();
        server.env("PATH", format!("{}:{path}", self.path("bin").display()));
        self.server = Some(common::serve(server, &self.path("etc")));
        for jail in jails {
            let up = || self.client(&["status", jail]).contains("Banned IP");
            assert!(common::eventually(60, up), "{}", self.read("f2b.log"));
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

    /// Runs the report that cron makes in this recipe, with a page of our own.
    fn report(&self, recipe: &str) -> Output {
        let page = page(recipe);
        let (_, words) = page.split_once("ferroban report").unwrap();
        let words = words.lines().next().unwrap();
        let here = self.directory.path().display().to_string();
        let words = words.replace("/var/www/html", &here);
        let mut report = common::ours("report");
        report.arg("-c").arg(self.path("etc"));
        report.args(words.split_whitespace()).output().unwrap()
    }

    /// Writes lines as syslog does, now.
    fn log(&self, name: &str, lines: &[String]) {
        let now = chrono::Utc::now().format("%b %e %H:%M:%S");
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
        let happened = common::eventually(60, check);
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

#[test]
fn clients_that_send_much_are_warned_of_and_banned_and_shown_on_a_page() {
    let test = "clients_that_send_much_are_warned_of_and_banned_and_shown_on_a_page";
    trusting(test, |certificate| {
        let post = Post::new(Kind::StartTls(certificate));
        let mut machine = Machine::new("postfix-volume.md");
        let jails = "etc/jail.d/postfix-volume.conf";
        let server = format!("127.0.0.1:{}", post.port);
        machine.write(
            jails,
            &machine
                .read(jails)
                .replace("mail.example.org ", &format!("{server} ")),
        );
        machine.program(
            "bin/pfctl",
            &format!(
                "echo \"$@\" >>{0}/pf\ncase \"$*\" in *'-f -') cat >>{0}/pf ;; esac\n",
                machine.directory.path().display()
            ),
        );
        machine.start(&["postfix-volume-warning", "postfix-volume"]);
        let client = "198.51.100.7";
        let mails = |from: u32, to: u32| {
            let lines = (from..to).flat_map(|number| {
                let id = format!("{:010X}", 0xA000_0000_u32 + number);
                [
                    format!("postfix/submission/smtpd[7]: {id}: client=unknown[{client}], sasl_method=PLAIN, sasl_username=anna"),
                    format!("postfix/qmgr[8]: {id}: from=<anna@example.org>, size=900, nrcpt=1 (queue active)"),
                    format!("postfix/qmgr[8]: {id}: removed"),
                ]
            });
            lines.collect::<Vec<_>>()
        };
        let failed = |jail: &str, count: u32| {
            let line = format!("Total failed:\t{count}\n");
            machine.wait(&line, || machine.client(&["status", jail]).contains(&line));
        };
        machine.log("mail.log", &mails(0, 99));
        failed("postfix-volume", 99);
        assert!(post.said.lock().unwrap().is_empty());
        machine.log("mail.log", &mails(99, 149));
        let warning = post.conversations(1).concat();
        // base64 of a null byte, fail2ban, a null byte, pass word
        assert!(
            warning.contains("AUTH PLAIN AGZhaWwyYmFuAHBhc3Mgd29yZA==\n"),
            "{warning}"
        );
        assert!(
            warning.contains("RCPT TO:<postmaster@example.org>\n"),
            "{warning}"
        );
        assert!(
            warning.contains("Subject: 198.51.100.7 has sent 100 mails\n"),
            "{warning}"
        );
        assert!(warning.contains("sasl_username=anna\n"), "{warning}");
        failed("postfix-volume", 149);
        assert!(
            !machine.read("pf").contains("-T add"),
            "{}",
            machine.read("pf")
        );
        machine.log("mail.log", &mails(149, 150));
        let added = "-a f2b/postfix-volume -t f2b-postfix-volume -T add 198.51.100.7\n";
        machine.wait("the ban", || machine.read("pf").contains(added));
        for rules in [
            "table <f2b-postfix-volume> persist counters\n",
            "block quick proto tcp from <f2b-postfix-volume> to any\n",
        ] {
            assert!(machine.read("pf").contains(rules), "{}", machine.read("pf"));
        }

        let page = || {
            let output = machine.report("postfix-volume.md");
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{complaint}");
            machine.read("bans.html")
        };
        let row = "<tr><td data-name=\"Address\">198.51.100.7</td>";
        let banned = format!("{row}<td data-name=\"Jail\">postfix-volume</td>");
        let twice = format!("{row}<td data-name=\"Bans\">2</td>");
        let jails = "<td data-name=\"Jails\">postfix-volume, postfix-volume-warning</td>";
        let present = page();
        assert!(present.contains(&banned), "{present}");
        assert!(present.contains(jails), "{present}");
        assert_eq!(machine.client(&["stop"]), "Shutdown successful\n");
        machine.wait("the end of the server", || !machine.path("s").exists());
        assert!(
            machine
                .read("pf")
                .contains("-a f2b/postfix-volume -t f2b-postfix-volume -T kill\n")
        );
        let past = page();
        assert!(past.contains("No server answers at "), "{past}");
        assert!(!past.contains(&banned), "{past}");
        assert!(past.contains(jails), "{past}");
        assert!(past.contains(&twice), "{past}");
    });
}

/// A router is told of addresses and networks in the menu of their family, many in one request; never of what it could
/// read as a command.
#[test]
fn a_router_is_told_of_bans_and_never_of_what_is_no_address() {
    let router =
        recorder::Recorder::new(|_| recorder::Answer::Says(200, String::new(), "{\"ret\":\"*1\"}"));
    let mut machine = Machine::new("routers.md");
    machine.write("login", "dXNlcjpwYXNz\n");
    let action = "etc/action.d/routeros.conf";
    let login = machine.path("login").display().to_string();
    let local = machine
        .read(action)
        .replace("https://", "http://")
        .replace("/etc/fail2ban/routeros.login", &login);
    machine.write(action, &local);
    let jail = "etc/jail.d/router.local";
    let place = format!("host=\"127.0.0.1:{}\"", router.port);
    machine.write(jail, &machine.read(jail).replace("host=192.0.2.1", &place));
    fs::remove_file(machine.path("etc/jail.d/opnsense.local")).unwrap();
    machine.start(&["fleet"]);
    let ids = ["192.0.2.1", "2001:db8::1", "192.0.2.64/26"];
    machine.client(&[&["set", "fleet", "banip", "--ids", "x;/quit"], &ids[..]].concat());
    let scripts = || -> String {
        let asked = router.asked();
        let scripts = asked.iter().map(|asked| {
            assert_eq!(asked.line, "POST /rest/execute");
            assert_eq!(asked.header("authorization"), Some("Basic dXNlcjpwYXNz"));
            asked.json()["script"].as_str().unwrap().to_owned()
        });
        scripts.collect::<Vec<_>>().join("\n")
    };
    let told = |expected: &str| {
        let there = || scripts().contains(expected);
        assert!(common::eventually(60, there), "{expected}\n{}", scripts());
    };
    for (id, menu) in ids.iter().zip(["/ip", "/ipv6", "/ip"]) {
        told(&format!(
            "{menu} firewall address-list add list=fail2ban address={id} comment={id} timeout="
        ));
    }
    assert_eq!(router.asked().len(), 1, "{}", scripts());
    machine.client(&["set", "fleet", "unbanip", "2001:db8::1", "x;/quit"]);
    let two = || router.asked().len() == 2;
    assert!(common::eventually(60, two), "{}", scripts());
    let last = router.asked()[1].json()["script"].clone();
    assert_eq!(
        last,
        "/ipv6 firewall address-list remove [find list=fail2ban comment=2001:db8::1]"
    );
    assert!(!scripts().contains("quit"), "{}", scripts());
}

/// The logs that a file names, below `/var/log`.
fn logs(text: &str) -> Vec<String> {
    let rest = text.split("/var/log/").skip(1);
    let names = rest.filter_map(|rest| rest.split([' ', '"', '\n', ',']).next());
    names.map(str::to_owned).collect()
}

/// What the pages show of a configuration is complete and sound: `lint` and `-t` have nothing to say of it,
/// over the shipped configuration on a machine that has the logs.
#[test]
fn what_pages_show_loads_without_a_warning() {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes");
    let entries = fs::read_dir(recipes).unwrap();
    let mut pages: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.push("../getting-started.md".to_owned());
    let mut tried = 0;
    for page in &pages {
        let machine = tempfile::tempdir().unwrap();
        let here = machine.path().display().to_string();
        let etc = machine.path().join("fail2ban");
        let mut written = String::new();
        for (path, text) in all_files(page) {
            let Some(path) = path.strip_prefix("fail2ban/") else {
                continue;
            };
            for log in logs(&text) {
                let log = machine.path().join(log);
                fs::create_dir_all(log.parent().unwrap()).unwrap();
                fs::write(log, "").unwrap();
            }
            fs::create_dir_all(etc.join(path).parent().unwrap()).unwrap();
            let text = text
                .replace("/var/log", &here)
                .replace("/etc/fail2ban", &etc.display().to_string());
            written.push_str(&text);
            // a page may come back to a file
            let mut file = fs::OpenOptions::new();
            let mut file = file.append(true).create(true).open(etc.join(path)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
        if written.is_empty() {
            continue;
        }
        tried += 1;
        let own = "[INCLUDES]\nbefore = paths-debian.conf\n[DEFAULT]\nsyslog_authpriv = ";
        fs::write(machine.path().join("auth.log"), "").unwrap();
        fs::write(
            etc.join("paths-system.conf"),
            format!("{own}{here}/auth.log\n"),
        )
        .unwrap();
        let run = |program: &str, words: &[&str]| {
            let mut command = common::ours(program);
            let output = command.arg("-c").arg(&etc).args(words).output().unwrap();
            let text = [&output.stdout[..], &output.stderr].concat();
            let text = String::from_utf8(text).unwrap();
            assert!(output.status.success(), "{page}: {text}");
            for word in ["WARNING", "ERROR", "warning:", "error:"] {
                assert!(!text.contains(word), "{page}: {text}");
            }
        };
        run("lint", &[]);
        run("client", &["-t"]);
        if etc.join("filter.d/tests").is_dir() {
            run("test", &[]);
        }
    }
    assert!(tried >= 13, "{tried} pages of {}", pages.len());
}

/// Every file of every recipe where the page says, every command as it stands, and cron's lines as cron
/// runs them.
#[test]
fn recipes_run_as_they_are_written() {
    common::in_network_and_mount_namespace("recipes_run_as_they_are_written", || {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes");
        let mut pages: Vec<String> = fs::read_dir(repository)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .collect();
        pages.sort();
        let (mut crons, mut run) = (0, 0);
        for recipe in &pages {
            let root = Root::installed();
            let files = all_files(recipe);
            let named = files.iter().flat_map(|(_, text)| logs(text));
            for log in named.chain(["maillog".to_owned(), "auth.log".to_owned()]) {
                root.write(&format!("var/log/{log}"), "");
            }
            fs::create_dir_all(root.path("var/www/html")).unwrap();
            for (path, text) in all_files(recipe) {
                root.write(&format!("etc/{path}"), &text);
            }
            // an installation that this is put into has the original's files
            if !root.path("etc/fail2ban").exists() {
                let stock = common::reference("1.1.1").join("etc/fail2ban");
                common::copy_tree(&stock, &root.path("etc/fail2ban"));
            }
            let succeeds = |line: &str, path: &str| {
                let output = root.shell(line, path);
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{recipe}: {line}\n{said}");
            };
            succeeds("fail2ban-client -t", LOGIN);
            succeeds("fail2ban-client start", LOGIN);
            for command in commands(recipe) {
                succeeds(&command, LOGIN);
                run += 1;
            }
            for (path, text) in all_files(recipe) {
                if !path.starts_with("cron.d/") {
                    continue;
                }
                for line in text.lines() {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    assert_eq!(words[5], "root", "{line}");
                    assert!(!line.contains('%'), "cron ends the line there: {line}");
                    succeeds(&words[6..].join(" "), CRON);
                    crons += 1;
                }
            }
            succeeds("fail2ban-client stop", LOGIN);
            if recipe == "postfix-volume.md" {
                assert!(root.path("var/www/html/bans.html").exists());
            }
        }
        assert!(
            crons >= 1 && run >= 4,
            "{crons} lines of cron, {run} commands"
        );
    });
}

/// README's first command with a Cargo that is too old: it complains of the edition or of
/// `rust-version`, not of a value it cannot read, and README says what is needed.
#[test]
fn old_cargos_complain_of_their_age() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(repository.join("Cargo.toml")).unwrap();
    let (_, version) = manifest.split_once("rust-version = \"").unwrap();
    let version = version.split('"').next().unwrap();
    let readme = fs::read_to_string(repository.join("README.md")).unwrap();
    assert!(readme.contains(&format!("Rust {version} or newer is needed")));
    // Cargo 1.65 of Debian 12 knows true, false and numbers
    for line in manifest.lines().filter(|line| line.starts_with("debug")) {
        assert!(!line.contains('"'), "{line}");
    }
}
