//! A host of a fleet: a server over a configuration of its own.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value as Json;

use crate::common;
use crate::common::home::{self, Site};

/// A host that is not started.
pub struct Host {
    pub name: String,
    pub site: Site,
}

/// A jail that takes part, banned by the action `note` unless it says otherwise.
pub fn jail(name: &str, settings: &str) -> String {
    let fleet = match settings.contains("fleet = ") {
        true => "",
        false => "fleet = send, receive\n",
    };
    format!(
        "[{name}]\nenabled = true\nmaxretry = 1\nbantime = 600\nlogpath = %(here)s/{name}.log\n\
         {fleet}{settings}\n"
    )
}

/// Starts hosts that are alone in their fleet, and waits until they know each other.
pub fn meet<'h>(hosts: &[&'h Host]) -> Vec<home::Server<'h>> {
    let servers = hosts.iter().map(|host| host.start()).collect();
    for host in hosts {
        host.wait_connected(hosts.len() - 1);
    }
    servers
}

impl Host {
    /// With the jail `sshd`.
    pub fn new(name: &str, url: &str, settings: &str) -> Host {
        Host::with_jails(name, url, settings, &[("sshd", "")])
    }

    /// With jails and their settings.
    pub fn with_jails(name: &str, url: &str, settings: &str, jails: &[(&str, &str)]) -> Host {
        let site = Site::new(&[]);
        for (jail, _) in jails {
            site.write(&format!("{jail}.log"), "");
        }
        let sections: Vec<String> = jails.iter().map(|(name, more)| jail(name, more)).collect();
        site.jails(&sections.concat());
        let host = Host {
            name: name.to_owned(),
            site,
        };
        host.settings(url, settings);
        host
    }

    /// Writes the section `[fleet]`.
    pub fn settings(&self, url: &str, settings: &str) {
        let text = self.site.read("fail2ban.conf");
        let own = text.split("[fleet]").next().unwrap();
        let name = &self.name;
        let section = format!("{own}[fleet]\nurl = {url}\nhost = {name}\n{settings}\n");
        self.site.write("fail2ban.conf", &section);
    }

    pub fn start(&self) -> home::Server<'_> {
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
        self.fail_all(jail, &[address.to_owned()]);
    }

    /// As [`Host::fail`] for many, in one write.
    pub fn fail_all(&self, jail: &str, addresses: &[String]) {
        let time = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S");
        let path = self.site.path(&format!("{jail}.log"));
        let mut log = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        use std::io::Write as _;
        let lines = addresses
            .iter()
            .map(|address| format!("{time} x from {address}\n"));
        log.write_all(lines.collect::<String>().as_bytes()).unwrap();
    }

    pub fn bans(&self, jail: &str, address: &str) -> bool {
        self.ask(&format!("get {jail} banned {address}")) == "1"
    }

    /// Waits until an address is banned, or is not.
    pub fn wait_banned(&self, jail: &str, address: &str, banned: bool) {
        let there = || self.bans(jail, address) == banned;
        assert!(
            common::eventually(60, there),
            "{}: {address} banned is not {banned}\n{}",
            self.name,
            self.site.read("log")
        );
    }

    /// What `ferroban fleet` prints for these words, as JSON where it is.
    pub fn fleet(&self, words: &[&str]) -> (i32, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ferroban"));
        program.arg("fleet");
        self.site.run(program, words)
    }

    /// The state of the fleet as the server tells it.
    pub fn status(&self) -> Json {
        match home::ask(&self.site, &["fleet", "status"]) {
            Ok(Ok(value)) => ferroban::parts::control::print::json::value(&value),
            _ => Json::Null,
        }
    }

    /// Waits until it is connected and knows so many others.
    pub fn wait_connected(&self, others: usize) {
        let there = || {
            let status = self.status();
            let hosts = status["hosts"].as_array().map_or(0, Vec::len);
            !status["connected"].is_null() && hosts >= others
        };
        assert!(
            common::eventually(60, there),
            "{}: {}\n{}",
            self.name,
            self.status(),
            self.site.read("log")
        );
    }

    /// What the state says of another host.
    pub fn of_host(&self, host: &str, key: &str) -> Json {
        let status = self.status();
        let hosts = status["hosts"].as_array().cloned().unwrap_or_default();
        let host = hosts.into_iter().find(|one| one["host"] == host);
        host.map_or(Json::Null, |host| host[key].clone())
    }
}
