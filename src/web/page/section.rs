//! A part of a page that has a heading, a table, and perhaps a picture of its numbers.

use maud::{Markup, html};

use super::chart::Chart;
use super::table;
use crate::printable::printable;

/// A part of a page. Its texts are printable.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// What it is about.
    pub heading: String,
    /// The numbers of its table as a picture.
    pub chart: Option<Chart>,
    /// The columns of its table.
    pub columns: &'static [&'static str],
    /// The rows, as long as there are columns.
    pub rows: Vec<Vec<String>>,
    /// What there is to say without a table.
    pub note: Option<String>,
}

impl Section {
    /// Nothing but a sentence.
    pub fn remark(heading: &str, text: &str) -> Section {
        Section {
            heading: heading.to_owned(),
            note: Some(printable(text)),
            ..Section::default()
        }
    }

    /// Rows; when there are none `none` says so. Texts come from logs and other programs: nothing in them
    /// may steer a terminal.
    pub fn table(
        heading: String,
        columns: &'static [&'static str],
        rows: impl Iterator<Item = Vec<String>>,
        none: &str,
    ) -> Section {
        let printable = |row: Vec<String>| row.iter().map(|cell| printable(cell)).collect();
        let rows: Vec<_> = rows.map(printable).collect();
        Section {
            heading,
            columns,
            note: rows.is_empty().then(|| none.to_owned()),
            rows,
            chart: None,
        }
    }

    /// The picture first, and its numbers for who wants them.
    pub fn markup(&self) -> Markup {
        let table = table::of_texts(self.columns, &self.rows);
        html! {
            h2 { (self.heading) }
            @match &self.chart {
                None => (table),
                Some(chart) => {
                    (chart.markup())
                    details { summary { "Numbers" } (table) }
                }
            }
            @if let Some(note) = &self.note { p { (note) } }
        }
    }
}
