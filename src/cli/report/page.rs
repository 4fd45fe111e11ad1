//! What a report says, in sections with tables; how that looks is for others.

use std::collections::HashMap;

use chrono::{Days, Local, TimeZone as _};

use super::state::{Ban, Jail, State};
use super::{DAYS, Report};
use crate::cli::printable;
use crate::jail::decision::local_time;
use crate::store::statistics::{Day, Offender, Statistics};
use crate::web::page::chart::{Bar, Chart};

/// Bans of a jail that are listed; those that end last are left out and counted.
const MOST_BANS: usize = 1000;
/// Characters of a reason that are shown.
const LONGEST_REASON: usize = 200;
/// Jails that have a colour of their own; the rest shares one.
const COLOURS: usize = 7;

/// A report.
#[derive(Clone, Debug)]
pub struct Page {
    /// The machine it is about.
    pub host: String,
    /// When it was made, in local time.
    pub made: String,
    /// Its parts, in order.
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// What it is about.
    pub heading: String,
    /// The numbers of its table as a picture.
    pub chart: Option<Chart>,
    /// The columns of its table.
    pub columns: &'static [&'static str],
    /// The rows, as long as there are columns.
    pub rows: Vec<Vec<String>>,
    /// What there is to say without a table.
    pub note: Option<String>,
}

/// The sections of a report: what is wrong, then the past, and the long list in the end.
pub fn of(report: &Report) -> Page {
    let mut sections = Vec::new();
    let past = report.past.as_ref().ok().and_then(Option::as_ref);
    match &report.state {
        Ok(state) => {
            sections.extend(failed(state));
            sections.extend(ineffective(&state.jails));
            sections.push(jails(&state.jails));
        }
        Err(why) => sections.push(remark("Now", why)),
    }
    match &report.past {
        Ok(Some(past)) => sections.extend([
            days(past, report.now),
            hours(&past.hours),
            offenders(&past.offenders),
        ]),
        Ok(None) => sections.push(remark("Past", "The server keeps no database.")),
        Err(why) => sections.push(remark("Past", why)),
    }
    if let Ok(state) = &report.state {
        sections.push(bans(&state.jails, past));
    }
    Page {
        host: printable(&report.host),
        made: local_time(report.now),
        sections,
    }
}

/// A section that has nothing but a sentence.
fn remark(heading: &str, text: &str) -> Section {
    Section {
        heading: heading.to_owned(),
        note: Some(printable(text)),
        ..Section::default()
    }
}

/// A section of rows; when there are none `none` says so. Texts come from logs and other programs:
/// nothing in them may steer a terminal.
fn table(
    heading: String,
    columns: &'static [&'static str],
    rows: impl Iterator<Item = Vec<String>>,
    none: &str,
) -> Section {
    let printable = |row: Vec<String>| row.iter().map(|cell| printable(cell)).collect();
    let rows: Vec<_> = rows.map(printable).collect();
    Section {
        heading,
        columns,
        note: rows.is_empty().then(|| none.to_owned()),
        rows,
        chart: None,
    }
}

/// Jails that are missing, if any.
fn failed(state: &State) -> Option<Section> {
    const COLUMNS: &[&str] = &["Jail", "Why"];
    let row = |(jail, why): &(String, String)| vec![jail.clone(), why.clone()];
    let heading = "Jails that do not run".to_owned();
    let rows = state.failed.iter().map(row);
    let section = table(heading, COLUMNS, rows, "");
    (!state.failed.is_empty()).then_some(section)
}

/// Bans that are in the list but in no firewall, if any.
fn ineffective(jails: &[Jail]) -> Option<Section> {
    const COLUMNS: &[&str] = &["Address", "Jail", "Action"];
    let rows = jails.iter().flat_map(|jail| {
        let actions = jail.ineffective.iter();
        actions.flat_map(move |(action, ids)| {
            let row = move |id: &String| vec![id.clone(), jail.name.clone(), action.clone()];
            ids.iter().take(MOST_BANS).map(row)
        })
    });
    let heading = "Bans that are not effective".to_owned();
    let mut section = table(heading, COLUMNS, rows, "");
    if section.rows.is_empty() {
        return None;
    }
    let all: usize = jails
        .iter()
        .flat_map(|jail| &jail.ineffective)
        .map(|(_, ids)| ids.len())
        .sum();
    let more = match all - section.rows.len() {
        0 => String::new(),
        more => format!("{more} more are not listed. "),
    };
    section.note = Some(format!(
        "{more}The command of the action failed, as the server's log says, and is tried again."
    ));
    Some(section)
}

fn jails(jails: &[Jail]) -> Section {
    const COLUMNS: &[&str] = &["Jail", "Failing", "Failures", "Banned", "Bans"];
    let row = |jail: &Jail| {
        let counts = jail.failed.iter().chain(&jail.banned);
        let counts = counts.map(u64::to_string);
        std::iter::once(jail.name.clone()).chain(counts).collect()
    };
    let heading = "Jails, now and since the start of the server".to_owned();
    table(heading, COLUMNS, jails.iter().map(row), "No jails.")
}

