//! What a configuration needs of a unit: of its actions what their commands take, of its jails what they
//! read, and the files of the server itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{Configuration, ListedAction, ListedJail};
use crate::action::preview::Example;
use crate::action::rights::{self, Right};
use crate::action::smtp::SmtpAction;
use crate::address::Address;
use crate::config::options;
use crate::config::{EarlyOptions, Sandbox};
use crate::control::JailSetting;
use crate::source::feed::SyslogListener;

/// Directories that both units make.
const MADE: [&str; 2] = ["/run/fail2ban", "/var/lib/fail2ban"];

/// What `mail` and its kin hand mail to.
const SENDMAIL: &str = "/usr/sbin/sendmail";

/// Everything, each with who needs it: `JAIL/ACTION` or a jail.
#[derive(Default)]
pub(super) struct Needs {
    /// Of commands.
    rights: BTreeMap<Right, Vec<String>>,
    /// Jails that read files, and the files or what their names begin with.
    pub logs: Vec<(String, PathBuf)>,
    /// Jails that ask name servers.
    pub names: Vec<String>,
    /// Jails that listen to other hosts, and the port.
    pub ports: Vec<(String, u16)>,
    /// Files that the server writes, and what they are.
    pub own: Vec<(&'static str, PathBuf)>,
    /// The server gives up rights by itself, which takes others.
    pub gives_up: bool,
}

impl Needs {
    pub fn of(
        configuration: &mut Configuration,
        early: &EarlyOptions,
        sandbox: Sandbox,
    ) -> anyhow::Result<Needs> {
        let mut needs = Needs {
            gives_up: sandbox == Sandbox::Auto,
            ..Needs::default()
        };
        let mut own = vec![
            ("control socket", early.socket.clone()),
            ("pid file", early.pidfile.clone()),
        ];
        for (option, value) in &configuration.server {
            match *option {
                // what stands behind a path of a log are its options
                "logtarget" => {
                    let log = value.split('[').next().unwrap_or_default();
                    own.push(("log", log.trim().into()));
                }
                "dbfile" => own.push(("database", value.into())),
                _ => {}
            }
        }
        own.retain(|(_, file)| file.is_absolute());
        needs.own = own;
        for jail in &mut configuration.jails {
            needs.add_source(jail);
            needs.add_names(jail);
            for action in &mut jail.actions {
                let who = format!("{}/{}", jail.name, action.name());
                needs.add_action(&jail.name, &who, action)?;
            }
        }
        Ok(needs)
    }

    fn add(&mut self, right: Right, who: &str) {
        let whose = self.rights.entry(right).or_default();
        if whose.last().is_none_or(|last| last != who) {
            whose.push(who.to_owned());
        }
    }

    fn add_action(
        &mut self,
        jail: &str,
        who: &str,
        action: &mut ListedAction,
    ) -> anyhow::Result<()> {
        let action = match action {
            ListedAction::Commands(action) => action,
            ListedAction::Python { path, .. } => {
                let right = match SmtpAction::is_meant(path) {
                    true => Right::Network,
                    false => Right::Unknown(path.clone()),
                };
                self.add(right, who);
                return Ok(());
            }
        };
        for Example { plan, .. } in action.examples(jail)? {
            for right in rights::of(&plan) {
                if let Right::Mail(program) = &right
                    && let Some(program) = set_id_of(program)
                {
                    self.add(Right::SetId(program), who);
                }
                self.add(right, who);
            }
        }
        Ok(())
    }

    /// What a jail's lines come from, and its `ignorecommand`.
    fn add_source(&mut self, jail: &ListedJail) {
        let mut paths: Vec<&str> = jail.patterns.iter().map(String::as_str).collect();
        for setting in &jail.settings {
            match setting {
                JailSetting::AddLogPath { path, .. } => paths.push(path),
                JailSetting::Set { option, value } if option == "ignorecommand" => {
                    let who = format!("{}/ignorecommand", jail.name);
                    for right in rights::of_script(&value.str()) {
                        self.add(right, &who);
                    }
                }
                _ => {}
            }
        }
        for path in paths {
            let known = path.split(['*', '?', '[']).next().unwrap_or_default();
            // it may lie elsewhere than its name says
            let place = fs::canonicalize(known).unwrap_or_else(|_| known.into());
            self.logs.push((jail.name.clone(), place));
        }
        // the server says what is wrong with it
        let Ok(backend) = options::parse(&jail.backend) else {
            return;
        };
        match backend.name.to_lowercase().as_str() {
            "command" => {
                let command = backend.arguments.get("cmd").cloned().unwrap_or_default();
                self.add(Right::Unknown(command), &format!("{}/backend", jail.name));
            }
            "syslog" => {
                if let Ok(syslog) = SyslogListener::read(backend.arguments) {
                    self.ports.push((jail.name.clone(), syslog.port));
                }
            }
            _ => {}
        }
    }

