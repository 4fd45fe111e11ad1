//! A jail: its numbers, what its regexes hit, and every setting with file and line.

use maud::{Markup, html};
use serde_json::Value as Json;

use super::{PageFrame, forms, overview, tiles, whole};
use crate::web::api::shapes::ApiJail;
use crate::web::page::table::table;
use crate::web::page::text::{Foreign, counted, grouped, sized};

/// `/jail/NAME`
pub fn jail(frame: &PageFrame<'_>, jail: &ApiJail) -> String {
    let summary = &jail.summary;
    let name = summary.name.as_str();
    let numbers = [
        ("Banned now", summary.banned_now),
        ("Bans since the start", summary.banned_total),
        ("Failing now", summary.failed_now),
        ("Failures since the start", summary.failed_total),
    ];
    let main = html! {
        div id="now" data-refresh {
            (tiles(&numbers))
            p { "Health: " (overview::health(summary)) }
            @if summary.lines.is_some() { p { "Lines read: " (overview::lines(summary)) } }
            @if let (Some(packets), Some(bytes)) = (summary.dropped_packets, summary.dropped_bytes) {
                p { "Dropped by the firewall: " (counted(packets, "packet")) ", " (sized(bytes)) }
            }
        }
        p { a href=(frame.query(&["banned"], &[("jail", name)])) { "Who is banned" } }
        @if !summary.sources.is_empty() {
            h2 { "Reads" }
            ul { @for source in &summary.sources { li { code { (Foreign(source)) } } } }
        }
        h2 { "Regexes" }
        (regexes(jail))
        h2 { "Ignores" }
        @if jail.ignored.is_empty() { p { "Nobody." } }
        @else { ul { @for who in &jail.ignored { li { (Foreign(who)) } } } }
        @if let Some(error) = &jail.config_error { p.bad { "Its settings cannot be told: " (Foreign(error)) } }
        (settings("Settings", &jail.config["settings"]))
        (settings("Options that serve others", &jail.config["variables"]))
        (part("Filter", &jail.config["filter"]))
        @for action in jail.config["actions"].as_array().into_iter().flatten() { (part("Action", action)) }
        @if frame.may_write() { (forms::in_jail(frame, name)) }
    };
    whole(frame, "jail", name, &main)
}

/// What each regex has hit since it was set; those without a hit are many, and out of the way.
fn regexes(jail: &ApiJail) -> Markup {
    const COLUMNS: &[&str] = &["Hits", "Failregex"];
    let hits = jail.summary.regex_hits.iter().copied().map(Some);
    let all = jail.regexes.iter().zip(hits.chain(std::iter::repeat(None)));
    let (idle, hit): (Vec<_>, Vec<_>) = all.partition(|(_, hits)| *hits == Some(0));
    let row = |(regex, hits): &(&String, Option<u64>)| {
        let hits = hits.map(grouped).unwrap_or_default();
        vec![html! { (hits) }, html! { code { (Foreign(regex)) } }]
    };
    let rows = |list: &[(&String, Option<u64>)]| list.iter().map(row).collect::<Vec<_>>();
    html! {
        (table(COLUMNS, &rows(&hit), "texts"))
        @if !idle.is_empty() {
            details {
                summary { (counted(idle.len() as u64, "regex")) " without a hit" }
                (table(COLUMNS, &rows(&idle), "texts"))
            }
        }
        @if jail.regexes.is_empty() { p { "None." } }
    }
}

fn part(what: &str, part: &Json) -> Markup {
    let definition = part["definition"].as_str().unwrap_or_default();
    let words: Vec<&str> = definition.split_whitespace().collect();
    html! {
        @if !words.is_empty() { (settings(&format!("{what} {}", words.join(" ")), &part["settings"])) }
    }
}

/// Settings, with the file and the line where each was written.
fn settings(heading: &str, settings: &Json) -> Markup {
    let row = |row: &Json| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let (value, file) = (text("value"), text("file"));
        let lines = value.lines().filter(|line| !line.trim().is_empty());
        vec![
            html! { (Foreign(&text("name"))) },
            html! { @for line in lines { code.block { (Foreign(line)) } } },
            match row["line"].as_u64() {
                Some(line) => html! { (Foreign(&file)) ":" (line) },
                None if file.is_empty() => html! { "default" },
                None => html! { (Foreign(&file)) },
            },
        ]
    };
    let rows: Vec<_> = settings.as_array().into_iter().flatten().map(row).collect();
    html! {
        @if !rows.is_empty() {
            h2 { (Foreign(heading)) }
            (table(&["Name", "Value", "Written in"], &rows, "texts"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{EVIL, frame, is_harmless, operator};
    use super::*;
    use crate::web::api::shapes::JailSummary;

    #[test]
    fn settings_and_files_are_harmless() {
        let access = operator();
        let settings = json!([{ "name": EVIL, "value": EVIL, "file": EVIL, "line": 7 }]);
        let told = ApiJail {
            summary: JailSummary {
                name: EVIL.to_owned(),
                sources: vec![EVIL.to_owned()],
                regex_hits: vec![1234, 0],
                dropped_packets: Some(3),
                dropped_bytes: Some(1800),
                ..JailSummary::default()
            },
            regexes: vec![EVIL.to_owned(); 2],
            ignored: vec![EVIL.to_owned()],
            config: json!({
                "settings": settings,
                "variables": settings,
                "filter": { "definition": EVIL, "settings": settings },
                "actions": [{ "definition": EVIL, "settings": settings }],
            }),
            config_error: Some(EVIL.to_owned()),
        };
        let page = jail(&frame(&access), &told);
        is_harmless(&page, 20);
        assert!(
            page.contains("3 packets, 1.8 kB")
                && page.contains(">1,234<")
                && page.contains("1 regex without a hit")
                && page.contains("\\u202e:7</td>"),
            "{page}"
        );
    }
}
