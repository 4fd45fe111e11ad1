//! What a report says, in sections with tables; how that looks is for others.

use super::BanReport;
use super::state::{ReportedBan, ReportedJailState, ReportedState};
use crate::cli::printable;
use crate::jail::decision::local_time;
use crate::store::statistics::Statistics;
use crate::web::page::past;
use crate::web::page::section::Section;

/// Bans of a jail that are listed; those that end last are left out and counted.
const MOST_BANS: usize = 1000;
/// Characters of a reason that are shown.
const LONGEST_REASON: usize = 200;

/// A report.
#[derive(Clone, Debug)]
pub struct ReportPage {
    /// The machine it is about.
    pub host: String,
    /// When it was made, in local time.
    pub made: String,
    /// Its parts, in order.
    pub sections: Vec<Section>,
}

/// The sections of a report: what is wrong, then the past, and the long list in the end.
pub fn of(report: &BanReport) -> ReportPage {
    let mut sections = Vec::new();
    let past = report.past.as_ref().ok().and_then(Option::as_ref);
    match &report.state {
        Ok(state) => {
            sections.extend(failed(state));
            sections.extend(ineffective(&state.jails));
            sections.push(jails(&state.jails));
        }
        Err(why) => sections.push(Section::remark("Now", why)),
    }
    match &report.past {
        Ok(Some(past)) => sections.extend(past::sections(past, report.now)),
        Ok(None) => sections.push(Section::remark("Past", "The server keeps no database.")),
        Err(why) => sections.push(Section::remark("Past", why)),
    }
    if let Ok(state) = &report.state {
        sections.push(bans(&state.jails, past));
    }
    ReportPage {
        host: printable(&report.host),
        made: local_time(report.now),
        sections,
    }
}

/// Jails that are missing, if any.
fn failed(state: &ReportedState) -> Option<Section> {
    const COLUMNS: &[&str] = &["Jail", "Why"];
    let row = |(jail, why): &(String, String)| vec![jail.clone(), why.clone()];
    let heading = "Jails that do not run".to_owned();
    let rows = state.failed.iter().map(row);
    let section = Section::table(heading, COLUMNS, rows, "");
    (!state.failed.is_empty()).then_some(section)
}

/// Bans that are in the list but in no firewall, if any.
fn ineffective(jails: &[ReportedJailState]) -> Option<Section> {
    const COLUMNS: &[&str] = &["Address", "Jail", "Action"];
    let rows = jails.iter().flat_map(|jail| {
        let actions = jail.ineffective.iter();
        actions.flat_map(move |(action, ids)| {
            let row = move |id: &String| vec![id.clone(), jail.name.clone(), action.clone()];
            ids.iter().take(MOST_BANS).map(row)
        })
    });
    let heading = "Bans that are not effective".to_owned();
    let mut section = Section::table(heading, COLUMNS, rows, "");
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

fn jails(jails: &[ReportedJailState]) -> Section {
    const COLUMNS: &[&str] = &["Jail", "Failing", "Failures", "Banned", "Bans"];
    let row = |jail: &ReportedJailState| {
        let counts = jail.failed.iter().chain(&jail.banned);
        let counts = counts.map(u64::to_string);
        std::iter::once(jail.name.clone()).chain(counts).collect()
    };
    let heading = "Jails, now and since the start of the server".to_owned();
    Section::table(heading, COLUMNS, jails.iter().map(row), "No jails.")
}

fn bans(jails: &[ReportedJailState], past: Option<&Statistics>) -> Section {
    const COLUMNS: &[&str] = &["Address", "Jail", "Since", "Until", "Reason"];
    let row = |(jail, ban): (&ReportedJailState, &ReportedBan)| {
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
    let mut section = Section::table("Banned now".to_owned(), COLUMNS, listed.map(row), "Nobody.");
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

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::store::statistics::{Day, RepeatOffender};

    /// A report with everything in it, of a jail with this name and an address.
    pub fn example(jail: &str, id: &str) -> ReportPage {
        of(&report(jail, id))
    }

    pub fn report(jail: &str, id: &str) -> BanReport {
        let ban = |until: Option<&str>| ReportedBan {
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
        BanReport {
            host: "mx1.example.org".to_owned(),
            now: 1_795_348_800.0,
            state: Ok(ReportedState {
                failed: vec![("web".to_owned(), format!("no log of {id}"))],
                jails: vec![ReportedJailState {
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
                offenders: vec![RepeatOffender {
                    id: id.to_owned(),
                    bans: 3,
                    last: 1_795_348_800.0,
                    jails: [jail, "web"].map(str::to_owned).into(),
                }],
                hours,
                countries: vec![("AT".to_owned(), 3)],
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
        assert_eq!(rows, [1, 1, 1, 1, 1, 1, 1, 2]);
        let [failed, ineffective, _, days, hours, countries, often, bans] = &page.sections[..]
        else {
            panic!("{page:?}");
        };
        assert_eq!(failed.rows[0], ["web", "no log of 192.0.2.1"]);
        assert_eq!(ineffective.rows[0], ["192.0.2.1", "mail", "iptables"]);
        assert_eq!(days.rows[0], ["2026-11-22", "3", "mail 2, web 1"]);
        assert_eq!(hours.rows[0], ["09:00", "3"]);
        assert_eq!(countries.rows[0], ["AT", "3"]);
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
    fn what_is_missing_is_told() {
        let page = of(&BanReport {
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
        let jail = ReportedJailState {
            bans: vec![ban; MOST_BANS + 7],
            ..ReportedJailState::default()
        };
        let section = bans(&[jail], None);
        assert_eq!(section.rows.len(), MOST_BANS);
        assert_eq!(section.note.as_deref(), Some("7 more are not listed."));
    }

    fn ban_of(id: &str) -> ReportedBan {
        ReportedBan {
            id: id.to_owned(),
            since: String::new(),
            until: None,
            by: None,
        }
    }
}
