//! The story of an address: why it is banned or not, the lines that name it, earlier bans, whose it is.

use maud::{Markup, html};
use serde_json::Value as Json;

use super::{PageFrame, banned, forms, whole};
use crate::web::api::shapes::ApiStory;
use crate::web::page::table::table;
use crate::web::page::text::{Foreign, counted, moment};

/// `/address/ID`; with `?whois=1` its registry was asked. `jails` are those to choose from.
pub fn address(frame: &PageFrame<'_>, jails: &[String], story: &ApiStory) -> String {
    let told = &story.explained;
    let text = |value: &'_ Json| value.as_str().unwrap_or_default().to_owned();
    let (why, cure) = (text(&told["answer"]["why"]), text(&told["answer"]["cure"]));
    let main = html! {
        @if story.bans.is_empty() { p { "Not banned." } } @else { p.bad { "Banned." } (banned::bans(frame, &story.bans)) }
        @if let Some(error) = &story.error { p.bad { "What led to this is not known: " (Foreign(error)) } }
        @if !why.is_empty() { h2 { "Why" } p.told { (Foreign(&why)) } }
        @if !cure.is_empty() { p { (Foreign(&cure)) } }
        @for seen in list(&told["jails"]).filter(|seen| seen["named"].as_u64() > Some(0)) { (lines(frame, seen)) }
        (history(frame, &told["history"]))
        @if list(&told["not_seen"]).next().is_some() {
            h2 { "Not looked at" }
            ul { @for text in list(&told["not_seen"]) { li { (Foreign(text.as_str().unwrap_or_default())) } } }
        }
        h2 { "Whose it is" }
        @if let Some(country) = &story.country { p { "Country: " (Foreign(country)) } }
        @match (&story.whois, &story.whois_error) {
            (Some(answer), _) => pre tabindex="0" role="region" aria-label="Answer of the registry" { @for line in answer.lines() { (Foreign(line)) "\n" } },
            (None, Some(why)) => p.bad { (Foreign(why)) },
            (None, None) => p { a href=(frame.query(&["address", &story.id], &[("whois", "1")])) { "Ask its registry" } },
        }
        @if frame.may_write() { (forms::about(frame, jails, &story.id)) }
    };
    whole(frame, "address", &story.id, &main)
}

fn list(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}

/// What a jail read of it.
fn lines(frame: &PageFrame<'_>, seen: &Json) -> Markup {
    let text = |value: &'_ Json| value.as_str().unwrap_or_default().to_owned();
    html! {
        h2 { (counted(seen["named"].as_u64().unwrap_or_default(), "line")) " in " (frame.jail(&text(&seen["jail"]))) }
        ol.lines {
            @for line in list(&seen["lines"]) {
                li { code { (Foreign(&text(&line["line"]))) } br; (Foreign(&text(&line["fate"]))) }
            }
        }
    }
}

fn history(frame: &PageFrame<'_>, history: &Json) -> Markup {
    const COLUMNS: &[&str] = &["From", "Until", "Jail", "Ban", "Failures", "Lines"];
    let number = |value: &Json| value.as_u64().unwrap_or_default().to_string();
    let row = |ban: &Json| {
        let until = ban["until"].as_f64().map_or("for good".to_owned(), moment);
        vec![
            html! { (moment(ban["from"].as_f64().unwrap_or_default())) },
            html! { (until) },
            frame.jail(ban["jail"].as_str().unwrap_or_default()),
            html! { (number(&ban["count"])) },
            html! { (number(&ban["failures"])) },
            html! { @for line in list(&ban["lines"]) { code.block { (Foreign(line.as_str().unwrap_or_default())) } } },
        ]
    };
    let rows: Vec<_> = list(history).map(row).collect();
    html! {
        @if !rows.is_empty() { h2 { "Bans in the database" } (table(COLUMNS, &rows, "texts")) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{EVIL, frame, is_harmless, operator};
    use super::*;
    use crate::web::api::shapes::ApiBan;

    #[test]
    fn log_lines_and_registries_are_harmless() {
        let access = operator();
        let story = ApiStory {
            id: EVIL.to_owned(),
            bans: vec![ApiBan {
                id: EVIL.to_owned(),
                jail: EVIL.to_owned(),
                ..ApiBan::default()
            }],
            explained: json!({
                "answer": { "why": EVIL, "cure": EVIL },
                "jails": [{ "jail": EVIL, "named": 1, "lines": [{ "line": EVIL, "fate": EVIL }] }],
                "history": [{ "jail": EVIL, "from": 0.0, "until": null, "count": 1, "failures": 3, "lines": [EVIL] }],
                "not_seen": [EVIL],
            }),
            error: Some(EVIL.to_owned()),
            country: Some(EVIL.to_owned()),
            whois: Some(EVIL.to_owned()),
            whois_error: None,
        };
        let page = address(&frame(&access), &[EVIL.to_owned()], &story);
        is_harmless(&page, 15);
        assert!(page.contains("for good"), "{page}");
        let refused = ApiStory {
            whois_error: Some(EVIL.to_owned()),
            ..ApiStory::default()
        };
        is_harmless(&address(&frame(&access), &[], &refused), 2);
    }
}
