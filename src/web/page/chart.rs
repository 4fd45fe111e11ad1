//! Numbers as bars, drawn as an SVG picture of a few lines. What a bar stands for is also told in
//! words, which a browser shows when it is pointed at; the numbers stand in a table beside it.

use std::collections::HashMap;

use maud::{Markup, html};

use super::table;
use super::text::Foreign;

/// Size of the picture: the width of a telephone, so that its letters have the size of the text there.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 150.0;
/// Where the bars stand in it.
const LEFT: f64 = 34.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 130.0;

/// Series that have a colour of their own; the rest shares one.
const COLOURS: usize = 7;

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

    /// `sshd 3, postfix 1`
    fn parts(&self, series: &[String]) -> String {
        let parts = series
            .iter()
            .zip(&self.parts)
            .filter(|(_, count)| **count > 0);
        let parts: Vec<_> = parts
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        parts.join(", ")
    }
}

impl Chart {
    /// Counts by jail, one on the other: the jails with most of them in colours of their own. `bars` are names
    /// and what is written below; a count is of a jail and of the bar at this place.
    pub fn stacked<'a>(
        title: String,
        bars: Vec<(String, Option<String>)>,
        counts: impl IntoIterator<Item = (&'a str, usize, u32)>,
    ) -> Chart {
        let mut by_jail: HashMap<&str, Vec<u32>> = HashMap::new();
        for (jail, bar, count) in counts.into_iter().filter(|(.., count)| *count > 0) {
            let of_jail = by_jail.entry(jail).or_insert_with(|| vec![0; bars.len()]);
            if let Some(sum) = of_jail.get_mut(bar) {
                *sum += count;
            }
        }
        let mut jails: Vec<(&str, Vec<u32>)> = by_jail.into_iter().collect();
        jails.sort_by_key(|(jail, counts)| (u32::MAX - counts.iter().sum::<u32>(), *jail));
        let others = jails.split_off(jails.len().min(COLOURS));
        let mut series: Vec<String> = jails.iter().map(|(jail, _)| (*jail).to_owned()).collect();
        if !others.is_empty() {
            series.push("other jails".to_owned());
        }
        let bar = |(place, (name, tick)): (usize, (String, Option<String>))| {
            let mut parts: Vec<u32> = jails.iter().map(|(_, counts)| counts[place]).collect();
            if !others.is_empty() {
                parts.push(others.iter().map(|(_, counts)| counts[place]).sum());
            }
            Bar { name, tick, parts }
        };
        let bars = bars.into_iter().enumerate().map(bar).collect();
        Chart {
            title,
            series,
            bars,
        }
    }

    /// The numbers as a table, without bars that are none. `what` is counted.
    pub fn numbers(&self, what: &str) -> Markup {
        let bars = self.bars.iter().filter(|bar| bar.total() > 0);
        let rows: Vec<_> = bars
            .map(|bar| {
                vec![
                    html! { (bar.name) },
                    html! { (bar.total()) },
                    html! { (Foreign(&bar.parts(&self.series))) },
                ]
            })
            .collect();
        table::table(&["From", what, "By jail"], &rows, "texts")
    }

    /// The picture, and what its colours mean when there are several.
    pub fn markup(&self) -> Markup {
        let largest = self.bars.iter().map(Bar::total).max().unwrap_or(0);
        let top = rounded_up(largest.max(1));
        let step = (WIDTH - LEFT) / self.bars.len().max(1) as f64;
        html! {
            svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
                aria-label=(format!("{}; the numbers follow as a table", self.title)) {
                // half a ban would be no number
                @for number in [0.0, top / 2.0, top].into_iter().filter(|number| number.fract() == 0.0) {
                    @let y = BOTTOM - height(number, top);
                    path.grid d=(format!("M{LEFT} {y:.1}H{WIDTH}")) {}
                    text x=(LEFT - 4.0) y=(tenths(y + 3.0)) text-anchor="end" { (number) }
                }
                @for (index, bar) in self.bars.iter().enumerate() {
                    @let x = LEFT + step * index as f64;
                    @if let Some(tick) = &bar.tick {
                        text x=(tenths((x + step / 2.0).min(WIDTH - 14.0))) y=(HEIGHT - 6.0) text-anchor="middle" { (tick) }
                    }
                    @if bar.total() > 0 { (self.bar(bar, x, step, top)) }
                }
            }
            @if self.series.len() > 1 {
                p {
                    @for (index, name) in self.series.iter().enumerate() {
                        span.key {
                            svg viewBox="0 0 1 1" aria-hidden="true" { rect class=(format!("c{index}")) width="1" height="1" {} }
                            " " (Foreign(name))
                        }
                        " "
                    }
                }
            }
        }
    }

    /// A bar that begins at `x` in a place `step` wide.
    fn bar(&self, bar: &Bar, x: f64, step: f64, top: f64) -> Markup {
        let mut y = BOTTOM;
        let parts = bar.parts.iter().enumerate().filter(|(_, part)| **part > 0);
        let parts = parts.map(|(series, part)| {
            let part = height(f64::from(*part), top);
            y -= part;
            (format!("c{series}"), y, part)
        });
        html! {
            g {
                title { (bar.name) ": " (Foreign(&bar.parts(&self.series))) }
                @for (class, y, part) in parts {
                    rect class=(class) x=(tenths(x + step * 0.1)) y=(tenths(y)) width=(tenths(step * 0.8)) height=(tenths(part)) {}
                }
            }
        }
    }
}

/// How high a number stands in the picture.
fn height(number: f64, top: f64) -> f64 {
    number / top * (BOTTOM - TOP)
}

/// Finer than a tenth nobody sees.
fn tenths(length: f64) -> String {
    format!("{length:.1}")
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
        let svg = chart.markup().into_string();
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
    fn few_colours_for_many_jails() {
        let names: Vec<String> = (1..=10).map(|number| format!("jail{number}")).collect();
        let counts = names
            .iter()
            .zip(1..)
            .map(|(jail, count)| (jail.as_str(), 1, count));
        let bars = vec![("a".to_owned(), None), ("b".to_owned(), None)];
        let chart = Chart::stacked("Bans".to_owned(), bars, counts);
        assert_eq!(chart.series.len(), COLOURS + 1);
        assert_eq!(
            (chart.series[0].as_str(), chart.series[7].as_str()),
            ("jail10", "other jails")
        );
        assert_eq!(chart.bars[0].parts, [0; 8]);
        assert_eq!(chart.bars[1].parts, [10, 9, 8, 7, 6, 5, 4, 6]);
        let numbers = chart.numbers("Bans").into_string();
        assert_eq!(numbers.matches("<tr>").count(), 2, "{numbers}");
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
