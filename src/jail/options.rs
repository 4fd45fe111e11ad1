//! The options of a jail that need nothing from outside: `set`, `get` and `status` (facts J7–J29,
//! P11, P31–P53), with the replies and log lines of the original.
#![forbid(unsafe_code)]

use super::core::JailCore;
use super::decision::local_time;
use super::ignore_cache::IgnoreCache;
use super::{FULL, settings};
use crate::address::Address;
use crate::config::options as definition;
use crate::control::{CommandError, JailOption, JailSetting, Reply, Value};
use crate::datetime::{DatePatternError, FixedOffset};
use crate::pattern::{FailRegex, PatternError, UseDns};
use crate::python::Number;
use crate::python::encoding::Encoding;
use crate::ticket::{BanTime, Timestamp};
use crate::{debug, error, info, msg};

impl JailCore {
    /// Carries out a setting and answers its new value. `None`: it is not the core's business.
    pub fn apply(&mut self, setting: &JailSetting) -> Option<Reply> {
        let done = self.carry_out(setting)?;
        Some(done.map(|option| self.get(&option).unwrap_or(Value::None)))
    }

    /// Carries out a setting and answers which option tells of it. `None`: it is not the core's
    /// business.
    pub fn carry_out(&mut self, setting: &JailSetting) -> Option<Result<JailOption, CommandError>> {
        let done = self.set(setting);
        self.settings_changed();
        done
    }

    fn set(&mut self, setting: &JailSetting) -> Option<Result<JailOption, CommandError>> {
        Some(match setting {
            JailSetting::IgnoreSelf(value) => {
                self.settings.ignore.ignore_self = value.is_on();
                Ok(JailOption::IgnoreSelf)
            }
            JailSetting::AddIgnoreIp(words) => {
                self.add_ignored(words).map(|()| JailOption::IgnoreIp)
            }
            JailSetting::DelIgnoreIp(word) => {
                debug!(FILTER, "  Remove {} from ignore list", id_repr(word));
                let removed = self.settings.ignore.remove(word);
                removed.map(|()| JailOption::IgnoreIp)
            }
            JailSetting::IgnoreCommand(command) => {
                self.settings.ignore_command = Some(command.clone());
                Ok(JailOption::IgnoreCommand)
            }
            JailSetting::IgnoreCache(value) => self
                .set_ignore_cache(value)
                .map(|()| JailOption::IgnoreCache),
            JailSetting::LogEncoding(label) => {
                self.set_encoding(label).map(|()| JailOption::LogEncoding)
            }
            JailSetting::PrefRegex(source) => {
                debug!(
                    "fail2ban.server",
                    "  prefregex: {}",
                    Value::from(source.as_str()).repr()
                );
                self.filter
                    .set_prefregex(source)
                    .map_err(|error| CommandError::regex(error.to_string()))
                    .map(|()| JailOption::PrefRegex)
            }
            JailSetting::AddFailRegex(sources) => self
                .add_regexes("failregex", sources)
                .map(|()| JailOption::FailRegex),
            JailSetting::AddIgnoreRegex(sources) => self
                .add_regexes("ignoreregex", sources)
                .map(|()| JailOption::IgnoreRegex),
            JailSetting::DelFailRegex(index) => {
                match position(*index, self.filter.failregexes().len()) {
                    Some(at) => self.filter.del_failregex(at),
                    None => complain_of_index(*index),
                }
                Ok(JailOption::FailRegex)
            }
            JailSetting::DelIgnoreRegex(index) => {
                match position(*index, self.filter.ignoreregexes().len()) {
                    Some(at) => self.filter.del_ignoreregex(at),
                    None => complain_of_index(*index),
                }
                Ok(JailOption::IgnoreRegex)
            }
            JailSetting::UseDns(word) => {
                let shown = use_dns_word(use_dns(word));
                debug!(FILTER, "Setting usedns = {shown} for {}", self.name);
                self.filter.set_usedns(use_dns(word));
                Ok(JailOption::UseDns)
            }
            JailSetting::FindTime(value) => self.set_find_time(value),
            JailSetting::BanTime(value) => self.set_ban_time(value),
            JailSetting::BanTimeExtra { name, value } => self
                .settings
                .increment
                .set(name, value, self.has_database)
                .map(|()| JailOption::BanTimeExtra(name.clone())),
            JailSetting::MaxRetry(value) => whole_number(value).map(|count| {
                self.settings.limits.max_retry = count;
                info!("fail2ban.filter", "  maxRetry: {}", count);
                JailOption::MaxRetry
            }),
            JailSetting::MaxMatches(value) => whole_number(value).map(|count| {
                self.settings.limits.max_matches = count;
                JailOption::MaxMatches
            }),
            JailSetting::UnbanWhenQuiet(value) => {
                self.settings.unban_when_quiet = value.is_on();
                Ok(JailOption::UnbanWhenQuiet)
            }
            JailSetting::BanPrefix { family, value } => self
                .settings
                .prefix
                .set(*family, value)
                .map(|()| JailOption::BanPrefix(*family)),
            JailSetting::MaxLines(value) => self.set_max_lines(value),
            JailSetting::LogTimezone(text) => self.set_timezone(text),
            JailSetting::DatePattern(pattern) => self
                .filter
                .set_datepattern(pattern)
                .map_err(|DatePatternError(text)| CommandError::builtin("TypeError", text))
                .map(|()| JailOption::DatePattern),
            JailSetting::JsonMatch(template) => self
                .filter
                .set_jsonmatch(template)
                .map_err(|text| CommandError::builtin("ValueError", text))
                .map(|()| JailOption::JsonMatch),
            _ => return None,
        })
    }

