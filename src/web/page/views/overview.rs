//! The first page: everything at a glance.

use maud::{Markup, html};

use super::{PageFrame, tiles, whole};
use crate::web::api::shapes::{JailSummary, Status};
use crate::web::events::{JailPulse, Pulse};
use crate::web::page::chart::Chart;
use crate::web::page::table::table;
use crate::web::page::text::{Foreign, counted, grouped, local, moment, sized};

/// Most bars of a chart of time, and fewest.
const BARS: usize = 48;
const FEWEST: usize = 12;

/// `/`
pub fn overview(frame: &PageFrame<'_>, status: &Status, pulse: &Pulse) -> String {
    let sum = |count: fn(&JailSummary) -> u64| status.jails.iter().map(count).sum::<u64>();
    let numbers = [
        ("Banned now", sum(|jail| jail.banned_now)),
        ("Bans since the start", sum(|jail| jail.banned_total)),
        ("Failing now", sum(|jail| jail.failed_now)),
        ("Failures since the start", sum(|jail| jail.failed_total)),
    ];
    let main = html! {
        div id="now" data-refresh {
            @if let Some(error) = &status.error {
                p.bad role="alert" { (Foreign(error)) }
            } @else {
                p { (server(status)) }
                (failed(status))
                (tiles(&numbers))
                div.charts {
                    (time("Bans", pulse, |jail| &jail.bans))
                    (time("Failures", pulse, |jail| &jail.failures))
                }
                h2 { "Jails" }
                (jails(frame, &status.jails))
                (fleet(status))
                (lists(status))
            }
        }
    };
    whole(frame, "", &status.host, &main)
}

fn server(status: &Status) -> String {
    match &status.ferroban {
        Some(version) => format!("Ferroban {version}, as fail2ban {}", status.version),
        None => format!("fail2ban {}", status.version),
    }
}

/// Jails that are missing, if any.
fn failed(status: &Status) -> Markup {
    html! {
        @if !status.failed.is_empty() {
            h2 { "Jails that do not run" }
            ul { @for jail in &status.failed {
                li.bad { strong { (Foreign(&jail.name)) } ": " (Foreign(&jail.error)) }
            } }
        }
    }
}

fn jails(frame: &PageFrame<'_>, jails: &[JailSummary]) -> Markup {
    const COLUMNS: &[&str] = &[
        "Jail", "Banned", "Bans", "Failing", "Failures", "Lines", "Health",
    ];
    let number = |number: u64| html! { (grouped(number)) };
    let row = |jail: &JailSummary| {
        vec![
            frame.jail(&jail.name),
            number(jail.banned_now),
            number(jail.banned_total),
            number(jail.failed_now),
            number(jail.failed_total),
            lines(jail),
            health(jail),
        ]
    };
    let rows: Vec<_> = jails.iter().map(row).collect();
    html! {
        (table(COLUMNS, &rows, "jails"))
        @if rows.is_empty() { p { "No jails." } }
    }
}

/// Lines that a jail has read; the script tells how many a second.
pub(super) fn lines(jail: &JailSummary) -> Markup {
    html! {
        @if let Some(lines) = jail.lines {
            (grouped(lines)) " " span.rate data-rate=(jail.name) data-count=(lines) {}
        }
    }
}

/// What is wrong with a jail, in words.
pub(super) fn health(jail: &JailSummary) -> Markup {
    let mut wrong = Vec::new();
    for action in &jail.actions {
        if action.not_effective > 0 {
            let bans = counted(action.not_effective, "ban");
            wrong.push(format!("{bans} not effective by {}", action.name));
        }
    }
    if let Some(given_up @ 1..) = jail.given_up {
        wrong.push(format!("{} given up", counted(given_up, "search")));
    }
    let waiting: u64 = jail.actions.iter().map(|action| action.waiting).sum();
    let wrong = wrong.join("; ");
    html! {
        @if wrong.is_empty() { span.good { "fine" } } @else { span.bad { (Foreign(&wrong)) } }
        @if waiting > 0 { ", " (counted(waiting, "order")) " waiting" }
        @if let Some(unread @ 1..) = jail.unread { ", " (sized(unread)) " of its logs not read yet" }
        @if jail.simulated { ", only says whom it would ban" }
    }
}

/// Hosts that share bans, where there is a fleet.
fn fleet(status: &Status) -> Markup {
    const COLUMNS: &[&str] = &["Host", "Bans", "Seen", "Behind", "Refused"];
    let Some(fleet) = &status.fleet else {
        return html! {};
    };
    let hosts = fleet["hosts"].as_array().into_iter().flatten();
    let row = |host: &serde_json::Value| {
        let number = |name: &str| host[name].as_f64().unwrap_or_default();
        let name = host["host"].as_str().unwrap_or_default();
        let muted = host["muted"].as_bool() == Some(true);
        vec![
            html! { (Foreign(name)) @if muted { " " span.bad { "muted" } } },
            html! { (grouped(number("bans") as u64)) },
            html! { (format!("{:.0} s ago", number("seen").max(0.0))) },
            html! { (format!("{:.1} s", number("lag"))) },
            html! { (grouped(number("refused") as u64)) },
        ]
    };
    let rows: Vec<_> = hosts.map(row).collect();
    let name = fleet["fleet"].as_str().unwrap_or_default();
    let error = fleet["error"]
        .as_str()
        .filter(|_| fleet["connected"].is_null());
    html! {
        h2 { "Fleet " (Foreign(name)) }
        @if let Some(error) = error { p.bad { "Not connected: " (Foreign(error)) } }
        (table(COLUMNS, &rows, "texts"))
        @if rows.is_empty() { p { "No other hosts." } }
    }
}

