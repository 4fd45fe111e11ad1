//! A report for a terminal: tables in columns.

use super::page::ReportPage;
use crate::web::page::section::Section;

/// The whole text.
pub fn render(page: &ReportPage) -> String {
    let mut text = format!("Ferroban on {}, {}\n", page.host, page.made);
    for section in &page.sections {
        text.push_str(&format!("\n{}\n", section.heading));
        table(section, &mut text);
        if let Some(note) = &section.note {
            text.push_str(&format!("    {note}\n"));
        }
    }
    text
}

fn table(section: &Section, text: &mut String) {
    if section.rows.is_empty() {
        return;
    }
    let head: Vec<String> = section
        .columns
        .iter()
        .map(|name| name.to_string())
        .collect();
    let rows = || std::iter::once(&head).chain(&section.rows);
    let width = |column: usize| rows().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).filter_map(width).collect();
    for row in rows() {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("  {cell:<width$}"))
            .collect();
        text.push_str(&format!("  {}\n", line.trim_end()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::example;
    use super::*;

    #[test]
    fn tables_stand_in_columns() {
        let text = render(&example("mail", "192.0.2.1"));
        let expected = "\nBanned now\n    \
                        Address    Jail  Since                Until                Reason\n    \
                        192.0.2.1  mail  2026-11-22 10:00:00  2026-11-22 11:00:00  bad guess from 192.0.2.1\n    \
                        192.0.2.1  mail  2026-11-22 10:00:00  for good             bad guess from 192.0.2.1\n";
        assert!(text.contains(expected), "{text}");
    }
}
