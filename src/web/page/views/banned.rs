//! Who is banned now: in pages, searched by the process that has the list.

use maud::{Markup, html};

use super::{PageFrame, choice, whole};
use crate::web::api::shapes::{ApiBan, BannedPage};
use crate::web::page::table::table;
use crate::web::page::text::{Foreign, counted};

/// `/banned?jail=&q=&page=`. `jails` are those to choose from.
pub fn banned(frame: &PageFrame<'_>, jails: &[String], page: &BannedPage) -> String {
    let main = html! {
        form.line role="search" action=(frame.path(&["banned"])) data-search="found" {
            label { span { "Address, a part of it, or a network" }
                input type="search" name="q" value=(page.query) autocomplete="off" spellcheck="false";
            }
            (choice(jails, page.jail.as_deref(), Some("all")))
            button { "Search" }
        }
        div id="found" data-refresh {
            p role="status" { (summary(page)) }
            (bans(frame, &page.bans))
            (pages(frame, page))
        }
        @if frame.may_write() { (super::forms::new_ban(frame, jails)) }
    };
    whole(frame, "banned", "Banned", &main)
}

fn summary(page: &BannedPage) -> String {
    let all = counted(page.total as u64, "ban");
    match page.found == page.total {
        true => all,
        false => format!("{} of {all}", counted(page.found as u64, "hit")),
    }
}

/// A table of bans.
pub(super) fn bans(frame: &PageFrame<'_>, bans: &[ApiBan]) -> Markup {
    const COLUMNS: &[&str] = &["Address", "Jail", "Since", "Until", "By", "Change"];
    let row = |ban: &ApiBan| {
        vec![
            frame.address(&ban.id),
            frame.jail(&ban.jail),
            html! { (ban.since) },
            html! { (ban.until.as_deref().unwrap_or("for good")) },
            html! { (Foreign(ban.by.as_deref().unwrap_or("this host"))) },
            frame.lift(&ban.jail, &ban.id),
        ]
    };
    let rows: Vec<_> = bans.iter().map(row).collect();
    // who may change nothing needs no place for it
    let columns = COLUMNS.len() - usize::from(!frame.may_write());
    table(&COLUMNS[..columns], &rows, "texts")
}

fn pages(frame: &PageFrame<'_>, page: &BannedPage) -> Markup {
    let link = |number: usize, name: &str, rel: &str| {
        let number = number.to_string();
        let jail = page.jail.as_deref().unwrap_or_default();
        let fields = [
            ("q", page.query.as_str()),
            ("jail", jail),
            ("page", &number),
        ];
        html! { a rel=(rel) href=(frame.query(&["banned"], &fields)) { (name) } }
    };
    html! {
        @if page.pages > 1 {
            nav.pages aria-label="Pages of the list" {
                @if page.page > 1 { (link(1, "Latest", "first")) (link(page.page - 1, "Later", "prev")) }
                span { "Page " (page.page) " of " (page.pages) }
                @if page.page < page.pages { (link(page.page + 1, "Earlier", "next")) (link(page.pages, "Earliest", "last")) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EVIL, frame, is_harmless, operator};
    use super::*;

    fn example() -> BannedPage {
        let ban = ApiBan {
            id: EVIL.to_owned(),
            jail: EVIL.to_owned(),
            by: Some(EVIL.to_owned()),
            ..ApiBan::default()
        };
        BannedPage {
            jail: Some(EVIL.to_owned()),
            query: EVIL.to_owned(),
            total: 7,
            found: 3,
            page: 2,
            pages: 3,
            size: 1,
            bans: vec![ban],
        }
    }

    #[test]
    fn ids_and_searches_are_harmless() {
        let access = operator();
        let page = banned(&frame(&access), &[EVIL.to_owned()], &example());
        is_harmless(&page, 6);
        assert!(
            page.contains("3 hits of 7 bans") && page.contains("Page 2 of 3"),
            "{page}"
        );
    }

    #[test]
    fn who_may_change_nothing_is_offered_nothing() {
        let mut access = operator();
        let offered = |page: &str| page.contains("/f/change");
        assert!(offered(&banned(&frame(&access), &[], &example())));
        access.may_write = false;
        let page = banned(&frame(&access), &[], &example());
        assert!(!offered(&page) && !page.contains("Change"), "{page}");
    }
}
