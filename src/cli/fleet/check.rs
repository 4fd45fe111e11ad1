//! What is wrong with a fleet: the engine, the rights at it, clocks and keys.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::bail;
use clap::ArgMatches;

use super::{FleetSettings, ask, connect, say, settings, shown, wait};
use crate::fleet::engine::EngineConnection;
use crate::fleet::signing::{Signer, Trusted};

/// Seconds by which clocks may differ; the fleet bears more, but logs are hard to compare then.
const SKEW: f64 = 2.0;

/// Says what holds and what does not; what does not is an error in the end.
pub fn doctor(matches: &ArgMatches) -> anyhow::Result<()> {
    let settings = settings(matches)?;
    let mut findings = Vec::new();
    files(&settings, &mut findings);
    let engine = wait(async {
        let mut engine = connect(&settings).await?;
        rights(&settings, &mut engine, &mut findings).await
    });
    if let Err(error) = engine {
        findings.push(format!("{error:#}"));
    }
    if settings.url.starts_with("redis://") && !is_local(&settings.url) {
        findings.push(
            "The connection is not encrypted: use rediss://, a tunnel, or a network of your own"
                .to_owned(),
        );
    }
    match ask(matches, "status") {
        Ok(status) => {
            if let Some(error) = status["error"].as_str() {
                findings.push(format!("The server is not connected: {error}"));
            }
            let skew = status["clock"].as_f64().unwrap_or(0.0);
            if skew.abs() > SKEW {
                findings.push(format!(
                    "The clock of this host and the engine's differ by {skew:.0} s; bans end right all the same"
                ));
            }
            for host in status["hosts"].as_array().into_iter().flatten() {
                let name = host["host"].as_str().unwrap_or_default();
                if host["muted"].as_bool() == Some(true) {
                    findings.push(format!("Host {name} is muted: it has banned too many"));
                }
                let seen = host["seen"].as_f64().unwrap_or(0.0);
                if seen > 60.0 {
                    findings.push(format!("Host {name} was last seen {seen:.0} s ago"));
                }
            }
        }
        Err(error) => findings.push(format!("{error:#}")),
    }
    for finding in &findings {
        say(&format!("- {}", super::printable(finding)));
    }
    match findings.len() {
        0 => {
            say("Nothing is wrong.");
            Ok(())
        }
        count => bail!("{count} findings"),
    }
}

/// Files that others may read, and keys that are none.
fn files(settings: &FleetSettings, findings: &mut Vec<String>) {
    let secret = [&settings.password, &settings.key];
    for path in secret.into_iter().flatten() {
        let Ok(file) = std::fs::metadata(path) else {
            findings.push(format!("{} cannot be read", path.display()));
            continue;
        };
        if file.permissions().mode() & 0o077 != 0 {
            let path = path.display();
            findings.push(format!("{path} may be read by others: chmod 600 {path}"));
        }
    }
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    if let Some(path) = &settings.key
        && let Err(error) = Signer::read(&read(path))
    {
        findings.push(format!("{}: {error}", path.display()));
    }
    if let Some(path) = &settings.trusted
        && let Err(error) = Trusted::read(&read(path))
    {
        findings.push(format!("{}: {error}", path.display()));
    }
}

/// What the engine is, and whether the user of this host may do more than it has to.
async fn rights(
    settings: &FleetSettings,
    engine: &mut EngineConnection,
    findings: &mut Vec<String>,
) -> anyhow::Result<()> {
    say(&format!("{}: {}", shown(settings), engine.version().await?));
    let (hosts, _) = engine.hosts().await?;
    let mut other = hosts.iter().map(|(host, _)| host.as_str());
    let other = other.find(|host| *host != settings.host);
    let other = other.unwrap_or("another");
    if engine.may_write_for(other).await? {
        findings.push(format!(
            "The user of this host may write what {other} says: give each host a user of its own \
             (ferroban fleet init)"
        ));
    }
    if !engine.may_write_for(&settings.host).await? {
        findings.push(format!(
            "The user of this host may not write its own stream: see ferroban fleet init --host {}",
            settings.host
        ));
    }
    Ok(())
}

fn is_local(url: &str) -> bool {
    let place = url.rsplit_once('@').map_or(url, |(_, place)| place);
    let place = place.trim_start_matches("redis://");
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|local| place.starts_with(local))
}
