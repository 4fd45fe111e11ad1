//! The functions that a formula may call: arithmetic built-ins of Python, and functions of `math` and
//! `random` that return floats.
#![forbid(unsafe_code)]

use std::cell::Cell;

use crate::python::Number::{self, Float, Int};
use crate::python::{PythonException, finite};

/// Name, and number of arguments at least and at most.
pub(super) type Function = &'static (&'static str, usize, usize);

/// Functions of several arguments, or with whole results.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("abs", 1, 1),
    ("float", 1, 1),
    ("int", 1, 1),
    ("max", 2, 16),
    ("min", 2, 16),
    ("pow", 2, 2),
    ("round", 1, 2),
    ("math.atan2", 2, 2),
    ("math.ceil", 1, 1),
    ("math.copysign", 2, 2),
    ("math.floor", 1, 1),
    ("math.fmod", 2, 2),
    ("math.hypot", 2, 2),
    ("math.log", 1, 2),
    ("math.pow", 2, 2),
    ("math.trunc", 1, 1),
    ("random.expovariate", 1, 1),
    ("random.gauss", 2, 2),
    ("random.normalvariate", 2, 2),
    ("random.randint", 2, 2),
    ("random.random", 0, 0),
    ("random.randrange", 2, 2),
    ("random.triangular", 3, 3),
    ("random.uniform", 2, 2),
];

/// A function of one real number.
type Real = fn(f64) -> f64;

/// Those of `math`, with the entry that [`find`] answers.
const REAL: &[((&str, usize, usize), Real)] = &[
    (("math.acos", 1, 1), f64::acos),
    (("math.asin", 1, 1), f64::asin),
    (("math.atan", 1, 1), f64::atan),
    (("math.cbrt", 1, 1), f64::cbrt),
    (("math.cos", 1, 1), f64::cos),
    (("math.cosh", 1, 1), f64::cosh),
    (("math.degrees", 1, 1), f64::to_degrees),
    (("math.exp", 1, 1), f64::exp),
    (("math.exp2", 1, 1), f64::exp2),
    (("math.expm1", 1, 1), f64::exp_m1),
    (("math.fabs", 1, 1), f64::abs),
    (("math.log10", 1, 1), f64::log10),
    (("math.log1p", 1, 1), f64::ln_1p),
    (("math.log2", 1, 1), f64::log2),
    (("math.radians", 1, 1), f64::to_radians),
    (("math.sin", 1, 1), f64::sin),
    (("math.sinh", 1, 1), f64::sinh),
    (("math.sqrt", 1, 1), f64::sqrt),
    (("math.tan", 1, 1), f64::tan),
    (("math.tanh", 1, 1), f64::tanh),
];

/// The function of this name.
pub(super) fn find(name: &str) -> Option<Function> {
    let real = || REAL.iter().map(|(function, _)| function);
    let mut all = FUNCTIONS.iter().chain(real());
    all.find(|function| function.0 == name)
}

/// Random numbers from 0 to 1 (exclusive): the first is handed in, others follow from it.
#[derive(Debug)]
pub(super) struct Draws(Cell<f64>);

impl Draws {
    /// Begins with this number.
    pub fn new(first: f64) -> Draws {
        Draws(Cell::new(first))
    }

