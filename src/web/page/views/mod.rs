//! One function for each page: values in, HTML out. Nothing here asks anybody or decides who may do what.
//!
//! Every page works without its script, which only saves loading: it puts parts anew that have changed, adds
//! events as they happen, and searches while somebody types.

mod address;
mod banned;
mod forms;
mod jail;
mod live;
mod overview;
mod past;
mod trial;

use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::text::Foreign;
use crate::web::access::Access;

pub use address::address;
pub use banned::banned;
pub use forms::{confirm, login};
pub use jail::jail;
pub use live::live;
pub use overview::overview;
pub use past::past;
pub use trial::{explain, replay};

/// What stands for itself in a part of a path or a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

/// Stands before a part of a path that is `.` or `..`, or begins with this.
const MARK: char = '~';

/// A part of a path as it was before [`PageFrame::path`].
pub fn unmarked(part: &str) -> &str {
    part.strip_prefix(MARK).unwrap_or(part)
}

/// The pages that are always at hand: path and name.
const PAGES: [(&str, &str); 6] = [
    ("", "Overview"),
    ("banned", "Banned"),
    ("past", "Past"),
    ("live", "Live"),
    ("explain", "Explain"),
    ("replay", "Replay"),
];

/// What every page is told.
#[derive(Clone, Copy, Debug)]
pub struct PageFrame<'a> {
    /// What stands before all paths: empty, or `/fail2ban`.
    pub base: &'a str,
    /// Who looks; `None`: nobody has logged in, and the page is for that.
    pub access: Option<&'a Access>,
    /// What was done by the form that led here.
    pub done: Option<&'a str>,
}

impl PageFrame<'_> {
    /// The path of a page, by its parts.
    pub fn path(&self, parts: &[&str]) -> String {
        let mut path = self.base.to_owned();
        for part in parts {
            // a browser takes `.` and `..` for steps, however they are written, unless more stands there
            let step = [".", ".."].contains(part) || part.starts_with(MARK);
            path.push('/');
            path.extend(step.then_some(MARK));
            path.extend(utf8_percent_encode(part, PLAIN));
        }
        // the cookie of a session is for what stands below the base
        if parts.is_empty() {
            path.push('/');
        }
        path
    }

    /// The same with fields; those without a value are left out.
    pub fn query(&self, parts: &[&str], fields: &[(&str, &str)]) -> String {
        let mut path = self.path(parts);
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        for (number, (name, value)) in fields.enumerate() {
            path.push(if number == 0 { '?' } else { '&' });
            path.push_str(name);
            path.push('=');
            path.extend(utf8_percent_encode(value, PLAIN));
        }
        path
    }

    fn address(&self, id: &str) -> Markup {
        html! { a href=(self.path(&["address", id])) { (Foreign(id)) } }
    }

    fn jail(&self, name: &str) -> Markup {
        html! { a href=(self.path(&["jail", name])) { (Foreign(name)) } }
    }

    fn may_write(&self) -> bool {
        self.access.is_some_and(|access| access.may_write)
    }

    /// A link to the question whether a ban is to be lifted, for who may.
    fn lift(&self, jail: &str, id: &str) -> Markup {
        let fields = [("change", "unban"), ("jail", jail), ("id", id)];
        html! {
            @if self.may_write() {
                a href=(self.query(&["change"], &fields)) aria-label={ "Lift the ban of " (Foreign(id)) " by " (Foreign(jail)) } { "Lift" }
            }
        }
    }
}

/// A file of the page, below `static/`: its kind, and its bytes.
pub fn asset(name: &str) -> Option<(&'static str, &'static [u8])> {
    const CSS: &str = "text/css; charset=utf-8";
    match name {
        "look.css" => Some((CSS, super::LOOK.as_bytes())),
        "page.css" => Some((CSS, include_bytes!("../page.css"))),
        "page.js" => Some((
            "text/javascript; charset=utf-8",
            include_bytes!("../page.js"),
        )),
        "icon.svg" => Some(("image/svg+xml", include_bytes!("../icon.svg"))),
        _ => None,
    }
}

