//! The shipped actions that are no firewall's beside the original's of the same names: they call the
//! same programs with the same words and tell the same in their mails. Programs are stand-ins that note how they were called.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use fancy_regex::Regex;
use scenario::{ban, by_original, by_ours, shipped_actions_with, stock_actions, ticket};
use serde_json::{Value as Json, json};

/// Notes name, arguments, who called, and what it was given; answers as the program of its name might.
const STAND_IN: &str = r#"#!/bin/sh
name=${0##*/}; here=${0%/*/*}
{ printf '%s\0' "$name" "$(tr '\0' ' ' < /proc/$PPID/cmdline)" "$@"; printf '\0\0'; cat; } > "$here/new.$$"
case "$name $*" in
whois*) printf 'netname: TEST-%s\n' "$1" ;;
dig*) echo '"abuse@example.net,second@example.net"' ;;
geoip*) echo 'GeoIP Country Edition: ZZ, Nowhere' ;;
*alias_util*) echo '{"status":"done"}' ;;
'curl -sS -f'*) grep -q alias_util "$here/new.$$" && echo '{"status":"done"}' ;;
curl*GET*) echo '{"result":[{"id":"rule1","scope":{"id":"zone"}}],"success":true}' ;;
wget*) echo 'Attack Report Insert Successful' ;;
nginx*) cat "$here/nginx.map" >> "$here/new.$$" 2>/dev/null ;;
esac
mv "$here/new.$$" "$here/calls/$(date +%s%N).$$"
"#;

const PROGRAMS: [&str; 14] = [
    "apprise",
    "caddy",
    "curl",
    "dig",
    "geoiplookup",
    "mail",
    "nginx",
    "nsupdate",
    "sendmail",
    "socat",
    "ssh",
    "wget",
    "whois",
    "host",
];

/// A directory with the stand-ins and what they noted.
struct Stage {
    path: PathBuf,
}

/// One call of a program.
#[derive(Clone, Debug, PartialEq)]
struct Call {
    program: String,
    arguments: Vec<String>,
    input: String,
    /// The command line of the program that called.
    caller: String,
}

