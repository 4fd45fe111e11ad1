//! `ferroban doctor --support`: a report for a bug ticket, without secrets, addresses and names.
//!
//! What may say anything is not shown but measured (`<12 characters>`): commands of actions, arguments
//! that are not known to be harmless, values of units. The rest goes through [`Redactor`].

use std::fmt::Write as _;
use std::process::Command;

use anyhow::Context as _;
use chrono::Local;
use serde_json::Value as Json;

use super::commands::{self, ProgramKind};
use super::findings::DoctorFindings;
use super::inspection::Inspection;
use super::lines::{TAIL, tail};
use super::redact::{Redactor, is_among};
use super::units;
use crate::cli::{links, setup::services::UnitState};
use crate::config::files::Files as _;
use crate::config::jail::report::{JailReport, ReportPart, ReportRow, report};
use crate::config::options;
use crate::config::secrets::is_secret_name;
use crate::{COMPATIBLE_VERSION, VERSION};

/// So many of the last lines of the server's log.
const LINES: usize = 100;

/// Options of jails, filters and actions whose values tell no secret; addresses and names in them are
/// taken out.
const HARMLESS: &str = "actionstart_on_demand actname addr_family addr_options addr_set addr_type allowipv6 \
    backend banprefix4 banprefix6 bantime bantime.factor bantime.formula bantime.increment \
    bantime.maxtime bantime.multipliers bantime.overalljails bantime.rndtime blocktype chain \
    chain_hook chain_priority chain_type datepattern enabled families family \
    findtime ignorecache ignoreregex ignoreself ip6tables ipset iptables journalmatch \
    jsonmatch lockingopt logencoding logpath logtimezone logtype maxlines maxmatches \
    maxretry maxtime mode name nftables norestored pool port prefregex protocol returntype \
    rule_match rule_stat skip_if_nologs systemd_if_nologs table table_family table_type \
    timeout type unbanwhenquiet usedns";
/// Lines of units whose values tell no secret.
const OF_UNITS: &str = "After AmbientCapabilities Before BindsTo CapabilityBoundingSet Conflicts Group KillMode \
    MemoryMax NoNewPrivileges PartOf PIDFile ReadOnlyPaths ReadWritePaths Requires Restart \
    RuntimeDirectory StateDirectory SystemCallFilter Type WantedBy Wants";

/// The report.
///
/// # Errors
/// The expressions that find secrets are wrong.
pub fn text(look: &Inspection, findings: &DoctorFindings) -> anyhow::Result<String> {
    let mut redactor = Redactor::new().context("the expressions for secrets cannot be used")?;
    learn(look, &mut redactor);
    let mut report = Support {
        look,
        redactor,
        out: String::new(),
    };
    report.versions();
    report.findings(findings);
    report.units();
    report.configuration();
    report.server();
    report.firewall();
    report.log();
    Ok(report.out)
}

/// What is known to be secret, a host or a person before anything is written.
fn learn(look: &Inspection, redactor: &mut Redactor) {
    let machine = &look.machine;
    for jail in &look.jails {
        redactor.keeps(&jail.name);
        redactor.keeps(&jail.filter);
    }
    let mut hosts = vec![machine.text("/etc/hostname"), machine.text("/etc/mailname")];
    if machine.is_this() {
        hosts.push(crate::sys::hosts::short_name());
        hosts.push(crate::sys::hosts::full_name());
    }
    for host in hosts {
        redactor.knows_host(host.trim());
    }
    for line in machine.text("/etc/passwd").lines() {
        let mut fields = line.split(':');
        let (name, uid) = (
            fields.next(),
            fields.nth(1).and_then(|uid| uid.parse::<u32>().ok()),
        );
        if let (Some(name), Some(1000..60_000)) = (name, uid) {
            redactor.knows_user(name);
        }
    }
    for folder in ["", "/jail.d", "/fail2ban.d", "/action.d"] {
        let folder = format!("{}{folder}", look.base);
        for name in machine.names(&folder).0 {
            if name.ends_with(".local") || name.ends_with(".conf") {
                learn_from(&machine.text(&format!("{folder}/{name}")), redactor);
            }
        }
    }
    let units = units::of(machine);
    for file in units.iter().flat_map(|unit| &unit.files) {
        learn_from(&machine.text(file).replace("Environment=", ""), redactor);
    }
    for server in look.servers.iter().flatten() {
        let environment = machine.text(&format!("/proc/{}/environ", server.pid));
        learn_from(&environment.replace('\0', "\n"), redactor);
    }
    let own = std::env::vars_os();
    let own: Vec<String> = own
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
        .collect();
    learn_from(&own.join("\n"), redactor);
}

