//! Others with whom the server shares bans, by the sections `[fleet]` and `[crowdsec]`: whether it can, and why
//! not.

use serde_json::Value as Json;

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::config::stream;
use crate::control::Value;
use crate::control::print::json;
use crate::lint::Severity;
use crate::{crowdsec, fleet};

type Options = Vec<(Value, Value)>;

/// What the configuration says, and what the running server has made of it.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    // a configuration that cannot be read has been told
    let of_fleet = stream::fleet(&look.machine, &look.base).unwrap_or_default();
    let settings = fleet::settings::FleetSettings::read(&of_fleet);
    let settings = settings.map_err(|wrong| wrong.to_string());
    if let Some(status) = section(look, "fleet", &of_fleet, settings, findings)
        && let Some(why) = status["error"].as_str()
        && why != fleet::NOT_TRIED
    {
        findings.add(
            Severity::Error,
            "fleet",
            format!("the fleet's engine is away: {why}"),
            "see ferroban fleet doctor, and the section [fleet] of fail2ban.conf",
        );
    }
    let of_crowdsec = stream::crowdsec(&look.machine, &look.base).unwrap_or_default();
    let settings = crowdsec::CrowdsecSettings::read(&of_crowdsec);
    let settings = settings.map_err(|wrong| wrong.to_string());
    let Some(status) = section(look, "crowdsec", &of_crowdsec, settings, findings) else {
        return;
    };
    for (way, what) in [
        ("telling", "is not told of bans, which wait"),
        ("hearing", "does not tell its decisions"),
    ] {
        if let Some(why) = status[way]["error"].as_str() {
            findings.add(
                Severity::Error,
                "crowdsec",
                format!("CrowdSec {what}: {why}"),
                "see whether it runs (systemctl status crowdsec), and the section [crowdsec] of fail2ban.conf",
            );
        }
    }
}

/// What the server tells of a section of `fail2ban.conf`. Where it does not go by it that is a finding.
fn section<T>(
    look: &Inspection,
    name: &'static str,
    options: &Options,
    settings: Result<Option<T>, String>,
    findings: &mut DoctorFindings,
) -> Option<Json> {
    let asks = look.machine.is_this() && look.server().is_some();
    let answer = asks.then(|| look.answer(&[name, "status"])).flatten();
    let why = match (settings, answer) {
        (Err(wrong), _) => wrong,
        (Ok(Some(_)), Some(Ok(status))) => return Some(json::value(&status)),
        (Ok(Some(_)), Some(Err(refusal))) => refusal.to_string(),
        // without a url the section is for nothing
        (Ok(None), _) if !options.is_empty() => {
            format!("[{name}] has no url, and so counts for nothing")
        }
        (Ok(None), _) | (_, None) => return None,
    };
    findings.add(
        Severity::Error,
        name,
        why,
        "put it right in fail2ban.local, then fail2ban-client reload",
    );
    None
}
