//! Ban time increment for repeat offenders: the `bantime.*` options (facts J21, B11–B13).
//!
//! In: the bantime of the jail and how often an id has been banned. Out: the length of the next ban.
#![forbid(unsafe_code)]

use indexmap::IndexMap;

use super::formula::{Formula, FormulaError, Variables};
use super::settings;
use crate::control::{CommandError, Value};
use crate::python::Number;
use crate::{error, info, warning};

/// Doublings at most; also the most a known offender's failure weighs.
const MAX_DOUBLINGS: u32 = 20;

/// The `bantime.*` options of a jail.
#[derive(Clone, Debug)]
pub(super) struct Increment {
    /// As `get JAIL bantime.X` answers.
    options: IndexMap<String, Value>,
    enabled: bool,
    overall: bool,
    factor: Number,
    multipliers: Vec<i64>,
    /// In place of doubling.
    formula: Option<Formula>,
    maxtime: Option<Number>,
    rndtime: Option<Number>,
}

impl Default for Increment {
    fn default() -> Increment {
        Increment {
            options: IndexMap::new(),
            enabled: false,
            overall: false,
            factor: Number::Int(1),
            multipliers: Vec::new(),
            formula: None,
            maxtime: None,
            rndtime: None,
        }
    }
}

impl Increment {
    /// `bantime.increment`
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// `bantime.overalljails`: bans of other jails count too.
    pub fn overall(&self) -> bool {
        self.overall
    }

    /// `bantime.maxtime`
    pub fn maxtime(&self) -> Option<Number> {
        self.maxtime
    }

    /// The value of an option, `None` when it is not set.
    pub fn get(&self, name: &str) -> Value {
        self.options.get(name).cloned().unwrap_or(Value::None)
    }

    /// Sets an option; empty text removes it. Unknown names are kept and mean nothing (fact P43).
    ///
    /// # Errors
    /// A number, time, list of numbers or formula that is none.
    pub fn set(
        &mut self,
        name: &str,
        value: &Value,
        has_database: bool,
    ) -> Result<(), CommandError> {
        let value = match value {
            Value::Str(text) if text.is_empty() => &Value::None,
            value => value,
        };
        info!("fail2ban.jail", "Set banTime.{} = {}", name, value.str());
        let number = || match value {
            Value::None => Ok(None),
            value => settings::seconds(value).map(Some),
        };
        let mut kept = value.clone();
        match name {
            "increment" => {
                self.enabled = value.is_on();
                kept = Value::Bool(self.enabled);
                if self.enabled && !has_database {
                    warning!(
                        "fail2ban.jail",
                        "ban time increment is not available as long jail database is not set"
                    );
                }
            }
            "overalljails" => self.overall = value.is_on(),
            "maxtime" => {
                self.maxtime = number()?;
                kept = self.maxtime.into();
            }
            "rndtime" => {
                self.rndtime = number()?;
                kept = self.rndtime.into();
            }
            "factor" => self.factor = factor(value)?,
            "multipliers" => self.multipliers = multipliers(value)?,
            "formula" => {
                self.formula = match value {
                    Value::None => None,
                    value => Some(Formula::parse(&value.str()).map_err(formula_error)?),
                }
            }
            _ => {}
        }
        if kept == Value::None {
            self.options.shift_remove(name);
        } else {
            self.options.insert(name.to_owned(), kept);
        }
        Ok(())
    }

    /// How long to ban an id that was banned `count` times before. `random` is drawn from 0 to 1
    /// (exclusive) for `bantime.rndtime`, which may go beyond `maxtime` (fact B12).
    pub fn time(&self, base: i64, count: u32, random: f64) -> Number {
        let factored = |multiplier: i64| {
            multiply(
                multiply(Number::Int(base), Number::Int(multiplier)),
                self.factor,
            )
        };
        let base_time = Number::Int(base);
        let mut time = match (self.multipliers.as_slice(), &self.formula) {
            ([], None) => at_least(base_time, factored(1 << count.min(MAX_DOUBLINGS))),
            ([], Some(formula)) => {
                let variables = Variables {
                    time: base_time,
                    count,
                    factor: self.factor,
                    random,
                };
                match formula.value(&variables) {
                    Ok(time) => at_least(base_time, time),
                    Err(error) => {
                        error!("fail2ban.observer", "bantime.formula: {}", error);
                        return base_time;
                    }
                }
            }
            (list @ [.., last], _) => factored(*list.get(count as usize).unwrap_or(last)),
        };
        if let Some(maxtime) = self.maxtime
            && maxtime.as_f64() < time.as_f64()
        {
            time = maxtime;
        }
        if !time.as_f64().is_finite() {
            error!("fail2ban.observer", "bantime.formula: no finite number");
            return base_time;
        }
        if let Some(rndtime) = self.rndtime {
            time = Number::Float(time.as_f64() + random * rndtime.as_f64());
        }
        time
    }

    /// How much one failure of an id banned `count` times before counts: 2, 3, 5, 9 … tries.
    /// Python divides to a float, which shows in the log unless `max_retry` limits it.
    pub fn weight(count: u32, max_retry: i64) -> Number {
        let weight = f64::from(1_u32 << count.min(MAX_DOUBLINGS)) / 2.0 + 1.0;
        if (max_retry as f64) < weight {
            Number::Int(max_retry)
        } else {
            Number::Float(weight)
        }
    }
}

