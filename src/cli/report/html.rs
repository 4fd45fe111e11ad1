//! A report as one page: no scripts, nothing that is fetched from elsewhere, every text escaped.

use super::page::{Page, Section};

/// Everything before the title.
const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root { color-scheme: light dark; --text: #222; --faint: #666; --line: #ddd; --ground: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --text: #ddd; --faint: #999; --line: #444; --ground: #181818; }
}
body { font: 16px/1.4 sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; color: var(--text); background: var(--ground); }
h1, h2 { font-weight: normal; overflow-wrap: break-word; }
p, summary { color: var(--faint); }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .2em 1.5em .2em 0; border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
td:nth-child(-n+2):not(:last-child) { white-space: nowrap; }
svg { display: block; width: 100%; max-width: 40em; font-size: 10px; }
svg text { fill: var(--faint); }
.grid { stroke: var(--line); }
.key { margin-right: 1em; white-space: nowrap; }
.key svg { display: inline-block; width: .8em; }
.c0 { fill: #0072b2; } .c1 { fill: #e69f00; } .c2 { fill: #009e73; } .c3 { fill: #cc79a7; }
.c4 { fill: #56b4e9; } .c5 { fill: #d55e00; } .c6 { fill: #a09000; } .c7 { fill: #888; }
@media (max-width: 40em) {
  .numbers { font-size: .85em; }
  .numbers th, .numbers td { padding-right: .7em; }
  .numbers td:first-child { white-space: normal; overflow-wrap: anywhere; }
  .texts th, .texts td:empty { display: none; }
  .texts, .texts tbody, .texts tr { display: block; }
  .texts tr { padding: .4em 0; border-bottom: 1px solid var(--line); }
  .texts td { display: block; border: none; padding: 0 0 0 6em; white-space: normal !important; }
  .texts td::before { content: attr(data-name); color: var(--faint); float: left; width: 5.5em; margin-left: -6em; }
}
</style>
"#;

/// The whole page.
pub fn render(page: &Page) -> String {
    let title = escaped(&format!("Bans on {}", page.host));
    let mut html = format!("{HEAD}<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n");
    html.push_str(&format!("<p>Ferroban, {}</p>\n", escaped(&page.made)));
    for section in &page.sections {
        html.push_str(&format!("<h2>{}</h2>\n", escaped(&section.heading)));
        match &section.chart {
            None => table(section, &mut html),
            Some(chart) => {
                html.push_str(&chart.svg());
                html.push_str("<details><summary>Numbers</summary>\n");
                table(section, &mut html);
                html.push_str("</details>\n");
            }
        }
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
    let heads = section.columns.iter();
    let heads: String = heads
        .map(|name| format!("<th>{}</th>", escaped(name)))
        .collect();
    // a table of numbers is narrow enough for any screen
    let is_number = |cell: &String| cell.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = section
        .rows
        .iter()
        .all(|row| row.iter().skip(1).all(is_number));
    let class = if numbers { "numbers" } else { "texts" };
    html.push_str(&format!("<table class=\"{class}\">\n<tr>{heads}</tr>\n"));
    for cells in &section.rows {
        // where there is no room for columns the name stands beside the cell
        let cell = |(name, cell): (&&str, &String)| {
            format!("<td data-name=\"{}\">{}</td>", escaped(name), escaped(cell))
        };
        let cells: String = section.columns.iter().zip(cells).map(cell).collect();
        html.push_str(&format!("<tr>{cells}</tr>\n"));
    }
    html.push_str("</table>\n");
}

/// A text that stays one wherever it stands in a page.
pub fn escaped(text: &str) -> String {
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
        assert!(body.contains(">&lt;b&gt;&amp;&quot;</td>"), "{body}");
        let id = "&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;</td>";
        // not effective, most often, twice banned and their reasons, and why a jail failed
        assert_eq!(body.matches(id).count(), 7, "{body}");
        assert!(
            body.contains(">&lt;b&gt;&amp;&quot; 2, web 1</td>"),
            "{body}"
        );
        // in the chart
        let words = "<title>2026-11-22: &lt;b&gt;&amp;&quot; 2, web 1</title>";
        assert!(body.contains(words), "{body}");
    }

    #[test]
    fn a_page_needs_nothing_else() {
        let html = render(&example("mail", "192.0.2.1"));
        assert!(html.contains("<title>Bans on mx1.example.org</title>"));
        assert!(html.ends_with("</html>\n"));
        for foreign in [
            "src=", "href=", "url(", "@import", "<script", "http:", "https:",
        ] {
            assert!(!html.contains(foreign), "{foreign}");
        }
        for tag in [
            "table", "tr", "td", "th", "h1", "h2", "p", "svg", "g", "text", "title", "details",
            "span",
        ] {
            let begun = html.matches(&format!("<{tag}>")).count()
                + html.matches(&format!("<{tag} ")).count();
            assert_eq!(begun, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
