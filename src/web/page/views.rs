//! One function for each page: values in, HTML out. Nothing here asks anybody or decides who may do what.

use maud::{DOCTYPE, Markup, html};

use crate::web::access::Access;
use crate::web::api::shapes::{BannedPage, Explanation, Jail, Order, Replay, Status, Story};
use crate::web::events::Pulse;
use crate::web::page::LOOK;

/// What every page is told.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What stands before all paths: empty, or `/fail2ban`.
    pub base: &'a str,
    /// Who looks; `None`: nobody has logged in, and the page is for that.
    pub access: Option<&'a Access>,
    /// Whether there are users, so that there is something to log in and out of.
    pub has_users: bool,
    /// What was done by the form that led here.
    pub done: Option<&'a str>,
}

/// A file of the page, below `static/`: its kind, and its bytes.
pub fn asset(name: &str) -> Option<(&'static str, &'static [u8])> {
    match name {
        "look.css" => Some(("text/css; charset=utf-8", LOOK.as_bytes())),
        _ => None,
    }
}

fn whole(frame: &Frame<'_>, title: &str, main: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) " – Ferroban" }
                link rel="stylesheet" href=(format!("{}/static/look.css", frame.base));
            }
            body { main { h1 { (title) } (main) } }
        }
    };
    page.into_string()
}

/// `/`
pub fn overview(frame: &Frame<'_>, status: &Status, pulse: &Pulse) -> String {
    let failures = |name: &str| -> u32 {
        let of_jail = pulse.jails.iter().find(|jail| jail.jail == name);
        of_jail.map_or(0, |jail| jail.failures.iter().sum())
    };
    whole(
        frame,
        &status.host,
        &html! {
            ul {
                @for jail in &status.jails {
                    li {
                        (jail.name) ": " (jail.banned_now) " banned, "
                        (failures(&jail.name)) " failures"
                    }
                }
            }
        },
    )
}

/// `/banned?jail=&q=&page=`
pub fn banned(frame: &Frame<'_>, page: &BannedPage) -> String {
    let list = html! {
        ul { @for ban in &page.bans { li { (ban.id) " in " (ban.jail) } } }
    };
    whole(frame, "Banned", &list)
}

/// `/address/ID`
pub fn address(frame: &Frame<'_>, story: &Story) -> String {
    let bans = html! { ul { @for ban in &story.bans { li { (ban.jail) } } } };
    whole(frame, &story.id, &bans)
}

/// `/jail/NAME`
pub fn jail(frame: &Frame<'_>, jail: &Jail) -> String {
    let regexes = html! { ul { @for regex in &jail.regexes { li { (regex) } } } };
    whole(frame, &jail.summary.name, &regexes)
}

/// `/live`: events come from `api/v1/events`.
pub fn live(frame: &Frame<'_>, recent: &[serde_json::Value]) -> String {
    let list = html! { ul { @for event in recent { li { (event) } } } };
    whole(frame, "Live", &list)
}

/// `/explain`, with an answer after a POST of `jail` and `line`. `jails` are those to choose from.
pub fn explain(frame: &Frame<'_>, jails: &[String], answer: Option<&Explanation>) -> String {
    let answers = html! {
        p { (jails.join(", ")) }
        @for one in answer.iter().flat_map(|answer| &answer.answers) { pre { (one) } }
    };
    whole(frame, "Explain", &answers)
}

/// `/replay`, with an answer after a POST of `jail` and `log`.
pub fn replay(frame: &Frame<'_>, jails: &[String], answer: Option<&Replay>) -> String {
    let events = html! {
        p { (jails.join(", ")) }
        @for one in answer.iter().flat_map(|answer| &answer.events) { pre { (one) } }
    };
    whole(frame, "Replay", &events)
}

/// `/change?change=&jail=&id=`: asks whether it is meant. The form is sent to `change` by POST, with
/// `form_token`, `change`, `jail` and `id`.
pub fn confirm(frame: &Frame<'_>, order: &Order) -> String {
    whole(frame, "Confirm", &html! { p { (order.id) } })
}

/// `/login`: a form with `form_token`, `name` and `password`, sent there by POST. `form_token` is that of
/// somebody who has not logged in.
pub fn login(frame: &Frame<'_>, form_token: &str, error: Option<&str>) -> String {
    let form = html! {
        @if let Some(error) = error { p role="alert" { (error) } }
        form method="post" action=(format!("{}/login", frame.base)) {
            input type="hidden" name="form_token" value=(form_token);
            label { "Name" input name="name" autocomplete="username"; }
            label { "Password" input name="password" type="password" autocomplete="current-password"; }
            button { "Log in" }
        }
    };
    whole(frame, "Log in", &form)
}

/// Something is wrong: nothing is there, it is not allowed, the server does not answer.
pub fn failure(frame: &Frame<'_>, title: &str, why: &str) -> String {
    whole(frame, title, &html! { p { (why) } })
}