fn multipliers(value: &Value) -> Result<Vec<i64>, CommandError> {
    match value {
        Value::None => Ok(Vec::new()),
        Value::Str(text) => text
            .split(' ')
            .map(|word| Ok(Value::from(word).to_int()?))
            .collect(),
        value => Ok(vec![value.to_int()?]),
    }
}

fn factor(value: &Value) -> Result<Number, CommandError> {
    let any = Variables {
        time: Number::Int(0),
        count: 0,
        factor: Number::Int(1),
        random: 0.0,
    };
    match value {
        Value::None => Ok(Number::Int(1)),
        Value::Int(number) => Ok(Number::Int(*number)),
        Value::Float(number) => Ok(Number::Float(*number)),
        other => Formula::parse(&other.str())
            .and_then(|formula| formula.value(&any))
            .map_err(formula_error),
    }
}

fn formula_error(error: FormulaError) -> CommandError {
    let class = match error {
        FormulaError::Name(_) => "NameError",
        _ => "ValueError",
    };
    CommandError::builtin(class, error.to_string())
}

fn multiply(a: Number, b: Number) -> Number {
    if let (Number::Int(a), Number::Int(b)) = (a, b)
        && let Some(product) = a.checked_mul(b)
    {
        return Number::Int(product);
    }
    Number::Float(a.as_f64() * b.as_f64())
}

fn at_least(least: Number, number: Number) -> Number {
    if number.as_f64() > least.as_f64() {
        number
    } else {
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(options: &[(&str, &str)]) -> Increment {
        let mut increment = Increment::default();
        for (name, value) in options {
            increment.set(name, &Value::from(*value), true).unwrap();
        }
        increment
    }

    #[test]
    fn times_grow_as_configured() {
        use Number::{Float, Int};
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a [Number]);
        let table: &[Row<'_>] = &[
            (&[], &[Int(60), Int(120), Int(240), Int(480)]),
            (&[("factor", "2")], &[Int(120), Int(240), Int(480)]),
            // never below the jail's bantime
            (
                &[("factor", "0.1")],
                &[Int(60), Int(60), Int(60), Int(60), Float(96.0)],
            ),
            (
                &[("maxtime", "3m")],
                &[Int(60), Int(120), Int(180), Int(180)],
            ),
            // but multipliers may be
            (
                &[("multipliers", "0 1 5 30"), ("factor", "1.5")],
                &[
                    Float(0.0),
                    Float(90.0),
                    Float(450.0),
                    Float(2700.0),
                    Float(2700.0),
                ],
            ),
            (
                &[("multipliers", "1 5"), ("maxtime", "100")],
                &[Int(60), Int(100), Int(100)],
            ),
            // a formula is never below either, and fails to the jail's bantime
            (
                &[("formula", "ban.Time * (ban.Count - 1) * 1.5")],
                &[Int(60), Int(60), Float(90.0), Float(180.0)],
            ),
            (
                &[("formula", "ban.Time / (ban.Count - 1)")],
                &[Int(60), Int(60), Int(60)],
            ),
            // drawn after the limit
            (
                &[("maxtime", "100"), ("rndtime", "50")],
                &[Float(85.0), Float(125.0), Float(125.0)],
            ),
        ];
        for (options, times) in table {
            let increment = with(options);
            for (count, time) in times.iter().enumerate() {
                assert_eq!(
                    increment.time(60, count as u32, 0.5),
                    *time,
                    "{options:?} {count}"
                );
            }
        }
        assert_eq!(with(&[]).time(1, 99, 0.0), Int(1 << 20));
    }

    #[test]
    fn options_are_answered_as_kept() {
        let mut increment = with(&[
            ("increment", "true"),
            ("maxtime", "1h"),
            ("rndtime", "1y"),
            ("factor", "1.5"),
            ("nonsense", "x"),
        ]);
        let table = [
            ("increment", Value::Bool(true)),
            ("maxtime", Value::Int(3600)),
            ("rndtime", Value::Float(31_557_600.0)),
            ("factor", "1.5".into()),
            ("nonsense", "x".into()),
            ("overalljails", Value::None),
        ];
        for (name, value) in table {
            assert_eq!(increment.get(name), value, "{name}");
        }
        increment.set("maxtime", &"".into(), true).unwrap();
        increment.set("increment", &"".into(), true).unwrap();
        assert_eq!(increment.get("maxtime"), Value::None);
        assert_eq!(increment.get("increment"), Value::Bool(false));
        assert!(!increment.enabled());
    }

    #[test]
    fn wrong_values_are_refused() {
        let mut increment = Increment::default();
        // sharp edge 45
        let error = increment
            .set("multipliers", &"1  2".into(), true)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid literal for int() with base 10: ''"
        );
        let error = increment
            .set("formula", &"ban.Tim*2".into(), true)
            .unwrap_err();
        assert_eq!(error.to_string(), "name 'ban.Tim' is not defined");
        assert!(increment.set("factor", &"x".into(), true).is_err());
    }

    #[test]
    fn failures_of_known_offenders_weigh() {
        use Number::{Float, Int};
        assert_eq!(Increment::weight(0, 9), Float(1.5));
        assert_eq!(Increment::weight(1, 9), Float(2.0));
        assert_eq!(Increment::weight(2, 9), Float(3.0));
        // the limit takes over only where it is lower
        assert_eq!(Increment::weight(3, 5), Float(5.0));
        assert_eq!(Increment::weight(3, 4), Int(4));
        assert_eq!(Increment::weight(40, 9), Int(9));
    }
}
