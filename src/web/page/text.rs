//! Texts that strangers wrote, and numbers, as people read them.

use chrono::{Local, TimeZone as _};
use maud::Render;

use crate::printable::printable;

/// A text that a stranger may have written: it is escaped as every text of a page, and what would turn its
/// letters around or hide some is shown as `\u202e`.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a>(pub &'a str);

impl Render for Foreign<'_> {
    fn render_to(&self, buffer: &mut String) {
        printable(self.0).render_to(buffer);
    }
}

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `999 B`, `1.5 kB`, `2.0 MB`
pub fn sized(bytes: u64) -> String {
    let mut number = bytes as f64;
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    for unit in ["kB", "MB", "GB"] {
        number /= 1000.0;
        // what would be shown as 1000.0 is one of the next
        if number < 999.95 {
            return format!("{number:.1} {unit}");
        }
    }
    format!("{:.1} TB", number / 1000.0)
}

/// `1 ban`, `2 bans`, `2 searches`
pub fn counted(number: u64, what: &str) -> String {
    let hisses = what.ends_with("ch") || what.ends_with('x');
    let end = match number {
        1 => "",
        _ if hisses => "es",
        _ => "s",
    };
    format!("{} {what}{end}", grouped(number))
}

/// A moment in local time by this form of chrono.
pub fn local(seconds: f64, form: &str) -> String {
    match Local.timestamp_opt(seconds as i64, 0).earliest() {
        Some(time) => time.format(form).to_string(),
        None => String::new(),
    }
}

/// `2026-11-22 10:00:00` in local time.
pub fn moment(seconds: f64) -> String {
    local(seconds, "%Y-%m-%d %H:%M:%S")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_write_no_html_and_turn_nothing_around() {
        let html = Foreign("<b>\u{202e}\x1b[2J\"&").render().into_string();
        assert_eq!(html, r"&lt;b&gt;\u202e\x1b[2J&quot;&amp;");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1500, "1.5 kB"),
            (999_949, "999.9 kB"),
            (999_960, "1.0 MB"),
            (7_000_000_000_000, "7.0 TB"),
        ] {
            assert_eq!(sized(bytes), text);
        }
        assert_eq!(counted(1, "ban"), "1 ban");
        assert_eq!(counted(0, "ban"), "0 bans");
        assert_eq!(counted(2, "search"), "2 searches");
    }
}