/// Runs the body with stand-ins in front of all other programs: the test starts itself again with
/// them in its search path.
fn on_stage(test: &str, body: impl FnOnce(&Stage)) {
    const STAGE: &str = "FERROBAN_TEST_STAGE";
    if let Some(path) = std::env::var_os(STAGE) {
        return body(&Stage { path: path.into() });
    }
    let directory = tempfile::tempdir().unwrap();
    let programs = directory.path().join("programs");
    fs::create_dir(&programs).unwrap();
    fs::create_dir(directory.path().join("calls")).unwrap();
    let stand_in = directory.path().join("stand-in");
    fs::write(&stand_in, STAND_IN).unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    for name in PROGRAMS {
        symlink(&stand_in, programs.join(name)).unwrap();
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let status = common::pinned(Command::new(std::env::current_exe().unwrap()))
        .args(["--exact", test, "--nocapture"])
        .env("PATH", path)
        .env(STAGE, directory.path())
        .status()
        .unwrap();
    assert!(status.success());
}

impl Stage {
    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What an action is configured with: `HERE` stands for this directory.
    fn here(&self, text: &str) -> String {
        text.replace("HERE", &self.path.display().to_string())
    }

    /// A log that names both addresses.
    fn write_log(&self) -> Vec<String> {
        let lines = ["192.0.2.1", "2001:db8::1", "192.0.2.10"]
            .map(|id| format!("Nov 21 10:00:00 h x[1]: it's \"{id}\" `id` $(id) ; <b> & | é"));
        fs::write(self.file("auth.log"), lines.join("\n") + "\n").unwrap();
        lines.to_vec()
    }

    /// Steps that set up each of these actions in a jail of its own.
    fn set_up(&self, ours: bool, actions: &[(&str, String)]) -> BTreeMap<String, Vec<Json>> {
        let jails: String = actions
            .iter()
            .map(|(name, arguments)| {
                format!(
                    "[{name}]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\n\
                     action = {name}[name=j, {}]\n",
                    self.here(arguments)
                )
            })
            .collect();
        // the built-in client would ask the registries
        let whois = self.here("[DEFAULT]\n_whois = HERE/programs/whois <ip> || echo none\n");
        let files = [("action.d/mail-whois-common.local", whois.as_str())];
        let steps = match ours {
            true => shipped_actions_with(&jails, &files),
            false => stock_actions(&jails, &files),
        };
        let mut by_jail: BTreeMap<String, Vec<Json>> = BTreeMap::new();
        for step in steps {
            let jail = step["words"][1].as_str().unwrap().to_owned();
            by_jail.entry(jail).or_default().push(step);
        }
        assert_eq!(by_jail.len(), actions.len());
        by_jail
    }

    /// The calls that were put away under this name, by program.
    fn calls(&self, name: &str) -> BTreeMap<String, Vec<Call>> {
        let directory = self.file(name);
        let mut files: Vec<PathBuf> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let mut calls: BTreeMap<String, Vec<Call>> = BTreeMap::new();
        for file in files {
            let text = String::from_utf8(fs::read(file).unwrap()).unwrap();
            let (words, input) = text.split_once("\0\0\0").unwrap();
            let mut words = words.split('\0').map(str::to_owned);
            let program = words.next().unwrap();
            let call = Call {
                program: program.clone(),
                caller: words.next().unwrap(),
                arguments: words.collect(),
                input: input.to_owned(),
            };
            calls.entry(program).or_default().push(call);
        }
        calls
    }

    /// A step after which the calls are put away under a name.
    fn put_away(&self, name: &str, mut step: Json) -> Json {
        let command = format!("cd HERE && mv calls {name} && mkdir calls; rm -f tmp-*");
        step["observe"] = self.here(&command).into();
        step
    }
}

/// A line without backslashes, which the original's mails would read as escapes.
const LINE: &str = "it's \"x\" `id` $(id) ; <b> & | %s é";
const AND_LINE: &str = "and it's \"x\" `id` $(id) ; <b> & | %s é";

/// A ticket with hostile lines.
fn hostile(id: &str) -> Json {
    // the same moment for both
    static TIME: OnceLock<Json> = OnceLock::new();
    let mut ticket = ticket(id);
    ticket["time"] = TIME.get_or_init(|| ticket["time"].clone()).clone();
    ticket["matches"] = json!([LINE, AND_LINE]);
    ticket
}

/// Start, a ban of each family, their unbans, stop.
fn life(stage: &Stage, name: &str, ids: &[&str]) -> Vec<Json> {
    let mut steps = vec![json!({"do": "start"})];
    for id in ids {
        steps.push(json!({"do": "ban", "ticket": hostile(id)}));
    }
    for id in ids {
        steps.push(json!({"do": "unban", "id": id, "ticket": hostile(id)}));
    }
    steps.push(stage.put_away(name, json!({"do": "stop", "tickets": []})));
    steps
}

/// How the calls of an action are compared.
#[derive(Clone, Copy, PartialEq)]
enum As {
    /// All of them are read by machines.
    Calls,
    /// The same, of IPv4 only: what the original says of IPv6 is wrong.
    CallsOfInet4,
    /// Arguments are the same, the text for `mail`, `sendmail` or `apprise` tells these things.
    Mail(&'static [&'static str]),
}

use As::{Calls, CallsOfInet4, Mail};

