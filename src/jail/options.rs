//! Setters and getters of the options of a jail (facts J7–J29, P11, P31–P53), with the replies and log
//! lines of the original. The list of options is in [`crate::options::jail`].
#![forbid(unsafe_code)]

use indexmap::IndexMap;

use super::core::JailCore;
use super::decision::shown;
use super::ignore_cache::IgnoreCache;
use super::prefix::BanPrefix;
use super::settings;
use crate::action::needs;
use crate::action::preview::ActionPreview;
use crate::address::{Address, Family};
use crate::config::options as definition;
use crate::control::{CommandError, JailQuery, JailSetting, Reply, Value};
use crate::datetime::stamp::Stamp;
use crate::datetime::{DatePatternError, FixedOffset};
use crate::options::jail::SIMULATE;
use crate::pattern::{FailRegex, PatternError, UseDns};
use crate::python::Number;
use crate::python::encoding::Encoding;
use crate::ticket::{BanTime, Timestamp};
use crate::{debug, error, info, msg};

/// Why actions cannot serve the value of an option, and the value that takes its place; `None` where
/// they can.
type Unserved = fn(&Value, &mut [ActionPreview]) -> Option<(String, Value)>;

/// What an option of a jail does: one row for each that has a value, by the name it has in
/// [`crate::options::jail`].
struct OptionCode {
    name: &'static str,
    set: fn(&mut JailCore, &Value) -> Result<(), CommandError>,
    get: fn(&JailCore) -> Value,
    /// `None`: any actions can serve it.
    unserved: Option<Unserved>,
}

/// Options that any actions can serve.
const fn code(
    name: &'static str,
    set: fn(&mut JailCore, &Value) -> Result<(), CommandError>,
    get: fn(&JailCore) -> Value,
) -> OptionCode {
    OptionCode {
        name,
        set,
        get,
        unserved: None,
    }
}

