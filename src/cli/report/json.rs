//! A report for programs (docs/report.md).

use chrono::{Local, NaiveDateTime};
use serde_json::{Value, json};

use super::BanReport;
use super::state::{ReportedJailState, ReportedState};
use crate::store::statistics::{Day, RepeatOffender, Statistics};

/// The object of a report.
pub fn object(report: &BanReport) -> Value {
    let past = report.past.as_ref().ok().and_then(Option::as_ref);
    json!({
        "host": report.host,
        "time": report.now,
        "server": match &report.state {
            Ok(_) => Value::Null,
            Err(why) => json!({ "error": why }),
        },
        "jails": report.state.as_ref().ok().map(jails),
        "banned": report.state.as_ref().ok().map(|state| banned(state, past)),
        "past": match &report.past {
            Ok(None) => Value::Null,
            Ok(Some(past)) => self::past(past),
            Err(why) => json!({ "error": why }),
        },
    })
}

fn jails(state: &ReportedState) -> Vec<Value> {
    let running = state.jails.iter().map(|jail| {
        json!({
            "jail": jail.name,
            "error": null,
            "currently_failed": jail.failed[0],
            "total_failed": jail.failed[1],
            "currently_banned": jail.banned[0],
            "total_banned": jail.banned[1],
        })
    });
    let failed = state
        .failed
        .iter()
        .map(|(jail, why)| json!({ "jail": jail, "error": why }));
    running.chain(failed).collect()
}

fn banned(state: &ReportedState, past: Option<&Statistics>) -> Vec<Value> {
    let of_jail = |jail: &ReportedJailState| -> Vec<Value> {
        let bans = jail.bans.iter().map(|ban| {
            let failing = jail
                .ineffective
                .iter()
                .filter(|(_, ids)| ids.contains(&ban.id));
            let failing: Vec<_> = failing.map(|(action, _)| action).collect();
            let key = (jail.name.clone(), ban.id.clone());
            json!({
                "id": ban.id,
                "jail": jail.name,
                "since": unix_time(&ban.since),
                "until": ban.until.as_deref().and_then(unix_time),
                "reason": past.and_then(|past| past.reasons.get(&key)),
                "not_effective": failing,
                "by": ban.by,
            })
        });
        bans.collect()
    };
    state.jails.iter().flat_map(of_jail).collect()
}

fn past(past: &Statistics) -> Value {
    let day = |day: &Day| json!({ "date": day.date, "jail": day.jail, "bans": day.bans });
    let offender = |one: &RepeatOffender| json!({ "id": one.id, "bans": one.bans, "last": one.last, "jails": one.jails });
    let country = |(country, bans): &(String, u32)| json!({ "country": country, "bans": bans });
    json!({
        "days": past.days.iter().map(day).collect::<Vec<_>>(),
        "hours": past.hours,
        "countries": past.countries.iter().map(country).collect::<Vec<_>>(),
        "repeated": past.offenders.iter().map(offender).collect::<Vec<_>>(),
    })
}

/// The time that a server tells as `2026-11-22 10:00:00`, in local time.
fn unix_time(text: &str) -> Option<i64> {
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok()?;
    Some(time.and_local_timezone(Local).earliest()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::report;
    use super::*;

    #[test]
    fn everything_has_a_name() {
        let object = object(&report("mail", "192.0.2.1"));
        assert_eq!(object["host"], "mx1.example.org");
        assert_eq!(object["jails"][0]["total_failed"], 20);
        assert_eq!(object["jails"][1]["error"], "no log of 192.0.2.1");
        let ban = &object["banned"][0];
        assert_eq!(ban["reason"], "bad guess from 192.0.2.1");
        assert_eq!(ban["not_effective"], json!(["iptables"]));
        let length = ban["until"].as_i64().unwrap() - ban["since"].as_i64().unwrap();
        assert_eq!(length, 3600);
        assert_eq!(object["banned"][1]["until"], Value::Null);
        assert_eq!(object["past"]["hours"][9], 3);
        assert_eq!(object["past"]["countries"][0]["country"], "AT");
        assert_eq!(object["past"]["repeated"][0]["bans"], 3);
    }
}
