//! Questions to people: who they are, and whether they mean it.

use maud::{Markup, html};

use super::{PageFrame, choice, whole};
use crate::web::api::shapes::{ApiChange, ApiOrder};
use crate::web::page::text::Foreign;

/// `/change?change=&jail=&id=`: asks whether it is meant. The form is sent to `change` by POST, with
/// `form_token`, `change`, `jail` and `id`.
pub fn confirm(frame: &PageFrame<'_>, order: &ApiOrder) -> String {
    let (word, title, button) = match order.change {
        ApiChange::Ban => ("ban", "Ban?", "Ban"),
        ApiChange::Unban => ("unban", "Lift the ban?", "Lift the ban"),
        ApiChange::Ignore => ("ignore", "Ignore?", "Ignore"),
    };
    let id = html! { strong { (Foreign(&order.id)) } };
    let jail = html! { strong { (Foreign(order.jail.as_deref().unwrap_or_default())) } };
    let main = html! {
        p {
            @match (order.change, &order.jail) {
                (ApiChange::Ban, _) => { "The jail " (jail) " bans " (id) "." },
                (ApiChange::Unban, Some(_)) => { "The jail " (jail) " lets " (id) " in again." },
                (ApiChange::Unban, None) => { "All jails let " (id) " in again, and the server forgets its bans." },
                (ApiChange::Ignore, _) => { "The jail " (jail) " counts no failures of " (id) " until the next reload or start of the server. For longer, write it into " code { "ignoreip" } "." },
            }
        }
        @if !frame.may_write() { p.bad role="alert" { "You may not change anything here." } } @else {
        form method="post" action=(frame.path(&["change"])) {
            input type="hidden" name="form_token" value=(frame.access.map_or("", |access| &access.form_token));
            input type="hidden" name="change" value=(word);
            input type="hidden" name="jail" value=(order.jail.as_deref().unwrap_or_default());
            input type="hidden" name="id" value=(order.id);
            button.main { (button) }
            " "
            a href=(frame.path(&["address", &order.id])) { "Leave it" }
        }
        }
    };
    whole(frame, "change", title, &main)
}

/// `/login`: a form with `form_token`, `name` and `password`, sent there by POST. `form_token` is that of
/// somebody who has not logged in.
pub fn login(frame: &PageFrame<'_>, form_token: &str, error: Option<&str>) -> String {
    let main = html! {
        @if let Some(error) = error { p.bad role="alert" { (Foreign(error)) } }
        form.login method="post" action=(frame.path(&["login"])) {
            input type="hidden" name="form_token" value=(form_token);
            label { span { "Name" } input name="name" autocomplete="username" autocapitalize="none" required autofocus; }
            label { span { "Password" } input name="password" type="password" autocomplete="current-password" required; }
            button.main { "Log in" }
        }
    };
    whole(frame, "login", "Log in", &main)
}

/// Bans somebody by name.
pub(super) fn new_ban(frame: &PageFrame<'_>, jails: &[String]) -> Markup {
    html! {
        h2 { "Ban somebody" }
        form.line action=(frame.path(&["change"])) {
            input type="hidden" name="change" value="ban";
            label { span { "Address or network" } input name="id" required autocomplete="off" spellcheck="false"; }
            (choice(jails, None, None))
            button { "Ban…" }
        }
    }
}

/// Changes that a jail is told of.
pub(super) fn in_jail(frame: &PageFrame<'_>, jail: &str) -> Markup {
    html! {
        h2 { "Change" }
        form.line action=(frame.path(&["change"])) {
            input type="hidden" name="jail" value=(jail);
            label { span { "Address or network" } input name="id" required autocomplete="off" spellcheck="false"; }
            (choices())
        }
    }
}

/// Changes about an address.
pub(super) fn about(frame: &PageFrame<'_>, jails: &[String], id: &str) -> Markup {
    html! {
        h2 { "Change" }
        form.line action=(frame.path(&["change"])) {
            input type="hidden" name="id" value=(id);
            (choice(jails, None, None))
            (choices())
        }
    }
}

fn choices() -> Markup {
    html! {
        button name="change" value="ban" { "Ban…" }
        button name="change" value="unban" { "Lift the ban…" }
        button name="change" value="ignore" { "Ignore…" }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EVIL, frame, is_harmless, operator};
    use super::*;
    use crate::web::access::Access;

    #[test]
    fn questions_are_harmless_and_carry_the_token() {
        let access = operator();
        for change in [ApiChange::Ban, ApiChange::Unban, ApiChange::Ignore] {
            let order = ApiOrder {
                change,
                jail: Some(EVIL.to_owned()),
                id: EVIL.to_owned(),
            };
            let page = confirm(&frame(&access), &order);
            is_harmless(&page, 3);
            assert!(
                page.contains("name=\"form_token\" value=\"token\""),
                "{page}"
            );
        }
        is_harmless(&login(&frame(&access), EVIL, Some(EVIL)), 1);
        let viewer = Access {
            may_write: false,
            ..operator()
        };
        let order = ApiOrder {
            change: ApiChange::Unban,
            jail: None,
            id: EVIL.to_owned(),
        };
        let page = confirm(&frame(&viewer), &order);
        assert!(!page.contains("/f/change"), "{page}");
    }
}