    fn next(&self) -> f64 {
        let number = self.0.get();
        let mut bits = number.to_bits().wrapping_add(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        self.0.set((bits >> 11) as f64 / (1_u64 << 53) as f64);
        number
    }
}

/// Calls a function.
///
/// # Errors
/// Arguments it has no value for.
pub(super) fn call(
    name: &str,
    arguments: &[Number],
    draws: &Draws,
) -> Result<Number, PythonException> {
    let first = arguments.first().copied().unwrap_or(Int(0));
    let real = |at: usize| arguments.get(at).map_or(0.0, |number| number.as_f64());
    if let Some((_, function)) = REAL.iter().find(|((known, ..), _)| *known == name) {
        return finite(function(real(0)));
    }
    let positive = |number: f64| match number > 0.0 {
        true => Ok(number),
        false => Err(PythonException::new("ValueError", "math domain error")),
    };
    let between = |from: f64, to: f64| from + (to - from) * draws.next();
    match name {
        "abs" => match first {
            Int(number) => Ok(number.checked_abs().map_or(Float(-(number as f64)), Int)),
            Float(number) => Ok(Float(number.abs())),
        },
        "float" => Ok(Float(real(0))),
        "int" | "math.trunc" => whole(first, f64::trunc),
        "math.ceil" => whole(first, f64::ceil),
        "math.floor" => whole(first, f64::floor),
        "round" => match arguments.get(1) {
            None => whole(first, f64::round_ties_even),
            Some(digits) => round(first, digits.as_f64()),
        },
        "max" => Ok(best(arguments, |next, best| best.is_less(next))),
        "min" => Ok(best(arguments, Number::is_less)),
        "pow" => first.binary("**", arguments.get(1).copied().unwrap_or(Int(1))),
        "math.pow" => finite(real(0).powf(real(1))),
        "math.log" if arguments.len() == 2 => {
            finite(positive(real(0))?.ln() / positive(real(1))?.ln())
        }
        "math.log" => Ok(Float(positive(real(0))?.ln())),
        "math.atan2" => Ok(Float(real(0).atan2(real(1)))),
        "math.copysign" => Ok(Float(real(0).copysign(real(1)))),
        "math.fmod" => finite(real(0) % real(1)),
        "math.hypot" => finite(real(0).hypot(real(1))),
        "random.uniform" => Ok(Float(between(real(0), real(1)))),
        "random.randint" => whole(Float(between(real(0), real(1) + 1.0)), f64::floor),
        "random.randrange" => whole(Float(between(real(0), real(1))), f64::floor),
        "random.triangular" => Ok(Float(triangular(real(0), real(1), real(2), draws.next()))),
        "random.expovariate" => finite(-(1.0 - draws.next()).ln() / real(0)),
        "random.gauss" | "random.normalvariate" => {
            let length = (-2.0 * (1.0 - draws.next()).ln()).sqrt();
            let angle = std::f64::consts::TAU * draws.next();
            finite(real(0) + real(1) * length * angle.cos())
        }
        _ => Ok(Float(draws.next())),
    }
}

fn best(arguments: &[Number], better: impl Fn(Number, Number) -> bool) -> Number {
    let first = arguments.first().copied().unwrap_or(Int(0));
    arguments.iter().fold(
        first,
        |best, &next| if better(next, best) { next } else { best },
    )
}

/// A whole number; beyond 64 bits it stays a float.
fn whole(number: Number, cut: fn(f64) -> f64) -> Result<Number, PythonException> {
    let number = match number {
        Int(_) => return Ok(number),
        Float(number) => cut(number),
    };
    finite(number)?;
    Ok(match number.abs() < 9.2e18 {
        true => Int(number as i64),
        false => Float(number),
    })
}

/// Rounds to so many digits after the point, or before it when negative; halves to the even side.
fn round(number: Number, digits: f64) -> Result<Number, PythonException> {
    let digits = digits.clamp(-300.0, 300.0) as i32;
    if digits >= 0 {
        return match number {
            Int(_) => Ok(number),
            // What is printed with so many digits is rounded exactly.
            Float(number) => {
                let text = format!("{number:.0$}", digits.unsigned_abs() as usize);
                finite(text.parse().unwrap_or(f64::NAN))
            }
        };
    }
    let unit = 10_f64.powi(-digits);
    let rounded = (number.as_f64() / unit).round_ties_even() * unit;
    match number {
        Int(_) => whole(Float(rounded), f64::trunc),
        Float(_) => finite(rounded),
    }
}

/// The number that a share `part` of a triangle's area lies below.
fn triangular(low: f64, high: f64, mode: f64, part: f64) -> f64 {
    if high == low {
        return low;
    }
    let top = (mode - low) / (high - low);
    match part < top {
        true => low + (part * (high - low) * (mode - low)).sqrt(),
        false => high - ((1.0 - part) * (high - low) * (high - mode)).sqrt(),
    }
}