    /// Answers an option. `None`: it is not the core's business.
    pub fn get(&self, option: &JailOption) -> Option<Value> {
        Some(match option {
            JailOption::IgnoreSelf => self.settings.ignore.ignore_self.into(),
            JailOption::IgnoreIp => Value::List(
                self.settings
                    .ignore
                    .words()
                    .into_iter()
                    .map(Value::Ip)
                    .collect(),
            ),
            JailOption::IgnoreCommand => match &self.settings.ignore_command {
                Some(command) => command.as_str().into(),
                None => false.into(),
            },
            JailOption::IgnoreCache => {
                self.settings
                    .ignore_cache
                    .as_ref()
                    .map_or(Value::None, |cache| {
                        Value::List(vec![
                            cache.key.as_str().into(),
                            cache.max_count.into(),
                            whole_or_float(cache.max_time),
                        ])
                    })
            }
            JailOption::LogEncoding => self.settings.encoding.as_str().into(),
            JailOption::PrefRegex => self
                .filter
                .prefregex()
                .map_or("", FailRegex::expanded)
                .into(),
            JailOption::FailRegex => expanded(self.filter.failregexes()),
            JailOption::IgnoreRegex => expanded(self.filter.ignoreregexes()),
            JailOption::UseDns => use_dns_word(self.filter.usedns()).into(),
            JailOption::FindTime => settings::number_value(Some(self.settings.limits.find_time)),
            JailOption::BanTime => {
                Value::Int(settings::ban_seconds(self.bans.default_length()) as i64)
            }
            JailOption::BanTimeExtra(name) => self.settings.increment.get(name),
            JailOption::MaxRetry => self.settings.limits.max_retry.into(),
            JailOption::UnbanWhenQuiet => self.settings.unban_when_quiet.into(),
            JailOption::BanPrefix(family) => self.settings.prefix.get(*family),
            JailOption::MaxMatches => self.settings.limits.max_matches.into(),
            JailOption::MaxLines => Value::Int(self.filter.maxlines() as i64),
            JailOption::LogTimezone => self.settings.timezone.clone(),
            JailOption::JsonMatch => self.filter.jsonmatch().into(),
            JailOption::DatePattern => match self.filter.datepattern() {
                Some((pattern, name)) => Value::Tuple(vec![pattern.into(), name.into()]),
                None => Value::None,
            },
            JailOption::BanIp { with_time, .. } => self.ban_list(*with_time),
            JailOption::Banned(ids) => self.banned(ids),
            _ => return None,
        })
    }

    /// (failing now, failures ever) and (banned now, bans ever).
    pub fn counts(&mut self, now: Timestamp) -> [(i64, i64); 2] {
        self.counter.clean_up(now, true);
        [
            (self.counter.len() as i64, self.counter.total() as i64),
            (self.bans.len() as i64, self.bans.total() as i64),
        ]
    }

