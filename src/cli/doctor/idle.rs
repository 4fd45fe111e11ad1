//! Jails that have never found anything.

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::cli::report::state::ReportedState;
use crate::lint::Severity;
use crate::store::statistics::{self, Statistics, StatisticsQuery};
use crate::ticket::Timestamp;

/// A server that runs for so long has seen what there is to see.
const LONG: f64 = 3.0 * DAY;
const DAY: f64 = 24.0 * 3600.0;

/// The jails of a server that runs for days.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let started = look.server().and_then(|server| server.started);
    let (Some(started), true) = (started, look.machine.is_this()) else {
        return;
    };
    let Ok(state) = look.state() else { return };
    let place = look.machine.place(&look.database);
    // without a database the server's own figures are all there is
    let past = statistics::read(&place, 0.0, &StatisticsQuery::default()).unwrap_or_default();
    of_state(state, &past, look.present - started, findings);
}

/// The jails without a failure and a ban since the start, and without a ban in the database.
fn of_state(
    state: &ReportedState,
    past: &Statistics,
    runs: Timestamp,
    findings: &mut DoctorFindings,
) {
    if runs < LONG {
        return;
    }
    let idle = state.jails.iter().filter(|jail| {
        jail.failed[1] == 0
            && jail.banned[1] == 0
            && !past.days.iter().any(|day| day.jail == jail.name)
    });
    let names: Vec<&str> = idle.map(|jail| jail.name.as_str()).collect();
    if names.is_empty() {
        return;
    }
    findings.add(
        Severity::Note,
        "idle",
        format!(
            "these jails have found nothing in the {} days that the server runs, and the database has no ban of them: {}",
            (runs / DAY).floor(),
            names.join(", ")
        ),
        "all is well if nobody tried; else ferroban explain shows what a jail makes of a line of its log",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::state::ReportedJailState;
    use crate::store::statistics::Day;

    #[test]
    fn a_jail_is_idle_when_it_never_found_anything_for_days() {
        let jail = |name: &str, failed| ReportedJailState {
            name: name.to_owned(),
            failed: [0, failed],
            ..ReportedJailState::default()
        };
        let state = ReportedState {
            jails: vec![jail("busy", 3), jail("never", 0), jail("once", 0)],
            ..ReportedState::default()
        };
        let past = Statistics {
            days: vec![Day {
                date: "2026-11-01".to_owned(),
                jail: "once".to_owned(),
                bans: 1,
            }],
            ..Statistics::default()
        };
        let idle = |runs| {
            let mut findings = DoctorFindings::default();
            of_state(&state, &past, runs, &mut findings);
            let list = findings.list.into_iter();
            list.map(|finding| finding.message).collect::<String>()
        };
        assert!(idle(4.0 * DAY).ends_with("of them: never"));
        assert_eq!(idle(2.0 * DAY), "");
    }
}