/// What mails tell of a ban, in order; `ID` is the address.
const BAN: &[&str] = &["ID", "5", "j"];
const LOG: &str = "h x[1]: it's \"ID\" `id` $(id) ; <b> & | é";
const WHOIS: &[&str] = &["ID", "5", "j", "ID", "netname: TEST-ID"];
const WHOIS_AND_LOG: &[&str] = &["ID", "5", "j", "ID", "netname: TEST-ID", "ID", "1000", LOG];
const WHOIS_AND_MATCHES: &[&str] = &["ID", "5", "j", "netname: TEST-ID", LINE, AND_LINE];
const GEOIP: &[&str] = &[
    "ID",
    "5",
    "j",
    "//bgp.he.net/ip/ID",
    "projecthoneypot.org/ip_ID",
    "//whois.domaintools.com/ID",
    "Country: ZZ, Nowhere\n",
    "AS: ZZ, Nowhere\n",
    "hostname: ",
    LOG,
];
const XARF: &[&str] = &[
    "ID",
    "Reported-From: f2b@x.org\nCategory: abuse\nReport-",
    "Report-Type: login-attack\nService: ssh\nVersion: 0.2\n",
    "Source-Type: ip-address\nSource: ID\nPort: 22\n\
     Schema-URL: http://www.x-arf.org/schema/abuse_login-attack_0.1.2.json\n\
     Attachment: text/plain\nOccurances: 5\nTLP: green\n",
    LINE,
    AND_LINE,
];

const SENDMAIL: &str = "sender=\"f2b@example.org\", dest=\"ops@example.org\", mailcmd='HERE/programs/sendmail -f \"<sender>\" \"<dest>\"'";

const TABLE: [(&str, &str, As); 26] = [
    (
        "abuseipdb",
        "abuseipdb_apikey=k, abuseipdb_category=\"18,22\"",
        Calls,
    ),
    ("apprise", "config=/c, args='--tag f2b'", Mail(BAN)),
    (
        "blocklist_de",
        "email=e@x.org, apikey=k, service=ssh, agent=\"A/1\"",
        Calls,
    ),
    ("cloudflare", "cfuser=me@x.org, cftoken=t", Calls),
    ("cloudflare-token", "cfzone=z, cftoken=t", Calls),
    (
        "complain",
        "logpath=HERE/auth.log, mailargs='-c me@x.org'",
        Mail(&["ID", "ID", "1000", LOG]),
    ),
    (
        "dshield",
        "port=22, myip=192.0.2.9, userid=7, tmpfile=HERE/tmp-d",
        Calls,
    ),
    ("ipthreat", "ipthreat_apikey=k", Calls),
    ("mail", "dest=ops@x.org", Mail(BAN)),
    (
        "mail-buffered",
        "dest=ops@x.org, lines=2, tmpfile=HERE/tmp-m",
        Mail(BAN),
    ),
    ("mail-whois", "dest=ops@x.org", Mail(WHOIS)),
    (
        "mail-whois-lines",
        "dest=ops@x.org, logpath=HERE/auth.log",
        Mail(WHOIS_AND_LOG),
    ),
    (
        "mikrotik",
        "user=u, keyfile=/k, host=192.0.2.9, list=\"BAD LIST\"",
        CallsOfInet4,
    ),
    (
        "mynetwatchman",
        "port=22, mnwlogin=me@x.org, mnwpass='p w', myip=192.0.2.9, getcmd='wget -O -', tmpfile=HERE/tmp-n",
        Calls,
    ),
    (
        "netscaler",
        "ns_host=192.0.2.9, ns_auth=YTpi, ns_dataset=d",
        Calls,
    ),
    (
        "nginx-block-map",
        "blck_lst_file=HERE/nginx.map, srv_pid=HERE/stand-in",
        Calls,
    ),
    (
        "nsupdate",
        "domain=rbl.x.org, keyfile=/k, rdata=out, nsupdatecmd=HERE/programs/nsupdate",
        CallsOfInet4,
    ),
    ("sendmail", SENDMAIL, Mail(BAN)),
    (
        "sendmail-buffered",
        "lines=2, tmpfile=HERE/tmp-s, SENDMAIL",
        Mail(BAN),
    ),
    (
        "sendmail-geoip-lines",
        "logpath=HERE/auth.log, SENDMAIL",
        Mail(GEOIP),
    ),
    ("sendmail-whois", SENDMAIL, Mail(WHOIS)),
    (
        "sendmail-whois-ipjailmatches",
        SENDMAIL,
        Mail(WHOIS_AND_MATCHES),
    ),
    (
        "sendmail-whois-ipmatches",
        SENDMAIL,
        Mail(WHOIS_AND_MATCHES),
    ),
    (
        "sendmail-whois-lines",
        "logpath=HERE/auth.log, SENDMAIL",
        Mail(WHOIS_AND_LOG),
    ),
    ("sendmail-whois-matches", SENDMAIL, Mail(WHOIS_AND_MATCHES)),
    (
        "xarf-login-attack",
        "service=ssh, port=22, sender=f2b@x.org, mailcmd=HERE/programs/sendmail",
        Mail(XARF),
    ),
];