fn bans(jails: &[Jail], past: Option<&Statistics>) -> Section {
    const COLUMNS: &[&str] = &["Address", "Jail", "Since", "Until", "Reason"];
    let row = |(jail, ban): (&Jail, &Ban)| {
        let until = ban.until.as_deref().unwrap_or("for good");
        let reason = past.and_then(|past| past.reasons.get(&(jail.name.clone(), ban.id.clone())));
        let reason = shortened(reason.map_or("", String::as_str));
        let reason = match &ban.by {
            Some(by) => format!("by {by}: {reason}"),
            None => reason,
        };
        [&ban.id, &jail.name, &ban.since, until, &reason]
            .map(str::to_owned)
            .to_vec()
    };
    let listed = jails
        .iter()
        .flat_map(|jail| jail.bans.iter().take(MOST_BANS).map(move |ban| (jail, ban)));
    let mut section = table("Banned now".to_owned(), COLUMNS, listed.map(row), "Nobody.");
    let all: usize = jails.iter().map(|jail| jail.bans.len()).sum();
    if all > section.rows.len() {
        section.note = Some(format!("{} more are not listed.", all - section.rows.len()));
    }
    section
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn days(past: &Statistics, now: f64) -> Section {
    const COLUMNS: &[&str] = &["Day", "Bans", "By jail"];
    let row = |jails: &[Day]| {
        let total: u32 = jails.iter().map(|day| day.bans).sum();
        let by_jail: Vec<_> = jails
            .iter()
            .map(|day| format!("{} {}", day.jail, day.bans))
            .collect();
        vec![jails[0].date.clone(), total.to_string(), by_jail.join(", ")]
    };
    let days = past.days.chunk_by(|one, next| one.date == next.date);
    let heading = format!("Bans of the last {DAYS} days");
    let mut section = table(heading, COLUMNS, days.map(row), "None in the database.");
    if !section.rows.is_empty() {
        section.chart = Some(chart_of_days(&past.days, now));
    }
    section
}

/// A bar for each day, also for those without bans, in the colours of the jails with most of them.
fn chart_of_days(days: &[Day], now: f64) -> Chart {
    let mut totals: HashMap<&str, u32> = HashMap::new();
    for day in days {
        *totals.entry(&day.jail).or_default() += day.bans;
    }
    let mut jails: Vec<(&str, u32)> = totals.into_iter().collect();
    jails.sort_by_key(|(jail, bans)| (u32::MAX - bans, *jail));
    let mut series: Vec<String> = (jails.iter().take(COLOURS))
        .map(|(jail, _)| printable(jail))
        .collect();
    if jails.len() > COLOURS {
        series.push("other jails".to_owned());
    }
    let place = |jail: &str| {
        let place = jails.iter().position(|(other, _)| *other == jail);
        place.unwrap_or(0).min(COLOURS)
    };
    let today = Local.timestamp_opt(now as i64, 0).earliest();
    let today = today.map(|time| time.date_naive()).unwrap_or_default();
    let bar = |back: u32| {
        let date = today
            .checked_sub_days(Days::new(back.into()))
            .unwrap_or_default();
        let name = date.format("%Y-%m-%d").to_string();
        let mut parts = vec![0; series.len()];
        for day in days.iter().filter(|day| day.date == name) {
            parts[place(&day.jail)] += day.bans;
        }
        Bar {
            // a week apart, and today
            tick: back
                .is_multiple_of(7)
                .then(|| date.format("%m-%d").to_string()),
            name,
            parts,
        }
    };
    Chart {
        title: "Bans per day, by jail".to_owned(),
        bars: (0..=DAYS).rev().map(bar).collect(),
        series,
    }
}

fn hours(hours: &[u32; 24]) -> Section {
    const COLUMNS: &[&str] = &["From", "Bans"];
    let all = hours.iter().enumerate();
    let row = |(hour, bans): (usize, &u32)| vec![format!("{hour:02}:00"), bans.to_string()];
    let rows = all.clone().filter(|(_, bans)| **bans > 0).map(row);
    let heading = "Bans by hour of the day".to_owned();
    let mut section = table(heading, COLUMNS, rows, "None in the database.");
    let bar = |(hour, bans): (usize, &u32)| Bar {
        name: format!("{hour:02}:00"),
        tick: hour.is_multiple_of(6).then(|| format!("{hour:02}:00")),
        parts: vec![*bans],
    };
    if !section.rows.is_empty() {
        section.chart = Some(Chart {
            title: format!("Bans of the last {DAYS} days by hour of the day"),
            series: vec!["bans".to_owned()],
            bars: all.map(bar).collect(),
        });
    }
    section
}

fn offenders(offenders: &[Offender]) -> Section {
    const COLUMNS: &[&str] = &["Address", "Bans", "Last", "Jails"];
    let row = |offender: &Offender| {
        let jails: Vec<_> = offender.jails.iter().map(String::as_str).collect();
        vec![
            offender.id.clone(),
            offender.bans.to_string(),
            local_time(offender.last),
            jails.join(", "),
        ]
    };
    let heading = format!("Banned most often in the last {DAYS} days");
    let rows = offenders.iter().map(row);
    table(heading, COLUMNS, rows, "Nobody more than once.")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A report with everything in it, of a jail with this name and an address.
    pub fn example(jail: &str, id: &str) -> Page {
        of(&report(jail, id))
    }

    pub fn report(jail: &str, id: &str) -> Report {
        let ban = |until: Option<&str>| Ban {
            id: id.to_owned(),
            since: "2026-11-22 10:00:00".to_owned(),
            until: until.map(str::to_owned),
            by: None,
        };
        let day = |jail: &str, bans| Day {
            date: "2026-11-22".to_owned(),
            jail: jail.to_owned(),
            bans,
        };
        let mut hours = [0; 24];
        hours[9] = 3;
        Report {
            host: "mx1.example.org".to_owned(),
            now: 1_795_348_800.0,
            state: Ok(State {
                failed: vec![("web".to_owned(), format!("no log of {id}"))],
                jails: vec![Jail {
                    ineffective: vec![("iptables".to_owned(), vec![id.to_owned()])],
                    name: jail.to_owned(),
                    failed: [1, 20],
                    banned: [2, 3],
                    bans: vec![ban(Some("2026-11-22 11:00:00")), ban(None)],
                }],
                database: None,
            }),
            past: Ok(Some(Statistics {
                days: vec![day(jail, 2), day("web", 1)],
                offenders: vec![Offender {
                    id: id.to_owned(),
                    bans: 3,
                    last: 1_795_348_800.0,
                    jails: [jail, "web"].map(str::to_owned).into(),
                }],
                hours,
                reasons: [(
                    (jail.to_owned(), id.to_owned()),
                    format!("bad guess from {id}"),
                )]
                .into(),
            })),
        }
    }

    #[test]
    fn a_day_is_a_row() {
        let page = example("mail", "192.0.2.1");
        let rows: Vec<_> = page.sections.iter().map(|part| part.rows.len()).collect();
        assert_eq!(rows, [1, 1, 1, 1, 1, 1, 2]);
        let [failed, ineffective, _, days, hours, often, bans] = &page.sections[..] else {
            panic!("{page:?}");
        };
        assert_eq!(failed.rows[0], ["web", "no log of 192.0.2.1"]);
        assert_eq!(ineffective.rows[0], ["192.0.2.1", "mail", "iptables"]);
        assert_eq!(days.rows[0], ["2026-11-22", "3", "mail 2, web 1"]);
        assert_eq!(hours.rows[0], ["09:00", "3"]);
        assert_eq!(often.rows[0][3], "mail, web");
        assert_eq!(bans.rows[1][3..], ["for good", "bad guess from 192.0.2.1"]);
        let chart = days.chart.as_ref().unwrap();
        assert_eq!(chart.series, ["mail", "web"]);
        assert_eq!(chart.bars.len(), 31);
        let bars = chart.bars.iter().filter(|bar| bar.name == "2026-11-22");
        assert_eq!(
            bars.map(|bar| bar.parts.clone()).collect::<Vec<_>>(),
            [[2, 1]]
        );
    }

    #[test]
    fn few_colours_for_many_jails() {
        let day = |number: u32| Day {
            date: "2026-11-22".to_owned(),
            jail: format!("jail{number}"),
            bans: number,
        };
        let days: Vec<Day> = (1..=10).map(day).collect();
        let chart = chart_of_days(&days, 1_795_348_800.0);
        assert_eq!(chart.series.len(), COLOURS + 1);
        assert_eq!(
            (chart.series[0].as_str(), chart.series[7].as_str()),
            ("jail10", "other jails")
        );
        let bar = chart
            .bars
            .iter()
            .find(|bar| bar.name == "2026-11-22")
            .unwrap();
        assert_eq!(bar.parts, [10, 9, 8, 7, 6, 5, 4, 6]);
    }

    #[test]
    fn what_is_missing_is_told() {
        let page = of(&Report {
            host: String::new(),
            now: 0.0,
            state: Err("No server\x1b[1m".to_owned()),
            past: Ok(None),
        });
        let notes = page.sections.iter().filter_map(|part| part.note.as_deref());
        let expected = ["No server\\x1b[1m", "The server keeps no database."];
        assert_eq!(notes.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_so_many_bans_are_listed() {
        let ban = ban_of("192.0.2.1");
        let jail = Jail {
            bans: vec![ban; MOST_BANS + 7],
            ..Jail::default()
        };
        let section = bans(&[jail], None);
        assert_eq!(section.rows.len(), MOST_BANS);
        assert_eq!(section.note.as_deref(), Some("7 more are not listed."));
    }

    fn ban_of(id: &str) -> Ban {
        Ban {
            id: id.to_owned(),
            since: String::new(),
            until: None,
            by: None,
        }
    }
}
