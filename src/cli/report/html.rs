//! A report as one page: no scripts, nothing that is fetched from elsewhere, every text escaped.

use super::page::{Page, Section};

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Ferroban</title>
<style>
body { font: 16px/1.4 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }
h1, h2 { font-weight: normal; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .2em 1.5em .2em 0; border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }
p { color: #666; }
</style>
</head>
<body>
<h1>Ferroban</h1>
"#;

/// The whole page.
pub fn render(page: &Page) -> String {
    let mut html = HEAD.to_owned();
    html.push_str(&format!("<p>{}</p>\n", escaped(&page.made)));
    for section in &page.sections {
        html.push_str(&format!("<h2>{}</h2>\n", escaped(&section.heading)));
        table(section, &mut html);
        if let Some(note) = &section.note {
            html.push_str(&format!("<p>{}</p>\n", escaped(note)));
        }
    }
    html.push_str("</body>\n</html>\n");
    html
}

fn table(section: &Section, html: &mut String) {
    if section.rows.is_empty() {
        return;
    }
    html.push_str("<table>\n");
    row("th", section.columns.iter().copied(), html);
    for cells in &section.rows {
        row("td", cells.iter().map(String::as_str), html);
    }
    html.push_str("</table>\n");
}

fn row<'a>(tag: &str, cells: impl Iterator<Item = &'a str>, html: &mut String) {
    let cells: String = cells
        .map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)))
        .collect();
    html.push_str(&format!("<tr>{cells}</tr>\n"));
}

/// A text that stays one wherever it stands in a page.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::example;
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_text() {
        let html = render(&example("<b>&\"", "'><script>alert(1)</script>"));
        let body = html.strip_prefix(HEAD).unwrap();
        assert!(!body.contains("<b>") && !body.contains("<script"), "{body}");
        assert!(body.contains("<td>&lt;b&gt;&amp;&quot;</td>"), "{body}");
        let id = "<td>&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;</td>";
        assert_eq!(body.matches(id).count(), 3, "{body}");
        assert!(
            body.contains("<td>&lt;b&gt;&amp;&quot; 2, web 1</td>"),
            "{body}"
        );
    }

    #[test]
    fn a_page_needs_nothing_else() {
        let html = render(&example("mail", "192.0.2.1"));
        assert!(html.ends_with("</html>\n"));
        for foreign in ["src=", "href=", "url(", "@import", "<script"] {
            assert!(!html.contains(foreign), "{foreign}");
        }
        for tag in ["table", "tr", "td", "th", "h2", "p"] {
            let [begun, ended] = [format!("<{tag}>"), format!("</{tag}>")];
            assert_eq!(html.matches(&begun).count(), html.matches(&ended).count());
        }
    }
}