/// What differs without a difference: the date, blanks in a row, encoding of what needs none; headers
/// that only ours have.
fn tidied(name: &str, text: &str) -> String {
    let replace = |text: &str, pattern: &str, by: &str| {
        Regex::new(pattern)
            .unwrap()
            .replace_all(text, by)
            .into_owned()
    };
    let mut text = replace(
        text,
        r"(?m)^Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} [+-]\d{4}$",
        "Date: DATE",
    );
    text = replace(&text, " +", " ");
    match name {
        "sendmail-buffered" => replace(&text, r"(?m)^Date: DATE\n", ""),
        "xarf-login-attack" => {
            text = replace(&text, r"(?m)^MIME-Version: 1.0\n|;$", "");
            replace(&text, r"Abuse([\d.]+)-[0-9a-f]{32}", "BOUNDARY$1")
        }
        "mynetwatchman" => percent_encoding::percent_decode_str(&text)
            .decode_utf8()
            .unwrap()
            .into_owned(),
        _ => text,
    }
}

const IDS: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

/// Whether a text tells these things in this order.
fn tells(text: &str, facts: &[String]) -> bool {
    let mut rest = text;
    facts
        .iter()
        .all(|fact| match rest.split_once(fact.as_str()) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
}

/// Arguments and headers of a mail.
fn head(name: &str, call: &Call) -> String {
    let head = match call.program.as_str() {
        "sendmail" => call.input.split("\n\n").next().unwrap(),
        _ => "",
    };
    tidied(name, &format!("{}\n{head}", call.arguments.join("\n")))
}

/// One mail of each: the same head, the same facts, no sentence of the original's.
fn same_mail(name: &str, original: &Call, ours: &Call, told: &[&str]) {
    let head = head(name, ours);
    let facts: Vec<String> = match IDS.iter().find(|id| head.contains(*id)) {
        Some(id) => told.iter().map(|fact| fact.replace("ID", id)).collect(),
        None if head.to_lowercase().contains("summary") => {
            IDS.map(|id| format!("{id} (5 failures)\n")).to_vec()
        }
        None => vec!["j".to_owned()],
    };
    let body = |call: &Call| match call.program.as_str() {
        "sendmail" => call.input.split_once("\n\n").unwrap().1.to_owned(),
        _ => call.input.clone(),
    };
    let (theirs, own) = (body(original), body(ours));
    for text in [&theirs, &own] {
        assert!(tells(text, &facts), "{name}: {facts:#?}\n{text}");
    }
    for line in theirs.lines().map(str::trim) {
        let is_field = line
            .split(' ')
            .next()
            .is_some_and(|word| word.ends_with(':'));
        let is_fact = |fact: &String| fact.contains(' ') && line.contains(fact);
        let fact = is_field || facts.iter().any(is_fact);
        if !fact && line.split(' ').count() > 3 {
            assert!(!own.contains(line), "{name}: {line}");
        }
    }
}

/// Calls as they are compared.
fn shown(name: &str, calls: &[Call]) -> Vec<(String, String)> {
    let shown = |call: &Call| {
        let words = call.arguments.join("\n");
        (tidied(name, &words), tidied(name, &call.input))
    };
    calls.iter().map(shown).collect()
}

#[test]
fn every_call_and_every_mail_is_the_original_s() {
    on_stage("every_call_and_every_mail_is_the_original_s", |stage| {
        stage.write_log();
        let arguments =
            TABLE.map(|(name, arguments, _)| (name, arguments.replace("SENDMAIL", SENDMAIL)));
        let ids = |kind| match kind {
            CallsOfInet4 => &IDS[..1],
            _ => &IDS[..],
        };
        let original = stage.set_up(false, &arguments);
        let mut steps = Vec::new();
        for (name, _, kind) in TABLE {
            steps.push(json!({"do": "fresh"}));
            steps.extend(original[name].clone());
            steps.extend(life(stage, &format!("original-{name}"), ids(kind)));
        }
        by_original(&steps, 40, &["/usr/bin/env"]);
        let ours = stage.set_up(true, &arguments);
        for (name, _, kind) in TABLE {
            let mut steps = ours[name].clone();
            steps.extend(life(stage, &format!("ours-{name}"), ids(kind)));
            let traces = by_ours(&steps, 40);
            assert!(
                traces.iter().all(|trace| trace.log.is_empty()),
                "{name}: {traces:#?}"
            );
            let original = stage.calls(&format!("original-{name}"));
            let ours = stage.calls(&format!("ours-{name}"));
            let count = |calls: &BTreeMap<String, Vec<Call>>| {
                let counts = calls
                    .iter()
                    .map(|(program, calls)| (program.clone(), calls.len()));
                counts.collect::<Vec<_>>()
            };
            assert_eq!(count(&original), count(&ours), "{name}");
            assert!(!ours.is_empty(), "{name}");
            for (mut original, mut ours) in original.into_values().zip(ours.into_values()) {
                let told = match kind {
                    Mail(told) if ["mail", "sendmail", "apprise"].contains(&&*ours[0].program) => {
                        told
                    }
                    _ => {
                        assert_eq!(shown(name, &original), shown(name, &ours), "{name}");
                        continue;
                    }
                };
                // ours leave from a queue of their own
                original.sort_by_key(|call| head(name, call));
                ours.sort_by_key(|call| head(name, call));
                for (original, ours) in original.iter().zip(&ours) {
                    assert_eq!(head(name, original), head(name, ours), "{name}");
                    same_mail(name, original, ours, told);
                }
            }
        }
    });
}

/// Carries out steps of one action; what its programs were told, and each observation.
fn run(stage: &Stage, name: &str, arguments: &str, steps: &[Json]) -> (Vec<Call>, Vec<String>) {
    let mut all = stage
        .set_up(true, &[(name, arguments.to_owned())])
        .remove(name)
        .unwrap();
    let set_up = all.len();
    all.extend_from_slice(steps);
    all.push(stage.put_away("told", json!({"do": "stop", "tickets": []})));
    let traces = by_ours(&all, 30);
    let calls = stage.calls("told").into_values().flatten().collect();
    fs::remove_dir_all(stage.file("told")).unwrap();
    let observed = traces[set_up..].iter().map(|trace| trace.observed.clone());
    (calls, observed.collect())
}

/// What a call of curl was told on its standard input: option and value.
fn options_of(call: &Call) -> Vec<(&str, String)> {
    assert!(
        call.arguments.ends_with(&["-K".to_owned(), "-".to_owned()]),
        "{call:?}"
    );
    let read = |line| -> (&str, String) {
        let (name, value) = str::split_once(line, " = \"").unwrap();
        let mut out = String::new();
        let mut chars = value.strip_suffix('"').unwrap().chars();
        while let Some(c) = chars.next() {
            assert_ne!(c, '"', "{line}");
            out.push(if c == '\\' { chars.next().unwrap() } else { c });
        }
        (name, out)
    };
    call.input.lines().map(read).collect()
}

/// Value of an option; JSON where it is `data`.
fn option(call: &Call, name: &str) -> String {
    let options = options_of(call);
    let found: Vec<&String> = options
        .iter()
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value)
        .collect();
    assert_eq!(found.len(), 1, "{name}: {options:?}");
    found[0].clone()
}

