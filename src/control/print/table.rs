//! The table of `fail2ban-client stats` (fact P13).

use std::borrow::Cow;
use std::env;

/// Characters of the statistics table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Plain characters.
    Ascii,
    /// Box drawing.
    Unicode,
}

impl Charset {
    /// What the locale allows: Python takes UTF-8 unless the locale names another encoding.
    pub fn of_locale() -> Charset {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
            .unwrap_or_default();
        Charset::of_locale_name(&locale)
    }

    pub(super) fn of_locale_name(locale: &str) -> Charset {
        let encoding = locale
            .split_once('.')
            .map_or("", |(_, encoding)| encoding)
            .split('@')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        match encoding.as_str() {
            "" | "utf-8" | "utf8" => Charset::Unicode,
            _ => Charset::Ascii,
        }
    }
}

/// The strokes of the statistics table.
struct Strokes {
    column: &'static str,
    number: &'static str,
    line: &'static str,
    cross: &'static str,
    foot: &'static str,
    thin_line: &'static str,
    thin_left: &'static str,
    thin_cross: &'static str,
}

const ASCII: Strokes = Strokes {
    column: "|",
    number: "|",
    line: "-",
    cross: "x",
    foot: "-",
    thin_line: "-",
    thin_left: "|",
    thin_cross: "x",
};

const BOXES: Strokes = Strokes {
    column: "║",
    number: "│",
    line: "═",
    cross: "╬",
    foot: "╩",
    thin_line: "─",
    thin_left: "╟",
    thin_cross: "╫",
};

/// Four columns: jail, backend, failures and bans, the latter two of a current and a total number.
pub(super) fn draw(rows: &[[Cow<'_, str>; 6]], charset: Charset) -> String {
    let strokes = match charset {
        Charset::Ascii => &ASCII,
        Charset::Unicode => &BOXES,
    };
    let mut widths = [8, 8, 3, 3, 3, 3];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let [jail, backend, failed, found, banned, bans] = widths;
    let (failures, actions) = (failed + found + 3, banned + bans + 3);
    let (column, number) = (strokes.column, strokes.number);
    let line = |a: &str, b: &str, c: &str, d: &str, e: &str, f: &str| {
        format!(
            " {a:jail$} {column} {b:backend$} {column} {c:>failed$} {number} {d:>found$} {column} {e:>banned$} {number} {f:>bans$}"
        )
    };
    let rule = |knot: &str| {
        let stroke = |width| strokes.line.repeat(width + 2);
        [jail, backend, failures, actions].map(stroke).join(knot)
    };
    let thin = |width| strokes.thin_line.repeat(width + 2);
    let mut lines = vec![
        format!(
            " {0:jail$} {column} {0:backend$} {column} {1:failures$} {column} {2:actions$}",
            "", "Filter", "Actions"
        ),
        format!(
            " {:jail$} {column} {:backend$} {}{}{}{}",
            "Jail",
            "Backend",
            strokes.thin_left,
            thin(failures),
            strokes.thin_cross,
            thin(actions)
        ),
        line("", "", "cur", "tot", "cur", "tot"),
        rule(strokes.cross),
    ];
    lines.extend(rows.iter().map(|[a, b, c, d, e, f]| line(a, b, c, d, e, f)));
    lines.push(rule(strokes.foot));
    lines.join("\n")
}
