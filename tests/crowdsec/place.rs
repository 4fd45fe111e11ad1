//! A host whose bans go to CrowdSec, and that bans whom CrowdSec bans.
#![allow(clippy::unwrap_used)]

use serde_json::Value as Json;

use crate::common;
use crate::common::home::{self, Server, Site};

/// A host that is not started.
pub struct Place {
    pub site: Site,
}

/// The jail that receives, with further settings.
pub fn receiving(name: &str, settings: &str) -> String {
    format!("[{name}]\nenabled = true\nfilter =\ncrowdsec = receive\n{settings}\n")
}

/// A jail over a log that sends.
pub fn sending(name: &str, settings: &str) -> String {
    let mode = match settings.contains("crowdsec = ") {
        true => "",
        false => "crowdsec = send\n",
    };
    format!(
        "[{name}]\nenabled = true\nmaxretry = 1\nbantime = 600\nlogpath = %(here)s/{name}.log\n{mode}{settings}\n"
    )
}

impl Place {
    /// With the jails `sshd`, which sends, and `crowdsec`, which receives.
    pub fn new(url: &str, settings: &str) -> Place {
        let jails = [sending("sshd", ""), receiving("crowdsec", "")];
        Place::with_jails(url, settings, &jails)
    }

    pub fn with_jails(url: &str, settings: &str, jails: &[String]) -> Place {
        let site = Site::new(&[]);
        for name in ["sshd", "mail"] {
            site.write(&format!("{name}.log"), "");
        }
        site.jails(&jails.concat());
        let place = Place { site };
        place.settings(&format!("url = {url}\n{settings}"));
        place
    }

    /// Writes the section `[crowdsec]`.
    pub fn settings(&self, settings: &str) {
        let text = self.site.read("fail2ban.conf");
        let own = text.split("[crowdsec]").next().unwrap();
        let section = format!("{own}[crowdsec]\n{settings}\n");
        self.site.write("fail2ban.conf", &section);
    }

    pub fn start(&self) -> Server<'_> {
        self.site.foreground(home::server())
    }

    /// What a command of the client answers.
    pub fn ask(&self, words: &str) -> String {
        let words: Vec<&str> = words.split(' ').collect();
        match home::ask(&self.site, &words).unwrap() {
            Ok(value) => value.repr(),
            Err(error) => error.to_string(),
        }
    }

    /// Fails so that it is banned.
    pub fn fail(&self, jail: &str, address: &str) {
        use std::io::Write as _;
        let time = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S");
        let path = self.site.path(&format!("{jail}.log"));
        let mut log = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        writeln!(log, "{time} x from {address}").unwrap();
    }

    pub fn bans(&self, jail: &str, id: &str) -> bool {
        self.ask(&format!("get {jail} banned {id}")) == "1"
    }

    /// Waits until somebody is banned, or is not.
    pub fn wait_banned(&self, jail: &str, id: &str, banned: bool) {
        let there = || self.bans(jail, id) == banned;
        assert!(
            common::eventually(60, there),
            "{id} banned by {jail} is not {banned}\n{}\n{}",
            self.status(),
            self.site.read("log")
        );
    }

    /// How many a jail bans.
    pub fn count(&self, jail: &str) -> usize {
        let list = self.ask(&format!("get {jail} banned"));
        list.matches('\'').count() / 2
    }

    /// The state of the bridge as the server tells it.
    pub fn status(&self) -> Json {
        match home::ask(&self.site, &["crowdsec", "status"]) {
            Ok(Ok(value)) => ferroban::parts::control::print::json::value(&value),
            _ => Json::Null,
        }
    }

    /// Waits until the state says so.
    pub fn wait_status(&self, holds: impl Fn(&Json) -> bool) {
        let there = || holds(&self.status());
        assert!(
            common::eventually(60, there),
            "{}\n{}",
            self.status(),
            self.site.read("log")
        );
    }
}