/// Bans of both families and their unbans, with what is in a file after each.
fn watched(stage: &Stage, file: &str) -> Vec<Json> {
    let look = |mut step: Json| {
        step["observe"] = stage.here(&format!("cat HERE/{file}")).into();
        step
    };
    let mut steps = vec![look(json!({"do": "start"}))];
    steps.extend(IDS.map(|id| look(ban(id))));
    steps.push(look(
        json!({"do": "unban", "id": IDS[0], "ticket": ticket(IDS[0])}),
    ));
    steps.push(look(json!({"do": "flush", "tickets": [ticket(IDS[1])]})));
    steps
}

#[test]
fn web_servers_and_firewalls_elsewhere_ban() {
    on_stage("web_servers_and_firewalls_elsewhere_ban", |stage| {
        fs::write(stage.file("secret"), "KEY:SECRET\n").unwrap();
        let no_address = json!({"do": "ban", "ticket": ticket("x; }")});

        let (calls, files) = run(
            stage,
            "nginx-deny",
            "file=HERE/deny.conf, pid=HERE/stand-in",
            &watched(stage, "deny.conf"),
        );
        let both = "deny 192.0.2.1;\ndeny 2001:db8::1;\n";
        assert_eq!(
            files[..5],
            ["", "deny 192.0.2.1;\n", both, "deny 2001:db8::1;\n", ""]
        );
        let words = |call: &Call| call.arguments.join(" ");
        let expected = ["-qt", "-s reload"].repeat(calls.len() / 2);
        assert_eq!(calls.iter().map(words).collect::<Vec<_>>(), expected);
        assert!(calls.len() >= 10);

        let (calls, files) = run(
            stage,
            "caddy",
            "file=HERE/caddy.conf, list=HERE/caddy.list",
            &watched(stage, "caddy.conf"),
        );
        let file = |ids: &str| format!("@f2b-j client_ip {ids} \nabort @f2b-j\n");
        let both = file("192.0.2.1 2001:db8::1");
        assert_eq!(files[..5], ["", &file(IDS[0]), &both, &file(IDS[1]), ""]);
        assert!(
            calls
                .iter()
                .all(|call| words(call) == "reload --config /etc/caddy/Caddyfile")
        );

        let (calls, _) = run(
            stage,
            "haproxy-map",
            "map=/m, socket=/s",
            &watched(stage, "secret"),
        );
        let told: Vec<&str> = calls.iter().map(|call| call.input.as_str()).collect();
        let add = IDS.map(|id| format!("add map /m {id} j\n"));
        let del = IDS.map(|id| format!("del map /m {id}\n"));
        assert_eq!(told, [&add[0], &add[1], &del[0], &del[1]]);
        assert_eq!(words(&calls[0]), "stdio UNIX-CONNECT:/s");

        let arguments = "host=192.0.2.9, alias=a, keyfile=HERE/secret, curlopts=\"--cacert /c\"";
        let (calls, _) = run(stage, "opnsense", arguments, &watched(stage, "secret"));
        let told: Vec<(String, String)> = calls
            .iter()
            .map(|call| (option(call, "url"), option(call, "data")))
            .collect();
        let url = |command| format!("https://192.0.2.9/api/firewall/alias_util/{command}/a");
        let data = IDS.map(|id| format!("{{\"address\":\"{id}\"}}"));
        let expected = [("add", 0), ("add", 1), ("delete", 0), ("delete", 1)];
        assert_eq!(
            told,
            expected.map(|(command, at)| (url(command), data[at].clone()))
        );
        assert_eq!(option(&calls[0], "user"), "KEY:SECRET");
        assert!(calls.iter().all(|call| !call.caller.contains("SECRET")));

        for name in [
            "cloudflare",
            "haproxy-map",
            "ipthreat",
            "mikrotik",
            "netscaler",
            "nsupdate",
            "opnsense",
        ] {
            let (calls, _) = run(stage, name, "host=h", std::slice::from_ref(&no_address));
            let bans = calls.iter().filter(|call| call.program != "ssh");
            let asked = |call: &Call| {
                words(call).contains("/nitro/v1/config") && !words(call).contains("PUT")
            };
            assert!(bans.clone().all(asked), "{name}: {calls:#?}");
        }
    });
}

