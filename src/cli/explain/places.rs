//! Where the settings of a jail were written.

use crate::config::jail::report::{self, JailReport, ReportRow};
use crate::config::section::FileLine;
use crate::config::shipped::Shipped;

/// The settings of a jail with their places; nothing for a filter alone.
#[derive(Debug, Default)]
pub struct LinePlaces {
    report: Option<JailReport>,
}

impl LinePlaces {
    /// Of a jail.
    pub fn of_jail(config: &str, name: &str) -> LinePlaces {
        LinePlaces {
            report: report::report(&Shipped, config, name).ok(),
        }
    }

    /// The place of an option of the jail, to be put behind a sentence: ` (jail.local:7)`.
    pub fn of(&self, option: &str) -> String {
        in_brackets(self.origin(option))
    }

    /// As [`LinePlaces::of`], to be put behind the option: ` at jail.local:7`.
    pub fn at(&self, option: &str) -> String {
        self.origin(option)
            .map_or(String::new(), |origin| format!(" at {origin}"))
    }

    /// As [`LinePlaces::of`], of an option that the filter may have, too.
    pub fn of_filter(&self, option: &str) -> String {
        let filter = self
            .report
            .iter()
            .filter_map(|report| report.filter.as_ref());
        let rows = filter.flat_map(|filter| &filter.rows);
        in_brackets(self.origin(option).or_else(|| origin(rows, option)))
    }

    fn origin(&self, option: &str) -> Option<&FileLine> {
        let rows = self.report.iter().flat_map(|report| &report.rows);
        origin(rows, option)
    }

    /// The jail's filter with its arguments.
    pub fn filter(&self) -> Option<&str> {
        let filter = self.report.as_ref()?.filter.as_ref()?;
        Some(filter.definition.trim())
    }

    /// Programs whose entries of the journal the jail reads, by its journalmatch; else the name of its
    /// filter.
    pub fn programs(&self) -> Vec<String> {
        let report = self.report.iter();
        let rows = report.flat_map(|report| {
            let filter = report.filter.iter().flat_map(|filter| &filter.rows);
            report.rows.iter().chain(filter)
        });
        let matches = rows.filter(|row| row.name == "journalmatch");
        let words = matches.flat_map(|row| row.value.split_whitespace());
        let values = words.filter_map(|word| {
            let (field, value) = word.split_once('=')?;
            match field {
                "_COMM" | "SYSLOG_IDENTIFIER" => Some(value.to_owned()),
                "_SYSTEMD_UNIT" => Some(value.trim_end_matches(".service").to_owned()),
                _ => None,
            }
        });
        let mut programs: Vec<String> = values.collect();
        if programs.is_empty() {
            let name = self.filter().and_then(|filter| filter.split('[').next());
            programs.extend(name.map(str::to_owned));
        }
        programs
    }

    /// Whether the filter asks for a mode.
    pub fn has_modes(&self) -> bool {
        let filter = self
            .report
            .iter()
            .filter_map(|report| report.filter.as_ref());
        filter
            .flat_map(|filter| &filter.rows)
            .any(|row| row.name == "mode")
    }

    /// Whether the jail is enabled.
    pub fn is_enabled(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.enabled)
    }

    /// The value of an option of the jail.
    pub fn value(&self, option: &str) -> Option<&str> {
        let rows = self.report.iter().flat_map(|report| &report.rows);
        let row = rows.into_iter().find(|row| row.name == option)?;
        Some(&row.value)
    }
}

fn origin<'a>(mut rows: impl Iterator<Item = &'a ReportRow>, option: &str) -> Option<&'a FileLine> {
    let row = rows.find(|row| row.name == option)?;
    Some(&row.place.as_ref()?.origin)
}

fn in_brackets(origin: Option<&FileLine>) -> String {
    origin.map_or(String::new(), |origin| format!(" ({origin})"))
}
