//! The settings of a jail as they were before a reload, to fall back to when the reload fails in
//! the middle.
#![forbid(unsafe_code)]

use super::core::JailCore;
use super::ignore::IgnoreList;
use super::increment::Increment;
use crate::control::{JailSetting, Value};
use crate::datetime::duration::Number;
use crate::pattern::{FailRegex, UseDns};
use crate::ticket::BanTime;

/// Settings that a reload may change; counters and bans are none of them.
#[derive(Debug)]
pub(super) struct Saved {
    usedns: UseDns,
    maxlines: usize,
    prefregex: String,
    failregexes: Vec<String>,
    ignoreregexes: Vec<String>,
    datepattern: Option<String>,
    jsonmatch: String,
    timezone: Value,
    encoding: String,
    find_time: Number,
    max_retry: i64,
    max_matches: i64,
    ban_time: BanTime,
    increment: Increment,
    ignore: IgnoreList,
    ignore_command: Option<String>,
}

impl Saved {
    /// Remembers the settings of a jail.
    pub fn new(core: &JailCore) -> Saved {
        let sources = |regexes: &[FailRegex]| {
            regexes
                .iter()
                .map(|regex| regex.source().to_owned())
                .collect()
        };
        Saved {
            usedns: core.filter.usedns(),
            maxlines: core.filter.maxlines(),
            prefregex: core
                .filter
                .prefregex()
                .map_or_else(String::new, |regex| regex.source().to_owned()),
            failregexes: sources(core.filter.failregexes()),
            ignoreregexes: sources(core.filter.ignoreregexes()),
            datepattern: core.datepattern.clone(),
            jsonmatch: core.filter.jsonmatch().to_owned(),
            timezone: core.timezone.clone(),
            encoding: core.encoding.clone(),
            find_time: core.find_time,
            max_retry: core.counter.max_retry,
            max_matches: core.counter.max_matches,
            ban_time: core.bans.default_length(),
            increment: core.increment.clone(),
            ignore: core.ignore.clone(),
            ignore_command: core.ignore_command.clone(),
        }
    }

    /// Gives them back. What was accepted once is accepted again.
    pub fn restore(self, core: &mut JailCore) {
        core.clear_lists();
        core.filter.set_usedns(self.usedns);
        core.filter.set_maxlines(self.maxlines);
        let mut settings = vec![
            JailSetting::PrefRegex(self.prefregex),
            JailSetting::AddFailRegex(self.failregexes),
            JailSetting::AddIgnoreRegex(self.ignoreregexes),
            JailSetting::LogEncoding(self.encoding),
            JailSetting::JsonMatch(self.jsonmatch),
        ];
        settings.extend(self.datepattern.map(JailSetting::DatePattern));
        if let Value::Str(zone) = self.timezone {
            settings.push(JailSetting::LogTimezone(zone));
        }
        for setting in &settings {
            core.apply(setting);
        }
        core.find_time = self.find_time;
        core.counter.find_time = self.find_time.as_f64();
        core.counter.max_retry = self.max_retry;
        core.counter.max_matches = self.max_matches;
        core.bans.set_default_length(self.ban_time);
        core.increment = self.increment;
        core.ignore = self.ignore;
        core.ignore_command = self.ignore_command;
    }
}
