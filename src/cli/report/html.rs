//! A report as one page: no scripts, nothing that is fetched from elsewhere, every text escaped.

use maud::{DOCTYPE, PreEscaped, html};

use super::page::ReportPage;
use crate::web::page::LOOK;

/// The whole page.
pub fn render(page: &ReportPage) -> String {
    let title = format!("Bans on {}", page.host);
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(LOOK)) }
            }
            body {
                main {
                    h1 { (title) }
                    p { "Ferroban, " (page.made) }
                    @for section in &page.sections { (section.markup()) }
                }
            }
        }
    };
    html.into_string() + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::example;
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_text() {
        let html = render(&example("<b>&\"", "'><script>alert(1)</script>"));
        let (_, body) = html.split_once("</style>").unwrap();
        assert!(!body.contains("<b>") && !body.contains("<script"), "{body}");
        assert!(body.contains(">&lt;b&gt;&amp;&quot;</td>"), "{body}");
        let id = "'&gt;&lt;script&gt;alert(1)&lt;/script&gt;</td>";
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