/// A whole page. `here` is the path of [`PAGES`] it belongs to.
fn whole(frame: &PageFrame<'_>, here: &str, title: &str, main: &Markup) -> String {
    let file = |name: &str| frame.path(&["static", name]);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (Foreign(title)) " – Ferroban" }
                link rel="icon" href=(file("icon.svg"));
                link rel="stylesheet" href=(file("look.css"));
                link rel="stylesheet" href=(file("page.css"));
                script src=(file("page.js")) defer data-base=(frame.base) {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    @if let Some(access) = frame.access {
                        nav aria-label="Pages" {
                            @for (path, name) in PAGES {
                                @let parts: &[&str] = if path.is_empty() { &[] } else { &[path] };
                                a href=(frame.path(parts)) aria-current=[(path == here).then_some("page")] { (name) }
                            }
                        }
                        @if let Some(user) = &access.user {
                            form.user method="post" action=(frame.path(&["logout"])) {
                                input type="hidden" name="form_token" value=(access.form_token);
                                span { (Foreign(user)) }
                                button { "Log out" }
                            }
                        }
                    }
                }
                main id="main" {
                    h1 { (Foreign(title)) }
                    @if let Some(done) = frame.done { p.done role="status" { (Foreign(done)) } }
                    (main)
                }
            }
        }
    };
    page.into_string()
}

/// Something is wrong: nothing is there, it is not allowed, the server does not answer.
pub fn failure(frame: &PageFrame<'_>, title: &str, why: &str) -> String {
    whole(
        frame,
        "none",
        title,
        &html! { p.bad role="alert" { (Foreign(why)) } },
    )
}

/// A few numbers, large.
fn tiles(numbers: &[(&str, u64)]) -> Markup {
    html! {
        dl.tiles {
            @for (name, number) in numbers {
                div { dt { (name) } dd { (super::text::grouped(*number)) } }
            }
        }
    }
}

/// A choice of jails. `any`: what the first choice says that is none of them.
fn choice(jails: &[String], chosen: Option<&str>, any: Option<&str>) -> Markup {
    html! {
        label { span { "Jail" }
            select name="jail" required[any.is_none()] {
                @if let Some(any) = any { option value="" { (any) } }
                @for jail in jails {
                    option value=(jail) selected[chosen == Some(jail.as_str())] { (Foreign(jail)) }
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::web::role::Role;

    pub const EVIL: &str = "\"'><script>alert(1)</script>\u{202e}";

    pub fn operator() -> Access {
        Access {
            user: Some(EVIL.to_owned()),
            role: Role::Operator,
            may_write: true,
            form_token: "token".to_owned(),
            by_token: false,
        }
    }

    pub fn frame(access: &Access) -> PageFrame<'_> {
        PageFrame {
            base: "/f",
            access: Some(access),
            done: Some(EVIL),
        }
    }

    /// A page in which [`EVIL`] stands this often at least, and is nothing but text. What a form sends back
    /// stands in it as it is; a quote in a text is `&quot;`, so each other one ends a value.
    pub fn is_harmless(page: &str, times: usize) {
        let script = page.matches("<script").count();
        assert_eq!(script, 1, "only the page's own: {page}");
        let outside: String = page.split('"').step_by(2).collect();
        let (before, after) = outside.split_once("<textarea").unwrap_or((&outside, ""));
        let after = after
            .split_once("</textarea>")
            .map_or("", |(_, after)| after);
        for text in [before, after] {
            assert!(
                !text.contains("'><") && !text.contains('\u{202e}'),
                "{page}"
            );
        }
        let told = "&quot;'&gt;&lt;script&gt;alert(1)&lt;/script&gt;\\u202e";
        assert!(page.matches(told).count() >= times, "{page}");
    }

    #[test]
    fn paths_hold_whatever_an_id_is() {
        let access = operator();
        let frame = frame(&access);
        assert_eq!(
            frame.path(&["address", "2001:db8::/32"]),
            "/f/address/2001:db8::%2F32"
        );
        let query = frame.query(&["change"], &[("jail", "a&b=c"), ("id", ""), ("q", "ü\"")]);
        assert_eq!(query, "/f/change?jail=a%26b%3Dc&q=%C3%BC%22");
        for part in [".", "..", "~", "~.", "..."] {
            let path = frame.path(&["jail", part]);
            let last = path.rsplit('/').next().unwrap();
            assert!(![".", ".."].contains(&last), "{path}");
            assert_eq!(unmarked(last), part);
        }
        let none = PageFrame { base: "", ..frame };
        assert_eq!(
            (none.path(&[]), frame.path(&[])),
            ("/".to_owned(), "/f/".to_owned())
        );
    }

    #[test]
    fn failures_are_harmless() {
        let access = operator();
        is_harmless(&failure(&frame(&access), EVIL, EVIL), 4);
    }
}
