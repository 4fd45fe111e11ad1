//! What a report says, in sections with tables; how that looks is for others.

use super::state::{Ban, Jail};
use super::{DAYS, Report};
use crate::cli::printable;
use crate::jail::decision::local_time;
use crate::store::statistics::{Day, Offender};

/// Bans of a jail that are listed; those that end last are left out and counted.
const MOST_BANS: usize = 1000;

/// A report.
#[derive(Clone, Debug)]
pub struct Page {
    /// When it was made, in local time.
    pub made: String,
    /// Its parts, in order.
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Clone, Debug)]
pub struct Section {
    /// What it is about.
    pub heading: String,
    /// The columns of its table.
    pub columns: &'static [&'static str],
    /// The rows, as long as there are columns.
    pub rows: Vec<Vec<String>>,
    /// What there is to say without a table.
    pub note: Option<String>,
}

/// The sections of a report.
pub fn of(report: &Report) -> Page {
    let mut sections = Vec::new();
    match &report.state {
        Ok(state) => sections.extend([jails(&state.jails), bans(&state.jails)]),
        Err(why) => sections.push(remark("Now", why)),
    }
    match &report.past {
        Ok(Some(past)) => sections.extend([days(&past.days), offenders(&past.offenders)]),
        Ok(None) => sections.push(remark("Past", "The server keeps no database.")),
        Err(why) => sections.push(remark("Past", why)),
    }
    Page {
        made: local_time(report.now),
        sections,
    }
}

/// A section that has nothing but a sentence.
fn remark(heading: &str, text: &str) -> Section {
    Section {
        heading: heading.to_owned(),
        columns: &[],
        rows: Vec::new(),
        note: Some(printable(text)),
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
    }
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

fn bans(jails: &[Jail]) -> Section {
    const COLUMNS: &[&str] = &["Address", "Jail", "Since", "Until"];
    let row = |(jail, ban): (&Jail, &Ban)| {
        let until = ban.until.as_deref().unwrap_or("for good");
        [&ban.id, &jail.name, &ban.since, until]
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

fn days(days: &[Day]) -> Section {
    const COLUMNS: &[&str] = &["Day", "Bans", "By jail"];
    let row = |jails: &[Day]| {
        let total: u32 = jails.iter().map(|day| day.bans).sum();
        let by_jail: Vec<_> = jails
            .iter()
            .map(|day| format!("{} {}", day.jail, day.bans))
            .collect();
        vec![jails[0].date.clone(), total.to_string(), by_jail.join(", ")]
    };
    let days = days.chunk_by(|one, next| one.date == next.date);
    let heading = format!("Bans of the last {DAYS} days");
    table(heading, COLUMNS, days.map(row), "None in the database.")
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
    table(heading, COLUMNS, rows, "None in the database.")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::cli::report::state::State;
    use crate::store::statistics::Statistics;

    /// A report with everything in it, of a jail with this name and an address.
    pub fn example(jail: &str, id: &str) -> Page {
        let ban = |until: Option<&str>| Ban {
            id: id.to_owned(),
            since: "2026-11-22 10:00:00".to_owned(),
            until: until.map(str::to_owned),
        };
        let day = |jail: &str, bans| Day {
            date: "2026-11-22".to_owned(),
            jail: jail.to_owned(),
            bans,
        };
        of(&Report {
            now: 1_795_348_800.0,
            state: Ok(State {
                jails: vec![Jail {
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
            })),
        })
    }

    #[test]
    fn a_day_is_a_row() {
        let page = example("mail", "192.0.2.1");
        let rows: Vec<_> = page.sections.iter().map(|part| part.rows.len()).collect();
        assert_eq!(rows, [1, 2, 1, 1]);
        assert_eq!(page.sections[1].rows[1][3], "for good");
        assert_eq!(
            page.sections[2].rows[0],
            ["2026-11-22", "3", "mail 2, web 1"]
        );
        assert_eq!(page.sections[3].rows[0][3], "mail, web");
    }

    #[test]
    fn what_is_missing_is_told() {
        let page = of(&Report {
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
        let section = bans(&[jail]);
        assert_eq!(section.rows.len(), MOST_BANS);
        assert_eq!(section.note.as_deref(), Some("7 more are not listed."));
    }

    fn ban_of(id: &str) -> Ban {
        Ban {
            id: id.to_owned(),
            since: String::new(),
            until: None,
        }
    }
}
