//! A table that becomes a list of cards where there is no room for columns.

use maud::{Markup, html};

/// A table; nothing without rows.
pub fn table(columns: &[&str], rows: &[Vec<Markup>], class: &str) -> Markup {
    html! {
        @if !rows.is_empty() {
            table class=(class) {
                thead { tr { @for name in columns { th scope="col" { (name) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (name, cell) in columns.iter().zip(row) {
                                td data-name=(name) { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A table of texts. One of numbers is narrow enough for any screen.
pub fn of_texts(columns: &[&str], rows: &[Vec<String>]) -> Markup {
    let is_number = |cell: &String| cell.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = rows.iter().all(|row| row.iter().skip(1).all(is_number));
    let class = if numbers { "numbers" } else { "texts" };
    let text = |cell: &String| html! { (cell) };
    let rows: Vec<Vec<Markup>> = rows
        .iter()
        .map(|row| row.iter().map(text).collect())
        .collect();
    table(columns, &rows, class)
}