const OPTIONS: &[OptionCode] = &[
    code(
        "maxretry",
        |core, value| {
            core.options.limits.max_retry = value.to_int()?;
            info!(FILTER, "  maxRetry: {}", core.options.limits.max_retry);
            Ok(())
        },
        |core| core.options.limits.max_retry.into(),
    ),
    code(
        "maxmatches",
        |core, value| {
            core.options.limits.max_matches = value.to_int()?;
            Ok(())
        },
        |core| core.options.limits.max_matches.into(),
    ),
    OptionCode {
        name: "unbanwhenquiet",
        set: |core, value| {
            core.options.unban_when_quiet = value.is_on();
            Ok(())
        },
        get: |core| core.options.unban_when_quiet.into(),
        unserved: Some(needs_actionquiet),
    },
    code(
        SIMULATE,
        |core, value| {
            core.options.simulate = value.is_on();
            Ok(())
        },
        |core| core.options.simulate.into(),
    ),
    code(
        "fleet",
        |core, value| core.options.fleet.read("fleet", value),
        |core| core.options.fleet.words().into(),
    ),
    code(
        "crowdsec",
        |core, value| core.options.crowdsec.read("crowdsec", value),
        |core| core.options.crowdsec.words().into(),
    ),
    code(
        "fleet.minhosts",
        |core, value| {
            let wrong = |_| CommandError::builtin("ValueError", "fleet.minhosts: it is 1 or more");
            core.options.fleet.hosts = usize::try_from(value.to_int()?).map_err(wrong)?;
            Ok(())
        },
        |core| Value::Int(core.options.fleet.hosts.max(1) as i64),
    ),
    OptionCode {
        name: "banprefix4",
        set: |core, value| core.options.prefix.set(Family::Inet4, value),
        get: |core| core.options.prefix.get(Family::Inet4),
        unserved: Some(|value, actions| needs_networks(Family::Inet4, value, actions)),
    },
    OptionCode {
        name: "banprefix6",
        set: |core, value| core.options.prefix.set(Family::Inet6, value),
        get: |core| core.options.prefix.get(Family::Inet6),
        unserved: Some(|value, actions| needs_networks(Family::Inet6, value, actions)),
    },
    code(
        "findtime",
        |core, value| {
            let time = settings::seconds(value)?;
            core.options.limits.find_time = time;
            info!(FILTER, "  findtime: {}", Value::from(time).str());
            Ok(())
        },
        |core| core.options.limits.find_time.into(),
    ),
    code("bantime", JailCore::set_ban_time, |core| {
        Value::Int(settings::ban_seconds(core.bans.default_length()) as i64)
    }),
    code(
        "ignorecommand",
        |core, value| {
            core.options.ignore_command = Some(value.str().into_owned());
            Ok(())
        },
        |core| match &core.options.ignore_command {
            Some(command) => command.as_str().into(),
            None => false.into(),
        },
    ),
    code(
        "ignoreself",
        |core, value| {
            core.options.ignore.ignore_self = value.is_on();
            Ok(())
        },
        |core| core.options.ignore.ignore_self.into(),
    ),
    code(
        "ignorecache",
        |core, value| {
            core.options.ignore_cache = cache_options(value.as_str().unwrap_or(""))?;
            Ok(())
        },
        |core| {
            let cache = core.options.ignore_cache.as_ref();
            cache.map_or(Value::None, |cache| {
                Value::List(vec![
                    cache.key.as_str().into(),
                    cache.max_count.into(),
                    whole_or_float(cache.max_time),
                ])
            })
        },
    ),
    code("logtimezone", JailCore::set_timezone, |core| {
        core.options.timezone.clone()
    }),
    code("logencoding", JailCore::set_encoding, |core| {
        core.options.encoding.as_str().into()
    }),
    code("usedns", JailCore::set_use_dns, |core| {
        use_dns_word(core.filter.usedns()).into()
    }),
    code(
        "prefregex",
        |core, value| {
            let source = value.str();
            let shown = Value::from(&*source).repr();
            debug!("fail2ban.server", "  prefregex: {shown}");
            let set = core.filter.set_prefregex(&source);
            set.map_err(|error| CommandError::regex(error.to_string()))
        },
        |core| {
            core.filter
                .prefregex()
                .map_or("", FailRegex::expanded)
                .into()
        },
    ),
    code("maxlines", JailCore::set_max_lines, |core| {
        Value::Int(core.filter.maxlines() as i64)
    }),
    code(
        "datepattern",
        |core, value| {
            let set = core.filter.set_datepattern(&value.str());
            set.map_err(|DatePatternError(text)| CommandError::builtin("TypeError", text))
        },
        |core| match core.filter.datepattern() {
            Some((pattern, name)) => Value::Tuple(vec![pattern.into(), name.into()]),
            None => Value::None,
        },
    ),
    code(
        "jsonmatch",
        |core, value| {
            let set = core.filter.set_jsonmatch(&value.str());
            set.map_err(|text| CommandError::builtin("ValueError", text))
        },
        |core| core.filter.jsonmatch().into(),
    ),
];

fn code_of(option: &str) -> Option<&'static OptionCode> {
    OPTIONS.iter().find(|row| row.name == option)
}

/// What tells whether the actions of a jail can serve an option; `None` where any can.
pub(super) fn unserved(option: &str) -> Option<Unserved> {
    code_of(option)?.unserved
}

fn needs_actionquiet(value: &Value, actions: &mut [ActionPreview]) -> Option<(String, Value)> {
    let able = || actions.iter().any(|action| action.has("actionquiet"));
    let why = || {
        let value = value.str();
        format!(
            "unbanwhenquiet = {value} has no effect, bans end at their time: no action of the jail has \
             the command actionquiet"
        )
    };
    (value.is_on() && !able()).then(|| (why(), false.into()))
}

fn needs_networks(
    family: Family,
    value: &Value,
    actions: &mut [ActionPreview],
) -> Option<(String, Value)> {
    let mut prefix = BanPrefix::default();
    prefix.set(family, value).ok()?;
    let length = u8::try_from(prefix.get(family).to_int().ok()?).ok()?;
    // the longest length stands for single addresses
    let (name, single) = match family {
        Family::Inet4 => ("banprefix4", 32),
        Family::Inet6 => ("banprefix6", 128),
    };
    actions.iter_mut().find_map(|action| {
        let why = needs::refuses_networks(action, family, length)?;
        let text = format!(
            "{name} = {} has no effect, addresses are banned one by one: the action {} bans no such \
             networks, {why}",
            value.str(),
            action.name
        );
        Some((text, Value::Int(single)))
    })
}

