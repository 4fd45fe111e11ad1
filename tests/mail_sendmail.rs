//! Mails of the stock actions arrive as the original sends them: the same arguments to the sendmail
//! program, the same headers and body; only what a shell or a mail program would obey differs.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fancy_regex::Regex;
use scenario::{Trace, action, ban, by_original, by_ours, stock_actions, ticket};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A directory with a sendmail that keeps what it gets, a whois and a log.
struct Post {
    directory: TempDir,
}

const WHOIS: &str =
    "#!/bin/sh\nprintf 'netname: TEST-%s\\n\\ncountry: ZZ\\n100%% of x\\n\\n' \"$1\"\n";

impl Post {
    fn new() -> Post {
        let post = Post {
            directory: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(post.path().join("out")).unwrap();
        post.program("whois", WHOIS);
        post.program(
            "sendmail",
            "#!/bin/sh\ncd \"${0%/*}/out\" || exit 1\nn=$(ls | wc -l)\n\
             { printf '%s\\n' \"$#\" \"$@\" --; cat; echo '<END>'; } > .new && mv .new \"$(printf %03d $n)\"\n",
        );
        let lines: String = (0..1200)
            .map(|n| format!("Nov 21 10:00:00 h sshd[{n}]: Failed password from 192.0.2.{} port {n} \\n %s\n", n % 2))
            .collect();
        std::fs::write(post.path().join("auth.log"), lines).unwrap();
        post
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self) -> String {
        format!(
            "'{}/sendmail -f \"<sender>\" \"<dest>\"'",
            self.path().display()
        )
    }

    /// Waits for so many mails, prints and removes them.
    fn collect(&self, count: usize, mut step: Json) -> Json {
        let out = self.path().join("out").display().to_string();
        step["observe"] = format!(
            "for i in $(seq 100); do [ $(ls {out} | wc -l) -ge {count} ] && break; sleep 0.1; done; cat {out}/*; rm -f {out}/*"
        )
        .into();
        step
    }

    /// The stock action with this whois and this sendmail.
    fn stock(&self, name: &str, arguments: &str) -> Vec<Json> {
        let whois = format!(
            "[DEFAULT]\n_whois = {}/whois <ip> || echo \"missing whois program\"\n",
            self.path().display()
        );
        let jail = format!(
            "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = {name}[name=j, mailcmd={}, {arguments}]\n",
            self.command()
        );
        stock_actions(&jail, &[("action.d/mail-whois-common.local", &whois)])
    }
}

fn without_dates(traces: &[Trace]) -> Vec<String> {
    let date =
        Regex::new(r"(?m)^Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$")
            .unwrap();
    traces
        .iter()
        .map(|trace| {
            let dates = date.find_iter(&trace.observed).count();
            assert_eq!(
                dates,
                trace.observed.matches("<END>").count(),
                "{}",
                trace.observed
            );
            date.replace_all(&trace.observed, "Date: DATE").into_owned()
        })
        .collect()
}

fn same_mails(steps: &[Json]) -> String {
    let original = without_dates(&by_original(steps, 40, &["/usr/bin/env"]));
    let ours = by_ours(steps, 40);
    assert!(ours.iter().all(|trace| trace.log.is_empty()), "{ours:?}");
    let ours = without_dates(&ours);
    assert_eq!(original.len(), ours.len());
    for ((step, original), ours) in steps.iter().zip(&original).zip(&ours) {
        assert_eq!(original, ours, "after {step}");
    }
    let all = ours.concat();
    assert!(all.contains("Subject: [Fail2Ban] j: "), "no mail was sent");
    all
}

fn life(post: &Post) -> Vec<Json> {
    vec![
        post.collect(1, json!({"do": "start"})),
        post.collect(1, ban("192.0.2.1")),
        post.collect(1, ban("2001:db8::1")),
        post.collect(1, json!({"do": "stop", "tickets": []})),
    ]
}

#[test]
fn sendmail() {
    let post = Post::new();
    let mut steps = post.stock(
        "sendmail",
        "sender=\"f2b@example.org\", dest=\"ops@example.org, b@example.org\"",
    );
    steps.extend(life(&post));
    let all = same_mails(&steps);
    assert!(
        all.contains("3\n-f\nf2b@example.org\nops@example.org, b@example.org\n--\n"),
        "{all}"
    );
}

#[test]
fn sendmail_whois() {
    let post = Post::new();
    let mut steps = post.stock("sendmail-whois", "sendername=\"Fail2Ban Ünï\"");
    steps.extend(life(&post));
    let all = same_mails(&steps);
    assert!(all.contains("netname: TEST-192.0.2.1"), "{all}");
}

#[test]
fn sendmail_whois_without_whois() {
    let post = Post::new();
    let mut steps = post.stock("sendmail-whois", "dest=root");
    std::fs::remove_file(post.path().join("whois")).unwrap();
    steps.extend(life(&post));
    assert!(same_mails(&steps).contains("missing whois program"));
}

#[test]
fn sendmail_whois_lines() {
    let post = Post::new();
    for limit in ["5", "1000"] {
        let mut steps = post.stock(
            "sendmail-whois-lines",
            &format!(
                "logpath=\"{0}/auth.log\", grepmax={limit}",
                post.path().display()
            ),
        );
        steps.extend(life(&post));
        let all = same_mails(&steps);
        assert!(all.contains("Failed password from 192.0.2.1"), "{all}");
    }
    // a pattern, as the logs of Apache are written, is that of a shell
    for pattern in ["a*.log", "[a-c]uth.lo?", "none*.log"] {
        let mut steps = post.stock(
            "sendmail-whois-lines",
            &format!("logpath=\"{}/{pattern}\"", post.path().display()),
        );
        steps.extend(life(&post));
        same_mails(&steps);
    }
    let mut steps = post.stock(
        "sendmail-whois-lines",
        &format!(
            "logpath=\"{0}/auth.log\n {0}/none.log\n {0}/auth.log\"",
            post.path().display()
        ),
    );
    steps.extend(life(&post));
    assert!(same_mails(&steps).contains("auth.log:Nov 21"));
}

#[test]
fn sendmail_whois_matches() {
    let post = Post::new();
    let mut steps = post.stock("sendmail-whois-matches", "dest=root");
    let mut plain = ticket("192.0.2.1");
    plain["matches"] = json!([
        "first line (x)",
        ["Nov 21", " second", " line's end; $HOME `id`"]
    ]);
    steps.push(post.collect(1, json!({"do": "start"})));
    steps.push(post.collect(1, json!({"do": "ban", "ticket": plain})));
    assert!(same_mails(&steps).contains("line's end; $HOME `id`"));
}

#[test]
fn attackers_write_no_headers_and_give_no_commands() {
    let post = Post::new();
    let sendmail = post.path().join("sendmail").display().to_string();
    let text = format!(
        "printf %b \"Subject: user <F-USER>\nDate: `LC_ALL=C date +\"%a, %d %h %Y %T %z\"`\nTo: root\\n\nUser: <F-USER>\\n\n<matches>\\n\" | {sendmail} root"
    );
    let mut steps = action("a1", &[("actionban", &text)]);
    let mut evil = ticket("192.0.2.1");
    evil["fields"] = json!({"user": "x\nBcc: victim@example.org\n\ntext\\nCc: y"});
    evil["matches"] = json!([".", "~!id", "back\\nslash \\c end", "."]);
    steps.push(post.collect(1, json!({"do": "ban", "ticket": evil})));
    let ours = by_ours(&steps, 40);
    let mail = &without_dates(&ours)[2];
    assert_eq!(
        mail,
        "1\nroot\n--\nSubject: user x Bcc: victim@example.org  text\\nCc: y\nDate: DATE\nTo: root\n\n\
         User: x\nBcc: victim@example.org\n\ntext\\nCc: y\n\n .\n~!id\nback\\nslash \\c end\n .\n<END>\n"
    );
}

#[test]
fn an_id_is_text_whatever_it_holds() {
    let post = Post::new();
    let mut steps = post.stock("sendmail-whois-matches", "dest=root");
    let id = "b\\nBcc: evil@example.net\\n\\n.\\n `id` (x)";
    let mut evil = ticket(id);
    evil["matches"] = json!(["b\\nBcc: evil@example.net\\n\\n.\\n"]);
    steps.push(post.collect(1, json!({"do": "ban", "ticket": evil})));
    let ours = by_ours(&steps, 40);
    let mail = &without_dates(&ours)[2];
    let (head, body) = mail.split_once("\n\n").unwrap();
    assert!(
        head.contains(&format!("Subject: [Fail2Ban] j: banned {id} from"))
            && !head.contains("\nBcc"),
        "{mail}"
    );
    assert!(
        body.contains("\nb\\nBcc: evil@example.net\\n\\n.\\n\n"),
        "{mail}"
    );
    // whois is asked about the whole
    assert!(body.contains(&format!("netname: TEST-{id}\n")), "{mail}");
}

#[test]
fn a_program_that_is_missing_is_told_without_a_shell() {
    let post = Post::new();
    let asked = post.path().join("asked").display().to_string();
    post.program("whois", &format!("#!/bin/sh\necho asked >> {asked}\n"));
    std::fs::remove_file(post.path().join("sendmail")).unwrap();
    let mut steps = post.stock("sendmail-whois", "dest=root");
    let mut last = ban("192.0.2.1");
    last["observe"] = format!("sleep 2; wc -l < {asked}").into();
    steps.push(last);
    let ours = by_ours(&steps, 20);
    let last = ours.last().unwrap();
    assert_eq!(last.observed.trim(), "1", "a shell would ask again");
    let log = last.log.join("\n");
    for words in ["sendmail: not found'", "-- returned 127", "HINT on 127"] {
        assert!(log.contains(words), "{log}");
    }
}

#[test]
fn a_slow_mail_delays_no_ban() {
    let post = Post::new();
    post.program("whois", "#!/bin/sh\nsleep 3; echo slow\n");
    let mut steps = post.stock("sendmail-whois", "dest=root");
    let mark = post.path().join("mark").display().to_string();
    steps.extend(action(
        "shell",
        &[("actionban", &format!("date +%s.%N >> {mark}"))],
    ));
    let mut first = ban("192.0.2.1");
    first["observe"] = format!("cat {mark} | wc -l").into();
    let mut second = ban("192.0.2.2");
    second["observe"] = format!("cat {mark} | wc -l").into();
    steps.extend([first, second]);
    steps.push(post.collect(2, json!({"do": "stop", "tickets": []})));
    let begun = std::time::Instant::now();
    let ours = by_ours(&steps, 40);
    let [.., one, two, stop] = ours.as_slice() else {
        panic!();
    };
    assert_eq!((one.observed.trim(), two.observed.trim()), ("1", "2"));
    // the jail's end waits for its mails
    assert_eq!(
        stop.observed
            .matches("Subject: [Fail2Ban] j: banned")
            .count(),
        2,
        "{}",
        stop.observed
    );
    assert!(begun.elapsed().as_secs() >= 6);
}

#[test]
fn a_mail_that_fails_is_tried_again() {
    let post = Post::new();
    let sendmail = std::fs::read_to_string(post.path().join("sendmail")).unwrap();
    let once = sendmail.replacen(
        "#!/bin/sh\n",
        "#!/bin/sh\n[ -e $0.once ] || { touch $0.once; echo broken >&2; exit 75; }\n",
        1,
    );
    post.program("sendmail", &once);
    let mut steps = post.stock("sendmail", "dest=root");
    steps.push(post.collect(1, ban("192.0.2.1")));
    let ours = by_ours(&steps, 20);
    let last = ours.last().unwrap();
    assert!(last.observed.contains("banned 192.0.2.1"), "{last:?}");
    let log = last.log.join("\n");
    assert!(
        log.contains("-- stderr: 'broken'") && log.contains("-- returned 75"),
        "{log}"
    );
    assert!(
        log.contains("mail not sent, next try in 5 seconds"),
        "{log}"
    );
}