/// Lists that CrowdSec tells, where the server speaks to it.
fn lists(status: &Status) -> Markup {
    const COLUMNS: &[&str] = &["List", "Decisions"];
    let Some(crowdsec) = &status.crowdsec else {
        return html! {};
    };
    let lists = crowdsec["lists"].as_object().into_iter().flatten();
    let row = |(list, count): (&String, &serde_json::Value)| {
        let count = count.as_u64().unwrap_or_default();
        vec![html! { (Foreign(list)) }, html! { (grouped(count)) }]
    };
    let rows: Vec<_> = lists.map(row).collect();
    let wrong = [("telling", "takes no bans"), ("hearing", "tells nothing")];
    let wrong = wrong
        .into_iter()
        .filter_map(|(way, what)| Some((what, crowdsec[way]["error"].as_str()?)));
    html! {
        h2 { "CrowdSec" }
        @for (what, error) in wrong { p.bad { "It " (what) ": " (Foreign(error)) } }
        (table(COLUMNS, &rows, "numbers"))
        @if rows.is_empty() { p { "No decisions." } }
        @if let Some(last) = crowdsec["hearing"]["last"].as_f64() { p { "As told at " (moment(last)) "." } }
    }
}

/// A number over time as a picture by jail, and as a table.
fn time(what: &str, pulse: &Pulse, of: fn(&JailPulse) -> &[u32]) -> Markup {
    let steps = pulse
        .jails
        .iter()
        .map(|jail| of(jail).len())
        .max()
        .unwrap_or(0);
    let total: u64 = pulse
        .jails
        .iter()
        .flat_map(of)
        .map(|count| u64::from(*count))
        .sum();
    let since = local(pulse.begin as f64, "%H:%M");
    // as many steps of the pulse to a bar as are needed, in round numbers of minutes
    let width = [1, 2, 5, 10, 30]
        .into_iter()
        .find(|width| steps / width < BARS)
        .unwrap_or(30);
    // a bar begins at a round time
    let offset = usize::try_from(pulse.begin / pulse.step.max(1)).unwrap_or(0) % width;
    let bars = (steps + offset).div_ceil(width).max(FEWEST);
    let begin = pulse.begin.saturating_sub(offset as u64 * pulse.step);
    let name = |bar: usize| local((begin + (bar * width) as u64 * pulse.step) as f64, "%H:%M");
    let every = bars.div_ceil(5);
    let names = (0..bars).map(|bar| (name(bar), bar.is_multiple_of(every).then(|| name(bar))));
    let counts = pulse.jails.iter().flat_map(|jail| {
        let steps = of(jail).iter().enumerate();
        steps.map(|(step, count)| (jail.jail.as_str(), (step + offset) / width, *count))
    });
    let title = format!("{what} since {since} by jail");
    let chart = Chart::stacked(title, names.collect(), counts);
    html! {
        div {
        h2 { (what) " since " (since) }
        @if total == 0 { p { "None." } } @else {
            (chart.markup())
            details id={ "numbers-" (what) } { summary { "Numbers" } (chart.numbers(what)) }
        }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EVIL, frame, is_harmless, operator};
    use super::*;
    use crate::web::api::shapes::{ActionSummary, FailedJail};

    fn pulse(jail: &str, failures: Vec<u32>) -> Pulse {
        let jail = jail.to_owned();
        let bans = vec![0; failures.len()];
        Pulse {
            step: 60,
            begin: 1_795_348_800,
            jails: vec![JailPulse {
                jail,
                failures,
                bans,
            }],
        }
    }

    #[test]
    fn names_and_errors_are_harmless() {
        let access = operator();
        let jail = JailSummary {
            name: EVIL.to_owned(),
            actions: vec![ActionSummary {
                name: EVIL.to_owned(),
                waiting: 2,
                not_effective: 3,
            }],
            given_up: Some(2),
            lines: Some(1000),
            unread: Some(2500),
            ..JailSummary::default()
        };
        let status = Status {
            host: EVIL.to_owned(),
            failed: vec![FailedJail {
                name: EVIL.to_owned(),
                error: EVIL.to_owned(),
            }],
            jails: vec![jail],
            fleet: Some(
                serde_json::json!({ "fleet": EVIL, "error": EVIL, "hosts": [{ "host": EVIL, "muted": true }] }),
            ),
            crowdsec: Some(serde_json::json!({
                "lists": { EVIL: 7 }, "telling": { "error": EVIL }, "hearing": { "last": 0.0 },
            })),
            ..Status::default()
        };
        let page = overview(&frame(&access), &status, &pulse(EVIL, vec![3]));
        is_harmless(&page, 11);
        assert!(page.contains("2.5 kB of its logs not read yet"), "{page}");
        assert!(page.contains("It takes no bans: ") && page.contains("As told at 19"));
        assert!(page.contains("3 bans not effective by") && page.contains("2 searches given up"));
        assert!(page.contains("2 orders waiting"), "{page}");
    }

    #[test]
    fn a_day_of_minutes_is_few_bars() {
        let markup = time("Failures", &pulse("sshd", vec![1; 1440]), |jail| {
            &jail.failures
        });
        let text = markup.into_string();
        // in the picture and in the table
        assert_eq!(text.matches("sshd 30<").count(), 2 * 48, "{text}");
        let markup = time("Failures", &pulse("sshd", vec![0; 7]), |jail| {
            &jail.failures
        });
        assert!(markup.into_string().contains("None."));
    }
}