impl JailCore {
    /// Carries out a setting and answers its new value. `None`: it is not the core's business.
    pub fn apply(&mut self, setting: &JailSetting) -> Option<Reply> {
        let done = self.carry_out(setting)?;
        Some(done.map(|option| self.option(option).unwrap_or(Value::None)))
    }

    /// Carries out a setting and answers which option tells of it. `None`: it is not the core's
    /// business.
    pub fn carry_out<'s>(
        &mut self,
        setting: &'s JailSetting,
    ) -> Option<Result<&'s str, CommandError>> {
        let done = self.set(setting);
        self.options_changed();
        done
    }

    fn set<'s>(&mut self, setting: &'s JailSetting) -> Option<Result<&'s str, CommandError>> {
        let (option, done): (&str, _) = match setting {
            JailSetting::Set { option, value } => {
                let done = match (code_of(option), option.strip_prefix("bantime.")) {
                    (Some(row), _) => (row.set)(self, value),
                    (None, Some(name)) => {
                        let has_database = self.has_database;
                        self.options.increment.set(name, value, has_database)
                    }
                    (None, None) => return None,
                };
                (option, done)
            }
            JailSetting::AddIgnoreIp(words) => ("ignoreip", self.add_ignored(words)),
            JailSetting::DelIgnoreIp(word) => {
                debug!(FILTER, "  Remove {} from ignore list", id_repr(word));
                ("ignoreip", self.options.ignore.remove(word))
            }
            JailSetting::AddFailRegex(sources) => {
                ("failregex", self.add_regexes("failregex", sources))
            }
            JailSetting::AddIgnoreRegex(sources) => {
                ("ignoreregex", self.add_regexes("ignoreregex", sources))
            }
            JailSetting::DelFailRegex(index) => {
                match position(*index, self.filter.failregexes().len()) {
                    Some(at) => self.filter.del_failregex(at),
                    None => complain_of_index(*index),
                }
                ("failregex", Ok(()))
            }
            JailSetting::DelIgnoreRegex(index) => {
                match position(*index, self.filter.ignoreregexes().len()) {
                    Some(at) => self.filter.del_ignoreregex(at),
                    None => complain_of_index(*index),
                }
                ("ignoreregex", Ok(()))
            }
            _ => return None,
        };
        Some(done.map(|()| option))
    }

    /// The value of an option. `None`: it is not the core's business.
    pub fn option(&self, name: &str) -> Option<Value> {
        Some(match (name, code_of(name)) {
            (_, Some(row)) => (row.get)(self),
            ("ignoreip", _) => {
                let words = self.options.ignore.words().into_iter();
                Value::List(words.map(Value::Ip).collect())
            }
            ("failregex", _) => expanded(self.filter.failregexes()),
            ("ignoreregex", _) => expanded(self.filter.ignoreregexes()),
            (name, None) => self.options.increment.get(name.strip_prefix("bantime.")?),
        })
    }

    /// Answers a query. `None`: it is not the core's business.
    pub fn get(&self, query: &JailQuery) -> Option<Value> {
        match query {
            JailQuery::Option(name) => self.option(name),
            JailQuery::BanIp { with_time, .. } => Some(self.ban_list(*with_time)),
            JailQuery::Banned(ids) => Some(self.banned(ids)),
            JailQuery::Origins => Some(self.bans_from_elsewhere()),
            _ => None,
        }
    }

    /// Removes what a reload is about to set again: regexes and `ignoreip` (fact P64).
    pub fn clear_lists(&mut self) {
        self.filter.clear_failregexes();
        self.filter.clear_ignoreregexes();
        self.options.ignore.clear();
    }

    fn add_ignored(&mut self, words: &[String]) -> Result<(), CommandError> {
        for word in words {
            let shown = || Value::from(word.as_str()).repr();
            if self.options.ignore.add(word)? {
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

    fn set_encoding(&mut self, value: &Value) -> Result<(), CommandError> {
        let mut label = value.str().into_owned();
        if label.eq_ignore_ascii_case("auto") {
            label = Encoding::preferred().name;
        }
        if Encoding::named(&label).is_none() {
            return Err(CommandError::builtin(
                "LookupError",
                format!("unknown encoding: {label}"),
            ));
        }
        info!(FILTER, "  encoding: {}", label);
        self.options.encoding = label;
        Ok(())
    }

    fn set_ban_time(&mut self, value: &Value) -> Result<(), CommandError> {
        let time = settings::seconds(value)?;
        let seconds = match time {
            Number::Int(seconds) => seconds,
            Number::Float(seconds) => seconds as i64,
        };
        self.options.ban_time = settings::ban_time(seconds);
        info!("fail2ban.actions", "  banTime: {}", Value::from(time).str());
        Ok(())
    }

    fn set_use_dns(&mut self, value: &Value) -> Result<(), CommandError> {
        let word = value.str();
        let shown = use_dns_word(use_dns(&word));
        debug!(FILTER, "Setting usedns = {shown} for {}", self.name);
        self.filter.set_usedns(use_dns(&word));
        Ok(())
    }

    fn set_max_lines(&mut self, value: &Value) -> Result<(), CommandError> {
        match usize::try_from(value.to_int()?) {
            Ok(lines @ 1..) => {
                self.filter.set_maxlines(lines);
                info!(FILTER, "  maxLines: {}", lines);
                Ok(())
            }
            _ => Err(CommandError::builtin(
                "ValueError",
                "maxlines must be integer greater than zero",
            )),
        }
    }

    fn set_timezone(&mut self, value: &Value) -> Result<(), CommandError> {
        let text = value.str();
        let zone = match &*text {
            "" => FixedOffset { seconds: 0 },
            text => FixedOffset::parse(text)
                .map_err(|error| CommandError::builtin("ValueError", error.0))?,
        };
        self.filter.set_timezone(Some(zone));
        self.options.timezone = Value::from(&*text);
        Ok(())
    }

    /// `get JAIL banip` (fact P47): ids by end of ban, or lines with times.
    fn ban_list(&self, with_time: bool) -> Value {
        let list = self.bans.by_end();
        // thousands may have begun in one second, and end in one
        let (mut since, mut until) = (Stamp::default(), Stamp::default());
        let show = |(id, time, length, end): (&Address, Timestamp, BanTime, Timestamp)| {
            if !with_time {
                return Value::Ip(id.to_string());
            }
            let by = self
                .banned_ticket(id)
                .map(|ticket| ticket.origin().suffix());
            Value::Str(format!(
                "{id} \t{} + {} = {}{}",
                shown(time, &mut since),
                settings::ban_seconds(length) as i64,
                shown(end, &mut until),
                by.unwrap_or_default()
            ))
        };
        Value::List(list.into_iter().map(show).collect())
    }

    /// How many of the bans come from where.
    pub(super) fn origins(&self) -> Value {
        let mut counts: IndexMap<String, i64> = IndexMap::new();
        for ticket in self.banned_tickets() {
            *counts.entry(ticket.origin().to_string()).or_default() += 1;
        }
        let counts = counts.into_iter();
        Value::Dict(counts.map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// The bans that this host did not decide on, and who did.
    fn bans_from_elsewhere(&self) -> Value {
        let tickets = self.banned_tickets().into_iter();
        let origins = tickets.map(|ticket| (ticket.id.to_string(), ticket.origin()));
        let elsewhere = origins.filter(|(_, origin)| origin.is_elsewhere());
        Value::Dict(
            elsewhere
                .map(|(id, by)| (id.into(), by.to_string().into()))
                .collect(),
        )
    }

    /// All banned ids, or 1 or 0 for one, a list of them for several (fact P48).
    pub(super) fn banned(&self, ids: &[String]) -> Value {
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

const FILTER: &str = "fail2ban.filter";

/// An id of the ignore list as the log shows it.
fn id_repr(word: &str) -> String {
    Value::from(Address::parse(word).to_string()).repr()
}

fn regex_error(error: PatternError) -> CommandError {
    error!(FILTER, "{}", error);
    CommandError::regex(error.to_string())
}

fn complain_of_index(index: i64) {
    error!(
        FILTER,
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
                FILTER,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::jail;

    #[test]
    fn every_option_with_a_value_does_something() {
        let core = JailCore::new("j", true);
        for row in jail::all().filter(|row| row.has_value()) {
            assert!(core.option(row.name).is_some(), "{}", row.name);
        }
        for row in OPTIONS {
            assert!(jail::settable(row.name).is_some(), "{}", row.name);
        }
    }
}
