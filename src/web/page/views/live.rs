//! What happens, as it happens.

use maud::{Markup, html};
use serde_json::Value as Json;

use super::{PageFrame, whole};
use crate::web::page::table::table;
use crate::web::page::text::{Foreign, counted, local};

/// `/live`: the latest events, the oldest first; the script adds those that come from `api/v1/events`, in
/// the same form.
pub fn live(frame: &PageFrame<'_>, recent: &[Json]) -> String {
    const COLUMNS: &[&str] = &["Time", "Event", "Address", "Jail", "More"];
    let rows: Vec<_> = recent.iter().rev().map(|event| row(frame, event)).collect();
    let main = html! {
        div.line hidden data-script {
            button id="pause" type="button" aria-pressed="false" { "Pause" }
            label.check { input id="failures" type="checkbox" checked; " with failures" }
        }
        p id="state" role="status" { @if rows.is_empty() { "Nothing yet." } }
        div id="events" { (table(COLUMNS, &rows, "texts")) }
        // what the script makes rows of
        template id="event" { (table(COLUMNS, &[row(frame, &Json::Null)], "texts")) }
    };
    whole(frame, "live", "Live", &main)
}

fn row(frame: &PageFrame<'_>, event: &Json) -> Vec<Markup> {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    vec![
        html! { (local(event["time"].as_f64().unwrap_or_default(), "%H:%M:%S")) },
        html! { (Foreign(text("event"))) },
        frame.address(text("id")),
        frame.jail(text("jail")),
        html! { (Foreign(&more(event))) },
    ]
}

/// What an event has beside the columns, in words.
fn more(event: &Json) -> String {
    let mut more = Vec::new();
    if let Some(failures @ 1..) = event["failures"].as_u64() {
        more.push(format!("after {}", counted(failures, "failure")));
    }
    if let Some(by) = event["by"].as_str() {
        more.push(format!("by {by}"));
    }
    if let Some(host) = event["origin_host"].as_str() {
        more.push(format!(
            "by {} {host}",
            event["origin"].as_str().unwrap_or_default()
        ));
    }
    if event["simulated"].as_bool() == Some(true) {
        more.push("only said".to_owned());
    }
    if let Some(count) = event["count"].as_u64() {
        more.push(format!("{} missed", counted(count, "event")));
    }
    if let Some(line) = event["matches"].as_array().and_then(|lines| lines.last()) {
        more.push(line.as_str().unwrap_or_default().to_owned());
    }
    more.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{EVIL, frame, is_harmless, operator};
    use super::*;

    #[test]
    fn events_are_harmless() {
        let access = operator();
        let event = json!({
            "event": "Ban", "jail": EVIL, "id": EVIL, "time": 0.0, "failures": 3, "by": EVIL,
            "origin": "host", "origin_host": EVIL, "simulated": true, "matches": ["a", EVIL],
        });
        let page = live(&frame(&access), &[event]);
        is_harmless(&page, 6);
        assert!(page.contains("after 3 failures, by "), "{page}");
    }
}