    /// The two halves of `status JAIL` (fact P11); `sources` is what the jail reads.
    pub fn status(&mut self, flavour: &str, sources: (&str, Value), now: Timestamp) -> Value {
        let [failed, banned] = self.counts(now);
        let row = |name: &str, value: Value| Value::Tuple(vec![name.into(), value]);
        let mut filter = vec![
            row("Currently failed", failed.0.into()),
            row("Total failed", failed.1.into()),
            row(sources.0, sources.1),
        ];
        if flavour == FULL {
            let hits = i64::try_from(self.filter.limit_hits()).unwrap_or(i64::MAX);
            filter.push(row("Searches given up", hits.into()));
        }
        let mut actions = vec![
            row("Currently banned", banned.0.into()),
            row("Total banned", banned.1.into()),
        ];
        if flavour != "short" {
            actions.push(row("Banned IP list", self.banned(&[])));
        }
        if flavour == "cymru" {
            error!(
                "fail2ban.banmanager",
                "dnspython package is required but could not be imported"
            );
            for name in ["Banned ASN list", "Banned Country list", "Banned RIR list"] {
                actions.push(row(name, vec!["error"].into()));
            }
        }
        Value::List(vec![
            row("Filter", Value::List(filter)),
            row("Actions", Value::List(actions)),
        ])
    }

    /// Removes what a reload is about to set again: regexes and `ignoreip` (fact P64).
    pub fn clear_lists(&mut self) {
        self.filter.clear_failregexes();
        self.filter.clear_ignoreregexes();
        self.settings.ignore.clear();
    }

    fn add_ignored(&mut self, words: &[String]) -> Result<(), CommandError> {
        for word in words {
            let shown = || Value::from(word.as_str()).repr();
            if self.settings.ignore.add(word)? {
                debug!(
                    FILTER,
                    "  Add {} to ignore list ({})",
                    id_repr(word),
                    shown()
                );
            } else {
                msg!(
                    FILTER,
                    "  Ignore duplicate {} ({}), already in ignore list",
                    id_repr(word),
                    shown()
                );
            }
        }
        Ok(())
    }

    fn add_regexes(&mut self, kind: &str, sources: &[String]) -> Result<(), CommandError> {
        for source in sources {
            debug!(
                "fail2ban.server",
                "  {}: {}",
                kind,
                Value::from(source.as_str()).repr()
            );
            let added = match kind {
                "failregex" => self.filter.add_failregex(source),
                _ => self.filter.add_ignoreregex(source),
            };
            added.map_err(regex_error)?;
        }
        Ok(())
    }

    fn set_ignore_cache(&mut self, value: &Value) -> Result<(), CommandError> {
        let text = value.as_str().unwrap_or("");
        self.settings.ignore_cache = cache_options(text)?;
        Ok(())
    }

    fn set_encoding(&mut self, label: &str) -> Result<(), CommandError> {
        let label = if label.eq_ignore_ascii_case("auto") {
            Encoding::preferred().name
        } else {
            label.to_owned()
        };
        if Encoding::named(&label).is_none() {
            return Err(CommandError::builtin(
                "LookupError",
                format!("unknown encoding: {label}"),
            ));
        }
        info!("fail2ban.filter", "  encoding: {}", label);
        self.settings.encoding = label;
        Ok(())
    }

    fn set_find_time(&mut self, value: &Value) -> Result<JailOption, CommandError> {
        let time = settings::seconds(value)?;
        self.settings.limits.find_time = time;
        info!(
            "fail2ban.filter",
            "  findtime: {}",
            settings::number_value(Some(time)).str()
        );
        Ok(JailOption::FindTime)
    }

    fn set_ban_time(&mut self, value: &Value) -> Result<JailOption, CommandError> {
        let time = settings::seconds(value)?;
        let seconds = match time {
            Number::Int(seconds) => seconds,
            Number::Float(seconds) => seconds as i64,
        };
        self.settings.ban_time = settings::ban_time(seconds);
        info!(
            "fail2ban.actions",
            "  banTime: {}",
            settings::number_value(Some(time)).str()
        );
        Ok(JailOption::BanTime)
    }

    fn set_max_lines(&mut self, value: &Value) -> Result<JailOption, CommandError> {
        match usize::try_from(value.to_int()?) {
            Ok(lines @ 1..) => {
                self.filter.set_maxlines(lines);
                info!("fail2ban.filter", "  maxLines: {}", lines);
                Ok(JailOption::MaxLines)
            }
            _ => Err(CommandError::builtin(
                "ValueError",
                "maxlines must be integer greater than zero",
            )),
        }
    }