/// The values of all names in a text that say that they are secret: `name = value`, `name="value"`.
fn learn_from(text: &str, redactor: &mut Redactor) {
    for line in text.lines() {
        for (at, _) in line.match_indices('=') {
            let name = line[..at].trim_end();
            let name = name
                .rsplit(|c: char| !(c.is_alphanumeric() || "_-.?/".contains(c)))
                .next();
            if !name.is_some_and(is_secret_name) {
                continue;
            }
            let value = line[at + 1..].trim();
            let values = match value.chars().next() {
                Some(quote @ ('"' | '\'')) => value[1..].split(quote).take(1).collect(),
                // the whole, and what it is in a list of arguments
                _ => vec![value, value.split([',', ']']).next().unwrap_or_default()],
            };
            // a reference to another option is none
            for value in values
                .into_iter()
                .filter(|value| !value.contains("%(") && !value.starts_with('<'))
            {
                redactor.knows_secret(value);
            }
        }
    }
}

struct Support<'l> {
    look: &'l Inspection,
    redactor: Redactor,
    out: String,
}

/// What is not shown.
fn measured(text: &str) -> String {
    match text.trim().chars().count() {
        0 => String::new(),
        count => format!("<{count} characters>"),
    }
}

impl Support<'_> {
    fn heading(&mut self, text: &str) {
        let gap = if self.out.is_empty() { "" } else { "\n" };
        // a text takes whatever is written
        let _ = writeln!(self.out, "{gap}== {text}\n");
    }

    fn put(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// A line whose values are looked through.
    fn show(&mut self, line: &str) {
        let line = self.redactor.text(line);
        self.put(&line);
    }

    fn versions(&mut self) {
        let machine = &self.look.machine;
        self.heading("versions");
        self.put(&format!(
            "Ferroban {VERSION} (compatible with fail2ban {COMPATIBLE_VERSION})"
        ));
        self.put(&format!(
            "made {}",
            Local::now().format("%Y-%m-%d %H:%M:%S %z")
        ));
        let release = machine.text("/etc/os-release");
        let name = release
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="));
        self.show(&format!(
            "distribution {}",
            name.unwrap_or("unknown").trim_matches('"')
        ));
        if machine.is_this()
            && let Ok(kernel) = nix::sys::utsname::uname()
        {
            let part = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
            self.put(&format!(
                "kernel {} {}",
                part(kernel.release()),
                part(kernel.machine())
            ));
        }
        let status = machine.text("/var/lib/dpkg/status");
        for package in [
            "fail2ban",
            "ferroban",
            "ferroban-dropin",
            "ferroban-standalone",
            "nftables",
            "iptables",
        ] {
            let paragraph = status.split("\n\n").find(|paragraph| {
                paragraph
                    .lines()
                    .any(|line| line.strip_prefix("Package: ") == Some(package))
            });
            let version = paragraph.and_then(|paragraph| {
                paragraph
                    .lines()
                    .find_map(|line| line.strip_prefix("Version: "))
            });
            if let Some(version) = version {
                self.put(&format!("package {package} {version}"));
            }
        }
        for name in links::NAMES {
            let path = commands::first(machine, name);
            let kind = path.as_ref().map(|path| commands::kind(machine, path));
            let what = match kind {
                Some(ProgramKind::Ours) => "Ferroban",
                Some(ProgramKind::Original) => "the original",
                Some(ProgramKind::Dangling) => "a link to nothing",
                Some(ProgramKind::Other | ProgramKind::Missing) => "something else",
                None => "not there",
            };
            self.show(&format!("{name} {}: {what}", path.unwrap_or_default()));
        }
    }

    fn findings(&mut self, findings: &DoctorFindings) {
        self.heading("findings");
        for finding in &findings.list {
            self.show(&format!(
                "{}: {} [{}]",
                finding.severity.word(),
                finding.message,
                finding.kind
            ));
        }
        for text in findings.not_looked_at() {
            self.show(&format!("not looked at: {text}"));
        }
    }

    fn units(&mut self) {
        self.heading("units");
        for unit in units::of(&self.look.machine) {
            let state = match unit.state {
                UnitState::There => "not enabled",
                UnitState::Enabled => "enabled",
                UnitState::Running => "running",
            };
            self.put(&format!("{}.service, {state}", unit.name));
            for file in &unit.files {
                self.show(&format!("{file}:"));
                for line in self.look.machine.text(file).lines() {
                    let Some((name, value)) = line.split_once('=') else {
                        if line.starts_with('[') {
                            self.show(&format!("    {line}"));
                        }
                        continue;
                    };
                    self.of_unit(name.trim(), value.trim());
                }
            }
        }
    }

    fn of_unit(&mut self, name: &str, value: &str) {
        let safe =
            is_among(OF_UNITS, name) || name.starts_with("Protect") || name.starts_with("Private");
        if name.starts_with('#') || name.contains(char::is_whitespace) {
            return;
        }
        if name.starts_with("Exec") {
            let (program, arguments) = value.split_once(' ').unwrap_or((value, ""));
            self.show(&format!("    {name}={program} {}", measured(arguments)));
        } else if safe {
            self.show(&format!("    {name}={value}"));
        } else {
            self.put(&format!("    {name}={}", measured(value)));
        }
    }

    fn configuration(&mut self) {
        self.heading("configuration");
        self.show(&format!("directory {}", self.look.base));
        if let Some(early) = &self.look.early {
            let lines = [
                format!("loglevel = {}", early.loglevel),
                format!("logtarget = {}", early.logtarget),
                format!("socket = {}", early.socket.display()),
                format!("dbfile = {}", self.look.database),
            ];
            for line in lines {
                self.show(&line);
            }
        }
        let names: Vec<String> = self
            .look
            .jails
            .iter()
            .map(|jail| jail.name.clone())
            .collect();
        for name in names {
            match report(&self.look.machine, &self.look.base, &name) {
                Ok(report) => self.jail(&name, &report),
                Err(cause) => self.show(&format!("\n[{name}]\nnot readable: {cause}")),
            }
        }
    }

    fn jail(&mut self, name: &str, report: &JailReport) {
        self.put(&format!("\n[{name}]"));
        for row in report.rows.iter().chain(&report.variables) {
            self.row(row);
        }
        for part in report.filter.iter().chain(&report.actions) {
            let definition = self.definition(&part.definition);
            self.put(&format!("; {definition}"));
            self.part(part);
        }
    }

    fn part(&mut self, part: &ReportPart) {
        for row in &part.rows {
            self.row(row);
        }
    }

    fn row(&mut self, row: &ReportRow) {
        let value = match row.name.as_str() {
            "action" | "filter" | "banaction" | "banaction_allports" | "backend" => {
                let parts = row.value.trim();
                let parts: Vec<String> = options::split(parts)
                    .into_iter()
                    .map(|text| self.definition(text))
                    .collect();
                parts.join("\n    ")
            }
            "ignoreip" => {
                let words = row
                    .value
                    .split([' ', ',', '\n', '\t'])
                    .filter(|word| !word.is_empty());
                let shown: Vec<String> = words.map(|word| self.redactor.host(word)).collect();
                shown.join(" ")
            }
            "failregex" | "ignoreregex" | "prefregex" => {
                let value = self.redactor.expression(row.value.trim());
                value.replace('\n', "\n    ")
            }
            name if is_among(HARMLESS, name.split('?').next().unwrap_or(name)) => {
                self.redactor.text(row.value.trim()).replace('\n', "\n    ")
            }
            _ => measured(&row.value),
        };
        let place = row.place.as_ref().map(|place| place.origin.to_string());
        let place = self
            .redactor
            .text(&place.unwrap_or_else(|| "default".to_owned()));
        let name = &row.name;
        self.put(&format!("{name} = {value}  ; {place}"));
    }

    /// A filter, an action or a backend with its arguments.
    fn definition(&mut self, text: &str) -> String {
        let Ok(parsed) = options::parse(text) else {
            return measured(text);
        };
        let arguments: Vec<String> = parsed
            .arguments
            .iter()
            .map(|(name, value)| match is_among(HARMLESS, name) {
                true => format!("{name}={}", self.redactor.text(value).replace('\n', " ")),
                false => format!("{name}={}", measured(value)),
            })
            .collect();
        let name = self.redactor.text(&parsed.name);
        match arguments.is_empty() {
            true => name,
            false => format!("{name}[{}]", arguments.join(", ")),
        }
    }

    fn server(&mut self) {
        self.heading("server");
        for server in self.look.servers.iter().flatten() {
            let kind = if server.original {
                "the original"
            } else {
                "Ferroban"
            };
            let program = server
                .program
                .as_deref()
                .unwrap_or("a program only root may see");
            self.show(&format!("process {}: {kind}, {program}", server.pid));
        }
        if !self.look.machine.is_this() {
            self.put("not asked: another machine or container");
            return;
        }
        let state = match self.look.state() {
            Ok(state) => state,
            Err(error) => return self.show(&format!("no answer: {error}")),
        };
        for jail in &state.jails {
            let ([failing, failed], [banned, all]) = (jail.failed, jail.banned);
            let ineffective: usize = jail.ineffective.iter().map(|(_, ids)| ids.len()).sum();
            self.put(&format!(
                "jail {}: failing {failing}, failures {failed}, banned {banned}, bans {all}, without effect {ineffective}",
                jail.name
            ));
        }
        for (jail, why) in &state.failed {
            self.show(&format!("jail {jail} failed: {why}"));
        }
    }

    fn firewall(&mut self) {
        self.heading("firewall");
        if !self.look.machine.is_this() || !self.look.is_root {
            self.put("not asked");
            return;
        }
        for program in ["iptables-save", "ip6tables-save"] {
            let Some(printed) = printed(program, &[]) else {
                continue;
            };
            let rules = |chain: &str| {
                let begin = format!("-A {chain} ");
                printed
                    .lines()
                    .filter(|line| line.starts_with(&begin))
                    .count()
            };
            let chains = printed
                .lines()
                .filter_map(|line| line.strip_prefix(':')?.split(' ').next());
            for chain in chains.clone().filter(|chain| chain.starts_with("f2b")) {
                self.show(&format!("{program}: chain {chain}, {} rules", rules(chain)));
            }
            let all = printed
                .lines()
                .filter(|line| line.starts_with("-A "))
                .count();
            self.put(&format!(
                "{program}: {} chains, {all} rules",
                chains.count()
            ));
        }
        let ruleset = printed("nft", &["-j", "list", "ruleset"]);
        let ruleset: Json = ruleset
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        for set in ruleset["nftables"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|part| &part["set"])
        {
            let text = |name: &str| set[name].as_str().unwrap_or_default();
            if !text("name").is_empty() {
                let count = set["elem"].as_array().map_or(0, Vec::len);
                self.show(&format!(
                    "nft: set {} {} {}, {count} elements",
                    text("family"),
                    text("table"),
                    text("name")
                ));
            }
        }
        for line in printed("ipset", &["list", "-terse"])
            .unwrap_or_default()
            .lines()
        {
            if line.starts_with("Name:") || line.starts_with("Number of entries:") {
                self.show(&format!("ipset: {line}"));
            }
        }
    }

    fn log(&mut self) {
        self.heading("the last lines of the server's log");
        let target = self
            .look
            .early
            .as_ref()
            .map(|early| early.logtarget.clone())
            .unwrap_or_default();
        if !target.starts_with('/') {
            self.show(&format!("not in a file: {target}"));
            return;
        }
        let text = match tail(&self.look.machine.place(&target), TAIL) {
            Ok(text) => text,
            Err(error) => return self.show(&format!("{target}: {error}")),
        };
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            let line = self.log_line(line);
            self.put(&line);
        }
    }

    /// A line of the server's log: commands and values of tickets are measured, and so is what is no
    /// line of its own but the rest of one.
    fn log_line(&mut self, line: &str) -> String {
        const LEVELS: [&str; 5] = [
            ": INFO ",
            ": NOTICE ",
            ": WARNING ",
            ": ERROR ",
            ": CRITICAL ",
        ];
        if !LEVELS.iter().any(|level| line.contains(level)) {
            return format!("    {}", measured(line));
        }
        let cuts = [
            " exec: ",
            "ActionInfo(",
            " info '",
            "stdout: ",
            "-- returned",
        ];
        let cut = cuts
            .iter()
            .filter_map(|cut| Some(line.find(cut)? + cut.len()))
            .min();
        let (head, rest) = line.split_at(cut.unwrap_or(line.len()));
        self.redactor.log_line(head) + &measured(rest)
    }
}

fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let printed = output.status.success().then_some(output.stdout)?;
    Some(String::from_utf8_lossy(&printed).into_owned())
}
