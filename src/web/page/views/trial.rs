//! What a line comes to, and whom a jail would ban for a log.

use maud::{Markup, html};
use serde_json::Value as Json;

use super::{PageFrame, choice, whole};
use crate::web::api::shapes::{ApiExplanation, Replay};
use crate::web::page::table::table;
use crate::web::page::text::{Foreign, counted, moment};

/// Bans of a replay that are listed.
const MOST: usize = 1000;

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

fn token(frame: &PageFrame<'_>) -> Markup {
    html! { input type="hidden" name="form_token" value=(frame.access.map_or("", |access| &access.form_token)); }
}

/// `/explain`, with an answer after a POST of `jail` and `line`. `jails` are those to choose from.
pub fn explain(frame: &PageFrame<'_>, jails: &[String], answer: Option<&ApiExplanation>) -> String {
    let chosen = answer.and_then(|answer| answer.jail.as_deref());
    let line = answer.map_or("", |answer| &answer.line);
    let main = html! {
        p { "Why a line of a log counts, or does not. Nothing is banned." }
        form method="post" action=(frame.path(&["explain"])) {
            (token(frame))
            (choice(jails, chosen, Some("all that are enabled")))
            label { span { "Line" } textarea name="line" rows="4" required spellcheck="false" { (line) } }
            button.main { "Explain" }
        }
        @if let Some(answer) = answer {
            @if let Some(error) = &answer.error { p.bad role="alert" { (Foreign(error)) } }
            @for one in &answer.answers { (told(frame, one)) }
            @if answer.error.is_none() && answer.answers.is_empty() { p role="status" { "There is nothing to say." } }
        }
    };
    whole(frame, "explain", "Explain a line", &main)
}

/// What a jail makes of a line.
fn told(frame: &PageFrame<'_>, told: &Json) -> Markup {
    let counts = told["answer"]["counts"].as_bool() == Some(true);
    let regex = |part: &Json| html! { code { (Foreign(text(&part["regex"]))) } };
    let stopped = |part: &Json| {
        html! {
            code.block { (Foreign(text(&part["matches"]))) mark { ">>>" } (Foreign(text(&part["stops_at"]))) }
            code.block { (Foreign(text(&part["text"]))) mark { ">>>" } (Foreign(text(&part["text_left"]))) }
        }
    };
    let date = &told["date"];
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    let mut step = |name: &str, step: Markup| rows.push(vec![html! { (Foreign(name)) }, step]);
    if date.is_object() {
        let time = date["time"].as_f64().map(moment).unwrap_or_default();
        step(
            "Date",
            html! { code { (Foreign(text(&date["text"]))) } " " (time) },
        );
    }
    if let (false, Some(_)) = (
        told["prefregex"]["matched"] == true,
        told["prefregex"]["regex"].as_str(),
    ) {
        step("prefregex", stopped(&told["prefregex"]));
    }
    if told["failregex"].is_object() {
        step("failregex", regex(&told["failregex"]));
        for (name, field) in told["failregex"]["fields"]
            .as_object()
            .into_iter()
            .flatten()
        {
            step(name, html! { code { (Foreign(text(&field["text"]))) } });
        }
    }
    if told["ignoreregex"].is_object() {
        step("ignoreregex", regex(&told["ignoreregex"]));
    }
    if told["furthest"].is_object() {
        step("Stopped at", stopped(&told["furthest"]));
    }
    for failure in told["failures"].as_array().into_iter().flatten() {
        let more = match (failure["count"].as_u64(), failure["maxretry"].as_u64()) {
            (Some(count), Some(enough)) => format!(", {count} of {enough}"),
            _ => failure["by"]
                .as_str()
                .map_or_else(String::new, |by| format!(" by {by}")),
        };
        let said = format!(
            "{}: {}{more}",
            text(&failure["id"]),
            text(&failure["verdict"])
        );
        step("Failure", html! { (Foreign(&said)) });
    }
    html! {
        section role="status" {
            h2 { (frame.jail(text(&told["jail"]))) ": " @if counts { "counts" } @else { "does not count" } }
            p.told { (Foreign(text(&told["answer"]["why"]))) }
            @if let Some(cure) = told["answer"]["cure"].as_str() { p { (Foreign(cure)) } }
            (table(&["Step", "Found"], &rows, "texts"))
        }
    }
}