    fn add_names(&mut self, jail: &ListedJail) {
        let (mut in_lines, mut own, mut ignored) = (true, true, false);
        for setting in &jail.settings {
            match setting {
                JailSetting::Set { option, value } if option == "usedns" => {
                    in_lines = !["no", "raw"].contains(&value.str().to_lowercase().as_str());
                }
                JailSetting::Set { option, value } if option == "ignoreself" => own = value.is_on(),
                JailSetting::AddIgnoreIp(words) => {
                    ignored |= words.iter().any(|word| Address::parse_ip(word).is_none());
                }
                _ => {}
            }
        }
        if in_lines || own || ignored {
            self.names.push(jail.name.clone());
        }
    }

    /// Who needs a right.
    pub fn who(&self, right: &Right) -> &[String] {
        self.rights.get(right).map_or(&[], Vec::as_slice)
    }

    /// Programs that mails are handed to, with who does.
    pub fn mailers(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.named(|right| match right {
            Right::Mail(program) => Some(program),
            _ => None,
        })
    }

    /// Programs with set-id bits.
    pub fn set_id(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.named(|right| match right {
            Right::SetId(program) => Some(program),
            _ => None,
        })
    }

    /// Files that commands write.
    pub fn written(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.named(|right| match right {
            Right::Write(path) => Some(path),
            _ => None,
        })
    }

    /// What nobody knows.
    pub fn unknown(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.named(|right| match right {
            Right::Unknown(what) => Some(what),
            _ => None,
        })
    }

    fn named(
        &self,
        name: fn(&Right) -> Option<&String>,
    ) -> impl Iterator<Item = (&str, &[String])> {
        let all = self.rights.iter();
        all.filter_map(move |(right, who)| Some((name(right)?.as_str(), who.as_slice())))
    }

    /// Whether some file of the server belongs to another than root.
    pub fn own_of_others(&self) -> bool {
        let of_others = |file: &Path| fs::metadata(file).is_ok_and(|found| found.uid() != 0);
        let mut own = self.own.iter();
        own.any(|(_, file)| of_others(file) || file.parent().is_some_and(of_others))
    }
}

/// The program that this one hands mail to, when that becomes another user by its set-id bit: exim does;
/// those of Postfix, Sendmail and dma have a group of their own.
fn set_id_of(program: &str) -> Option<String> {
    const SET_UID: u32 = 0o4000;
    let hands_over = !program.ends_with("sendmail") || !program.starts_with('/');
    let path = if hands_over { SENDMAIL } else { program };
    let found = fs::metadata(path).ok()?;
    let meant = fs::canonicalize(path).ok()?;
    (found.permissions().mode() & SET_UID != 0).then(|| meant.to_string_lossy().into_owned())
}

/// The directory of a file of the server as it is on this machine: one that is there, since the server
/// makes what is missing below it.
pub(super) fn directory_of(file: &Path) -> PathBuf {
    let named = without_link(file.parent().unwrap_or(file));
    if MADE.iter().any(|made| named == Path::new(made)) {
        return named;
    }
    let there = named.ancestors().find(|place| place.is_dir());
    let there = there.unwrap_or(Path::new("/"));
    fs::canonicalize(there).unwrap_or_else(|_| there.to_owned())
}

/// `/var/run` is `/run` by another name.
pub(super) fn without_link(path: &Path) -> PathBuf {
    match path.strip_prefix("/var/run") {
        Ok(below) => Path::new("/run").join(below),
        Err(_) => path.to_owned(),
    }
}
