//! Numbers as bars, drawn as an SVG picture of a few lines. What a bar stands for is also told in
//! words, which a browser shows when it is pointed at; the numbers stand in a table beside it.

use super::html::escaped;

/// Size of the picture: the width of a telephone, so that its letters have the size of the text there.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 150.0;
/// Where the bars stand in it.
const LEFT: f64 = 34.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 130.0;

/// A chart of bars.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What the parts of a bar stand for; each has a colour.
    pub series: Vec<String>,
    /// From left to right.
    pub bars: Vec<Bar>,
}

/// A bar of parts, one on the other.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// What is written below it, if anything.
    pub tick: Option<String>,
    /// A number for each of the series.
    pub parts: Vec<u32>,
}

impl Bar {
    fn total(&self) -> u32 {
        self.parts.iter().sum()
    }

    fn words(&self, series: &[String]) -> String {
        let parts = series
            .iter()
            .zip(&self.parts)
            .filter(|(_, bans)| **bans > 0);
        let parts: Vec<_> = parts.map(|(name, bans)| format!("{name} {bans}")).collect();
        format!("{}: {}", self.name, parts.join(", "))
    }
}

impl Chart {
    /// The picture, and what its colours mean when there are several.
    pub fn svg(&self) -> String {
        let title = escaped(&self.title);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}; the numbers follow as a table\">\n"
        );
        let largest = self.bars.iter().map(Bar::total).max().unwrap_or(0);
        let top = rounded_up(largest.max(1));
        let height = |number: f64| number / top * (BOTTOM - TOP);
        for number in [0.0, top / 2.0, top] {
            // half a ban would be no number
            if number.fract() > 0.0 {
                continue;
            }
            let y = BOTTOM - height(number);
            svg.push_str(&format!(
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{WIDTH}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{number}</text>\n",
                LEFT - 4.0,
                y + 3.0
            ));
        }
        let step = (WIDTH - LEFT) / self.bars.len().max(1) as f64;
        for (index, bar) in self.bars.iter().enumerate() {
            let x = LEFT + step * index as f64;
            if let Some(tick) = &bar.tick {
                svg.push_str(&format!(
                    "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                    (x + step / 2.0).min(WIDTH - 14.0),
                    HEIGHT - 6.0,
                    escaped(tick)
                ));
            }
            if bar.total() == 0 {
                continue;
            }
            let words = escaped(&bar.words(&self.series));
            svg.push_str(&format!("<g><title>{words}</title>"));
            let mut y = BOTTOM;
            for (series, part) in bar.parts.iter().enumerate().filter(|(_, part)| **part > 0) {
                let part = height(f64::from(*part));
                y -= part;
                svg.push_str(&format!(
                    "<rect class=\"c{series}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{part:.1}\"/>",
                    x + step * 0.1,
                    step * 0.8
                ));
            }
            svg.push_str("</g>\n");
        }
        svg.push_str("</svg>\n");
        if self.series.len() > 1 {
            let key = |(index, name): (usize, &String)| {
                let name = escaped(name);
                format!(
                    "<span class=\"key\"><svg viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect class=\"c{index}\" width=\"1\" height=\"1\"/></svg> {name}</span> "
                )
            };
            let keys: String = self.series.iter().enumerate().map(key).collect();
            svg.push_str(&format!("<p>{}</p>\n", keys.trim_end()));
        }
        svg
    }
}

/// The next of 1, 2, 4, 6, 8, 10, 20, 40 …
fn rounded_up(number: u32) -> f64 {
    let number = f64::from(number);
    let mut unit = 1.0;
    while unit * 10.0 < number {
        unit *= 10.0;
    }
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0].map(|step| step * unit);
    let enough = steps.into_iter().find(|step| *step >= number);
    enough.unwrap_or(unit * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_numbers() {
        let bar = |name: &str, parts: &[u32]| Bar {
            name: name.to_owned(),
            tick: None,
            parts: parts.to_vec(),
        };
        let chart = Chart {
            title: "Bans".to_owned(),
            series: vec!["mail".to_owned(), "<web>".to_owned()],
            bars: vec![bar("Monday", &[30, 10]), bar("Tuesday", &[0, 0])],
        };
        let svg = chart.svg();
        // 40 is the top, 120 high
        assert!(
            svg.contains("height=\"90.0\"") && svg.contains("height=\"30.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("<title>Monday: mail 30, &lt;web&gt; 10</title>"),
            "{svg}"
        );
        assert!(!svg.contains("Tuesday") && !svg.contains("<web>"), "{svg}");
    }

    #[test]
    fn tops_are_round() {
        for (number, top) in [
            (1, 1),
            (3, 4),
            (10, 10),
            (11, 20),
            (87, 100),
            (400, 400),
            (401, 600),
        ] {
            assert_eq!(rounded_up(number), f64::from(top), "{number}");
        }
        assert!(rounded_up(u32::MAX) >= f64::from(u32::MAX));
    }
}
