//! What the database tells of the past.

use maud::{Markup, html};

use super::{PageFrame, whole};
use crate::store::statistics::{RepeatOffender, Statistics};
use crate::web::page::past::{DAYS, times};
use crate::web::page::table::table;
use crate::web::page::text::{Foreign, moment};

/// `/past`. `Err`: why the database tells nothing; `None`: the server keeps none. `now` is in seconds since
/// 1970.
pub fn past(frame: &PageFrame<'_>, past: &Result<Option<Statistics>, String>, now: f64) -> String {
    let main = html! {
        @match past {
            Ok(Some(past)) => {
                div.charts { @for section in times(past, now) { div { (section.markup()) } } }
                (offenders(frame, past))
            },
            Ok(None) => p { "The server keeps no database." },
            Err(why) => {
                p.bad role="alert" { (Foreign(why)) }
                p { "Bans of the past stand in the server's database. For this page to tell them, the user of ferroban web needs to read it." }
            }
        }
    };
    whole(frame, "past", &format!("The last {DAYS} days"), &main)
}

/// Who was banned most often, with links to their stories.
fn offenders(frame: &PageFrame<'_>, past: &Statistics) -> Markup {
    const COLUMNS: &[&str] = &["Address", "Bans", "Last", "Jails"];
    let row = |one: &RepeatOffender| {
        let jails: Vec<Markup> = one.jails.iter().map(|jail| frame.jail(jail)).collect();
        vec![
            frame.address(&one.id),
            html! { (one.bans) },
            html! { (moment(one.last)) },
            html! { @for jail in jails { (jail) " " } },
        ]
    };
    let rows: Vec<_> = past.offenders.iter().map(row).collect();
    html! {
        h2 { "Banned most often" }
        (table(COLUMNS, &rows, "texts"))
        @if rows.is_empty() { p { "Nobody more than once." } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EVIL, frame, is_harmless, operator};
    use super::*;
    use crate::store::statistics::Day;

    #[test]
    fn what_the_database_holds_is_harmless() {
        let access = operator();
        let told = Statistics {
            days: vec![Day {
                date: "2026-11-22".to_owned(),
                jail: EVIL.to_owned(),
                bans: 2,
            }],
            offenders: vec![RepeatOffender {
                id: EVIL.to_owned(),
                bans: 2,
                last: 1_795_348_800.0,
                jails: [EVIL.to_owned()].into(),
            }],
            countries: vec![("AT".to_owned(), 2), (EVIL.to_owned(), 1)],
            ..Statistics::default()
        };
        is_harmless(&past(&frame(&access), &Ok(Some(told)), 1_795_348_800.0), 6);
        is_harmless(&past(&frame(&access), &Err(EVIL.to_owned()), 0.0), 2);
    }
}