/// `/replay`, with an answer after a POST of `jail` and `log`.
pub fn replay(frame: &PageFrame<'_>, jails: &[String], answer: Option<&Replay>) -> String {
    let chosen = answer.map(|answer| answer.jail.as_str());
    let main = html! {
        p { "Whom a jail would ban for a log. Nothing is banned, written or sent." }
        form method="post" action=(frame.path(&["replay"])) {
            (token(frame))
            (choice(jails, chosen, None))
            label hidden data-script { span { "Log file, 3 MiB at most" } input type="file" data-into="log"; }
            label { span { "Lines" } textarea id="log" name="log" rows="8" required spellcheck="false" {} }
            button.main { "Replay" }
        }
        @if let Some(answer) = answer { section role="status" { (outcome(frame, answer)) } }
    };
    whole(frame, "replay", "Replay a log", &main)
}

fn outcome(frame: &PageFrame<'_>, answer: &Replay) -> Markup {
    const COLUMNS: &[&str] = &["Time", "Address", "Failures", "Until", "Last line"];
    let of = |name: &'static str| {
        answer
            .events
            .iter()
            .filter(move |event| event["event"] == name)
    };
    let row = |ban: &Json| {
        let last = ban["lines"].as_array().and_then(|lines| lines.last());
        vec![
            html! { (moment(ban["time"].as_f64().unwrap_or_default())) },
            frame.address(text(&ban["id"])),
            html! { (ban["failures"].as_u64().unwrap_or_default()) },
            html! { (ban["until"].as_f64().map_or("for good".to_owned(), moment)) },
            html! { @if let Some(last) = last { code { (Foreign(text(last))) } } },
        ]
    };
    let rows: Vec<_> = of("ban").take(MOST).map(row).collect();
    let bans = of("ban").count();
    html! {
        @if let Some(error) = &answer.error { p.bad role="alert" { (Foreign(error)) } }
        @for end in of("end") {
            @let count = |name: &str, what| counted(end[name].as_u64().unwrap_or_default(), what);
            h2 { (frame.jail(text(&end["jail"]))) ": " (counted(bans as u64, "ban")) }
            p { (count("lines", "line")) ", " (count("failures", "failure"))
                @if end["ignored"].as_u64() > Some(0) { ", " (count("ignored", "failure")) " ignored" }
                @if end["undated"].as_u64() > Some(0) { ", " (count("undated", "failure")) " without a date" }
                "." }
            @for left_out in end["left_out"].as_array().into_iter().flatten() {
                p.bad { "Left out: " (Foreign(text(&left_out["what"]))) " " (Foreign(text(&left_out["why"]))) }
            }
        }
        (table(COLUMNS, &rows, "texts"))
        @if bans > rows.len() { p { (counted((bans - rows.len()) as u64, "more ban")) " not listed." } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{EVIL, frame, is_harmless, operator};
    use super::*;

    #[test]
    fn pasted_lines_are_harmless() {
        let access = operator();
        let stopped = json!({ "regex": EVIL, "matches": EVIL, "stops_at": EVIL, "text": EVIL, "text_left": EVIL });
        let answer = ApiExplanation {
            line: EVIL.to_owned(),
            jail: None,
            answers: vec![json!({
                "jail": EVIL,
                "answer": { "counts": false, "why": EVIL, "cure": EVIL },
                "date": { "text": EVIL, "time": 0.0 },
                "prefregex": stopped,
                "failregex": { "regex": EVIL, "fields": { EVIL: { "text": EVIL } } },
                "ignoreregex": { "regex": EVIL },
                "furthest": stopped,
                "failures": [{ "id": EVIL, "verdict": "ignored", "by": EVIL }],
            })],
            error: Some(EVIL.to_owned()),
        };
        let page = explain(&frame(&access), &[EVIL.to_owned()], Some(&answer));
        is_harmless(&page, 19);
    }

    #[test]
    fn logs_are_harmless() {
        let access = operator();
        let answer = Replay {
            jail: EVIL.to_owned(),
            events: vec![
                json!({ "event": "ban", "time": 0.0, "id": EVIL, "failures": 2, "until": null, "lines": ["a", EVIL] }),
                json!({ "event": "end", "jail": EVIL, "lines": 3, "failures": 2, "left_out": [{ "what": EVIL, "why": EVIL }] }),
            ],
            error: Some(EVIL.to_owned()),
        };
        let page = replay(&frame(&access), &[EVIL.to_owned()], Some(&answer));
        is_harmless(&page, 8);
        assert!(
            page.contains("1 ban</h2>") && page.contains("3 lines, 2 failures."),
            "{page}"
        );
    }
}