    fn set_timezone(&mut self, text: &str) -> Result<JailOption, CommandError> {
        let zone = match text {
            "" => FixedOffset { seconds: 0 },
            text => FixedOffset::parse(text)
                .map_err(|error| CommandError::builtin("ValueError", error.0))?,
        };
        self.filter.set_timezone(Some(zone));
        self.settings.timezone = text.into();
        Ok(JailOption::LogTimezone)
    }

    /// `get JAIL banip` (fact P47): ids by end of ban, or lines with times.
    fn ban_list(&self, with_time: bool) -> Value {
        let list = self.bans.by_end();
        let show = |(id, time, length, end): (&Address, Timestamp, BanTime, Timestamp)| {
            if !with_time {
                return Value::Ip(id.to_string());
            }
            Value::Str(format!(
                "{id} \t{} + {} = {}",
                local_time(time),
                settings::ban_seconds(length) as i64,
                local_time(end)
            ))
        };
        Value::List(list.into_iter().map(show).collect())
    }

    /// All banned ids, or 1 or 0 for one, a list of them for several (fact P48).
    fn banned(&self, ids: &[String]) -> Value {
        let is_banned = |id: &String| Value::Int(self.is_banned(&Address::parse(id)).into());
        match ids {
            [] => Value::List(
                self.banned_ids()
                    .into_iter()
                    .map(|id| Value::Ip(id.to_string()))
                    .collect(),
            ),
            [id] => is_banned(id),
            several => Value::List(several.iter().map(is_banned).collect()),
        }
    }
}

fn whole_number(value: &Value) -> Result<i64, CommandError> {
    Ok(value.to_int()?)
}

const FILTER: &str = "fail2ban.filter";

/// An id of the ignore list as the log shows it.
fn id_repr(word: &str) -> String {
    Value::from(Address::parse(word).to_string()).repr()
}

fn regex_error(error: PatternError) -> CommandError {
    error!("fail2ban.filter", "{}", error);
    CommandError::regex(error.to_string())
}

fn complain_of_index(index: i64) {
    error!(
        "fail2ban.filter",
        "Cannot remove regular expression. Index {} is not valid", index
    );
}

/// A position as Python's lists take it: negative ones count from the end.
fn position(index: i64, length: usize) -> Option<usize> {
    let length = length as i64;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index)
        .ok()
        .filter(|at| (*at as i64) < length)
}

fn expanded(regexes: &[FailRegex]) -> Value {
    Value::List(
        regexes
            .iter()
            .map(|regex| regex.expanded().into())
            .collect(),
    )
}

fn use_dns(word: &str) -> UseDns {
    match word.to_lowercase().as_str() {
        "yes" => UseDns::Yes,
        "warn" => UseDns::Warn,
        "no" => UseDns::No,
        "raw" => UseDns::Raw,
        wrong => {
            error!(
                "fail2ban.filter",
                "Incorrect value {} specified for usedns. Using safe 'no'",
                Value::from(wrong).repr()
            );
            UseDns::No
        }
    }
}

fn use_dns_word(usedns: UseDns) -> &'static str {
    match usedns {
        UseDns::Yes => "yes",
        UseDns::Warn => "warn",
        UseDns::No => "no",
        UseDns::Raw => "raw",
    }
}

fn whole_or_float(number: f64) -> Value {
    if number.fract() == 0.0 {
        Value::Int(number as i64)
    } else {
        Value::Float(number)
    }
}

/// `key="<ip>", max-count=100, max-time=5m`; empty text switches the cache off (fact J19).
fn cache_options(text: &str) -> Result<Option<IgnoreCache>, CommandError> {
    let definition = definition::parse(&format!("cache[{text}]"))
        .map_err(|text| CommandError::builtin("ValueError", text))?;
    let options = definition.arguments;
    if options.is_empty() {
        return Ok(None);
    }
    let Some(key) = options.get("key") else {
        return Err(CommandError::builtin("KeyError", "key"));
    };
    let max_count = match options.get("max-count") {
        Some(count) => Value::from(count.as_str()).to_int()?,
        None => 100,
    };
    let max_time = match options.get("max-time") {
        Some(time) => settings::seconds(&time.as_str().into())?.as_f64(),
        None => 300.0,
    };
    Ok(Some(IgnoreCache::new(key.clone(), max_count, max_time)))
}