/// Where the original's action does not do what it is for.
#[test]
fn mistakes_of_the_original_are_not_made() {
    on_stage("mistakes_of_the_original_are_not_made", |stage| {
        let inet6 = [
            ban(IDS[1]),
            json!({"do": "unban", "id": IDS[1], "ticket": ticket(IDS[1])}),
        ];

        // names of IPv6 are those of RFC 5782
        let arguments = "domain=x.org, keyfile=/k, rdata=out, nsupdatecmd=HERE/programs/nsupdate";
        let (calls, _) = run(stage, "nsupdate", arguments, &inet6);
        let name = format!("1.{}8.b.d.0.1.0.0.2.x.org", "0.".repeat(23));
        let add = format!("prereq nxrrset {name} TXT\nupdate add {name} 60 IN TXT \"out\"\nsend\n");
        assert_eq!(calls[0].input, add);
        assert_eq!(calls[1].input, format!("update delete {name}\nsend\n"));

        // IPv6 has a list of its own
        let (calls, _) = run(stage, "mikrotik", "user=u, keyfile=/k, host=h", &inet6);
        let add = "/ipv6 firewall address-list add list=\"Fail2Ban\" address=2001:db8::1 comment=f2b-j-2001:db8::1";
        assert_eq!(calls[0].arguments.last().unwrap(), add);
        assert!(
            calls
                .iter()
                .all(|call| call.arguments.last().unwrap().starts_with("/ipv6 "))
        );

        // a report goes out when enough bans wait
        let arguments = "port=22, myip=192.0.2.9, lines=2, tmpfile=HERE/tmp-d";
        let (calls, _) = run(stage, "dshield", arguments, &IDS.map(ban));
        let [report] = calls.as_slice() else {
            panic!("{calls:#?}");
        };
        assert_eq!(report.input.lines().count(), 2);

        // an id stays one entry of the map
        let id = "a b\";\\c {}";
        let steps = [
            json!({"do": "ban", "ticket": ticket(id), "observe": stage.here("cat HERE/nginx.map")}),
            json!({"do": "unban", "id": id, "ticket": ticket(id), "observe": stage.here("cat HERE/nginx.map")}),
        ];
        let (_, files) = run(
            stage,
            "nginx-block-map",
            "blck_lst_file=HERE/nginx.map, srv_pid=/none",
            &steps,
        );
        assert_eq!(files[..2], ["\"\\\\a b\\\";\\\\c {}\" 1;\n", ""]);

        // whoever answers for a network in DNS gives no argument to the mail program
        let dig = "#!/bin/sh\necho '\"-oQ/tmp,a@example.net;$(touch HERE/pwned), --@x\"'\n";
        fs::remove_file(stage.file("programs/dig")).unwrap();
        fs::write(stage.file("programs/dig"), stage.here(dig)).unwrap();
        fs::set_permissions(
            stage.file("programs/dig"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        let (calls, _) = run(stage, "complain", "", &[ban(IDS[0])]);
        assert_eq!(calls, []);
        assert!(!stage.file("pwned").exists());
    });
}

#[test]
fn smtp_py_needs_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let jail = "[sshd]\nenabled = true\nbackend = polling\nlogpath = /dev/null\naction = smtp.py[host=\"192.0.2.9:25\"]\n";
    fs::write(directory.path().join("jail.local"), jail).unwrap();
    let run = |program: &str, words: &[&str]| {
        let mut command = common::ours(program);
        command.arg("-c").arg(directory.path()).args(words);
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, _, notes) = run("fail2ban-client", &["-t"]);
    assert!(
        code == Some(0) && notes.lines().count() == 1 && notes.starts_with("Not in "),
        "{notes}"
    );
    let (code, said, _) = run("fail2ban-actions", &["sshd"]);
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with("sshd: smtp\n  mail, built and sent without Python"),
        "{said}"
    );
}
