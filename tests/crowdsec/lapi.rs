//! A LAPI of the test's own: CrowdSec's, with a configuration and data of its own, that speaks to nobody else.
#![allow(clippy::unwrap_used)]

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value as Json;

use crate::authority::Authority;
use crate::common;
use crate::engine::free_port;

/// A running LAPI; it ends with it.
pub struct Lapi {
    pub address: SocketAddr,
    directory: tempfile::TempDir,
    child: Option<Child>,
    secure: bool,
}

/// Where `tests/get-crowdsec` has unpacked it.
fn program(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_ferroban"));
    let mut folders = target.ancestors().skip(1);
    let found = folders.find_map(|folder| {
        let path = folder.join("reference/crowdsec/usr/bin").join(name);
        path.exists().then_some(path)
    });
    found.expect("tests/get-crowdsec has unpacked CrowdSec")
}

impl Lapi {
    /// With a machine `m` with the password `p`, and two bouncers with the keys `k` and `k2`.
    pub fn new() -> Lapi {
        Lapi::with(None)
    }

    /// One that is reached by TLS, and takes those for a machine and a bouncer who show a certificate of this unit.
    pub fn with_tls(authority: &Authority, unit: &str) -> Lapi {
        Lapi::with(Some((authority, unit)))
    }

    fn with(tls: Option<(&Authority, &str)>) -> Lapi {
        let address = free_port();
        let of_tls = tls.map_or_else(String::new, |(authority, unit)| {
            let path = |name: &str| authority.path(name).display().to_string();
            format!(
                ", tls: {{cert_file: {}, key_file: {}, ca_cert_path: {}, \
                 client_verification: VerifyClientCertIfGiven, agents_allowed_ou: [{unit}], \
                 bouncers_allowed_ou: [{unit}]}}",
                path("server.pem"),
                path("server.key"),
                path("ca.pem")
            )
        });
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().display().to_string();
        let write =
            |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        for folder in ["data", "hub", "notifications", "plugins"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        write("credentials.yaml", "");
        write("hub/.index.json", "{}");
        write("simulation.yaml", "simulation: false\n");
        write(
            "profiles.yaml",
            "name: none\nfilters:\n - 'false'\ndecisions:\n - type: ban\n   duration: 4h\non_success: break\n",
        );
        write(
            "config.yaml",
            &format!(
                "common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: {root}}}\n\
                 config_paths: {{config_dir: {root}, data_dir: {root}/data, hub_dir: {root}/hub, \
                 index_path: {root}/hub/.index.json, simulation_path: {root}/simulation.yaml, \
                 notification_dir: {root}/notifications, plugin_dir: {root}/plugins}}\n\
                 cscli: {{output: raw}}\n\
                 db_config: {{type: sqlite, db_path: {root}/data/crowdsec.db, use_wal: true, \
                 flush: {{max_items: 1000000, max_age: 7d}}}}\n\
                 api:\n  client: {{credentials_path: {root}/credentials.yaml}}\n  server: {{log_level: info, \
                 listen_uri: '{address}', profiles_path: {root}/profiles.yaml, trusted_ips: [127.0.0.1]{of_tls}}}\n\
                 prometheus: {{enabled: false}}\n"
            ),
        );
        let mut lapi = Lapi {
            address,
            directory,
            child: None,
            secure: tls.is_some(),
        };
        let credentials = lapi.directory.path().join("credentials.yaml");
        let credentials = credentials.display().to_string();
        let url = lapi.url();
        lapi.cscli(&[
            "machines",
            "add",
            "m",
            "--password",
            "p",
            "-f",
            &credentials,
            "-u",
            &url,
            "--force",
        ]);
        if let Some((authority, _)) = tls {
            let mut known = std::fs::read_to_string(&credentials).unwrap();
            let ca = authority.path("ca.pem").display().to_string();
            known.push_str(&format!("\nca_cert_path: {ca}\n"));
            std::fs::write(&credentials, known).unwrap();
        }
        lapi.cscli(&["bouncers", "add", "firewall", "-k", "k"]);
        lapi.cscli(&["bouncers", "add", "other", "-k", "k2"]);
        lapi.start();
        lapi
    }

    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Starts it, or starts it again over the same data.
    pub fn start(&mut self) {
        let log = std::fs::File::create(self.directory.path().join("log")).unwrap();
        let child = Command::new(program("crowdsec"))
            .arg("-c")
            .arg(self.directory.path().join("config.yaml"))
            .arg("-no-cs")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("crowdsec starts"));
        let answers = || TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
        assert!(common::eventually(60, answers), "{}", self.log());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap();
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| !line.contains("crowdsec/v"))
            .collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// What `cscli` prints.
    pub fn cscli(&self, words: &[&str]) -> String {
        let output = Command::new(program("cscli"))
            .arg("-c")
            .arg(self.directory.path().join("config.yaml"))
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "cscli {words:?}: {said}\n{}",
            self.log()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// All decisions in force that `cscli decisions list` shows, as `ORIGIN SCOPE:VALUE REASON`.
    pub fn decisions(&self) -> Vec<String> {
        let list = self.cscli(&["decisions", "list", "-a", "-l", "0", "-o", "json"]);
        let alerts: Json = serde_json::from_str(&list).unwrap();
        let alerts = alerts.as_array().cloned().unwrap_or_default();
        let decisions = alerts.iter().flat_map(|alert| {
            let decisions = alert["decisions"].as_array();
            decisions.cloned().unwrap_or_default()
        });
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        decisions
            .map(|one| {
                format!(
                    "{} {}:{} {}",
                    text(&one["origin"]),
                    text(&one["scope"]),
                    text(&one["value"]),
                    text(&one["scenario"])
                )
            })
            .collect()
    }

    /// Waits until these decisions are there, and no others.
    pub fn wait_decisions(&self, expected: &[&str]) {
        let sorted = |mut list: Vec<String>| {
            list.sort();
            list
        };
        let expected = sorted(expected.iter().map(|one| (*one).to_owned()).collect());
        let there = || sorted(self.decisions()) == expected;
        assert!(
            common::eventually(60, there),
            "{:?}, not {expected:?}\n{}",
            self.decisions(),
            self.log()
        );
    }
}

impl Drop for Lapi {
    fn drop(&mut self) {
        self.kill();
    }
}
