//! The report (facts X11–X16), line for line as the original prints it.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use chrono::{DateTime, Local};

use super::options::RegexOptions;
use super::tally::{LineGroup, RegexTally, RunTally};
use crate::filter::{Dates, Filter};
use crate::printable::printable_lines;
use crate::python::encoding::Encoding;
use crate::python::text::strip_end;

/// All that the report shows.
pub(super) struct RegexReport<'a> {
    pub(super) options: &'a RegexOptions,
    pub(super) filter: &'a Filter,
    pub(super) tally: &'a RunTally,
    pub(super) listed: usize,
    pub(super) encoding: &'a Encoding,
    pub(super) elapsed: Duration,
}

/// Prints the report.
///
/// # Errors
/// Of the writer.
pub(super) fn print(report: &RegexReport<'_>, out: &mut impl Write) -> io::Result<()> {
    let tally = report.tally;
    writeln!(out, "\nResults\n=======")?;
    if let Some(prefregex) = report.filter.prefregex() {
        writeln!(out, "\nPrefregex: {} total", tally.prefregex)?;
        let mut lines = vec![prefregex.expanded().to_owned()];
        lines.extend(tally.prefixes.iter().map(|p| format!("    {p}")));
        list(out, None, &lines)?;
    }
    regexes(report, out, "Failregex", &tally.failregexes)?;
    regexes(report, out, "Ignoreregex", &tally.ignoreregexes)?;
    dates(report, out)?;
    writeln!(
        out,
        "\nLines: {} lines, {} ignored, {} matched, {} missed",
        tally.tested, tally.ignored.count, tally.matched.count, tally.missed.count
    )?;
    writeln!(
        out,
        "[processed in {:.2} sec]\n",
        report.elapsed.as_secs_f64()
    )?;

    let options = report.options;
    if options.all_matched {
        lines(
            report,
            out,
            "matched",
            &tally.matched,
            true,
            &tally.failregexes,
        )?;
    }
    if !options.no_ignored {
        lines(
            report,
            out,
            "ignored",
            &tally.ignored,
            options.all_ignored,
            &tally.ignoreregexes,
        )?;
    }
    if !options.no_missed {
        lines(
            report,
            out,
            "missed",
            &tally.missed,
            options.all_missed,
            &tally.failregexes,
        )?;
    }
    Ok(())
}

/// A list with its frame; nothing when it is empty.
fn list(out: &mut impl Write, header: Option<&str>, lines: &[String]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    if let Some(header) = header {
        writeln!(out, "|- {header}")?;
    }
    // what strangers wrote steers no terminal; programs have it as it is
    let terminal = io::stdout().is_terminal();
    for line in lines {
        match terminal {
            true => writeln!(out, "|  {}", printable_lines(line))?,
            false => writeln!(out, "|  {line}")?,
        }
    }
    writeln!(out, "`-")
}

fn regexes(
    report: &RegexReport<'_>,
    out: &mut impl Write,
    title: &str,
    tallies: &[RegexTally],
) -> io::Result<()> {
    let verbose = report.options.verbose > 0;
    let mut total = 0;
    let mut lines = Vec::new();
    for (number, tally) in (1..).zip(tallies) {
        total += tally.hits;
        if tally.hits > 0 || verbose {
            lines.push(format!("{number:>2}) [{}] {}", tally.hits, tally.source));
        }
        for (id, time, multiple) in &tally.details {
            let note = if *multiple {
                " (multiple regex matched)"
            } else {
                ""
            };
            lines.push(format!("    {id}  {}{note}", local(*time)));
        }
    }
    writeln!(out, "\n{title}: {total} total")?;
    list(out, Some(" #) [# of hits] regular expression"), &lines)
}

/// A time as `asctime` writes it; the present for a line without one.
fn local(time: Option<f64>) -> String {
    let time = time
        .and_then(|t| DateTime::from_timestamp(t.floor() as i64, 0))
        .map_or_else(Local::now, |t| t.with_timezone(&Local));
    time.format("%a %b %d %H:%M:%S %Y").to_string()
}

fn dates(report: &RegexReport<'_>, out: &mut impl Write) -> io::Result<()> {
    let options = report.options;
    let mut lines = Vec::new();
    match report.filter.dates() {
        Dates::Absent => return Ok(()),
        Dates::Never { hits } => {
            if *hits > 0 || options.verbose > 0 {
                lines.push(format!("[{hits}] ^"));
            }
        }
        Dates::Detector(detector) => {
            for template in detector.templates() {
                if template.hits == 0 && options.verbose == 0 {
                    continue;
                }
                lines.push(format!("[{}] {}", template.hits, template.name));
                if options.verbose_date {
                    let (merit, weight) = (template.merit, template.weight);
                    // the original knows no pattern of its built-in forms
                    let pattern = template.pattern.as_deref().unwrap_or_default();
                    lines.push(format!(
                        "    # weight: {merit:.3} ({weight:.3}), pattern: {pattern}"
                    ));
                    lines.push(format!("    # regex:   {}", template.regex));
                }
            }
        }
    }
    writeln!(out, "\nDate template hits:")?;
    list(out, Some("[# of hits] date format"), &lines)
}

fn lines(
    report: &RegexReport<'_>,
    out: &mut impl Write,
    name: &str,
    kind: &LineGroup,
    all: bool,
    regexes: &[RegexTally],
) -> io::Result<()> {
    if kind.count == 0 {
        return Ok(());
    }
    let mut header = format!("{name} line(s):");
    header[..1].make_ascii_uppercase();
    if !kind.fits(all, report.listed) {
        return writeln!(
            out,
            "{header} too many to print.  Use --print-all-{name} to print all {} lines",
            kind.count
        );
    }
    let shown: Vec<String> = match &kind.plain {
        None => (kind.lines.iter().map(|l| strip_end(l).to_owned())).collect(),
        Some(plain) => {
            let pairs = plain
                .iter()
                .flat_map(|l| regexes.iter().map(move |r| (l, r)));
            pairs
                .map(|(line, regex)| {
                    let link = link(report, line, regex);
                    format!("{line} | {} |  {link}", regex.source)
                })
                .collect()
        }
    };
    list(out, Some(&header), &shown)
}

/// Where a line and a regex can be looked at together.
fn link(report: &RegexReport<'_>, line: &str, regex: &RegexTally) -> String {
    let flags = if report.filter.maxlines() > 1 {
        "&flags=m"
    } else {
        ""
    };
    format!(
        "https://www.debuggex.com/?re={}&str={}&flavor=python{flags}",
        escape(regex.expanded.as_bytes()),
        escape(&report.encoding.encode(line))
    )
}

/// Percent-encoding of query values, blanks as `+`.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                text.push(char::from(byte));
            }
            b' ' => text.push('+'),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
