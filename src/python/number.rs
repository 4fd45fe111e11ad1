//! Numbers and their arithmetic: time spans and formulas are written in Python's syntax.
//!
//! Integers stay integers. Python's are unbounded; one too large for 64 bits becomes a float here.

use super::PythonException;

/// A number as Python would hold it: replies tell `600` from `5400.0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// Any other.
    Float(f64),
}

use Number::{Float, Int};

impl Number {
    /// The value as a float.
    pub fn as_f64(self) -> f64 {
        match self {
            Int(number) => number as f64,
            Float(number) => number,
        }
    }

    /// The name of its Python type.
    pub fn type_name(self) -> &'static str {
        match self {
            Int(_) => "int",
            Float(_) => "float",
        }
    }

    /// `bool()`
    pub fn is_true(self) -> bool {
        self.as_f64() != 0.0
    }

    /// `self < other`. Whole numbers are compared as such: floats cannot tell large ones apart.
    pub fn is_less(self, other: Number) -> bool {
        match (self.exact(), other.exact()) {
            (Some(left), Some(right)) => left < right,
            _ => self.as_f64() < other.as_f64(),
        }
    }

    /// `self == other`
    pub fn is_equal(self, other: Number) -> bool {
        match (self.exact(), other.exact()) {
            (Some(left), Some(right)) => left == right,
            _ => self.as_f64() == other.as_f64(),
        }
    }

    /// The whole number it is, if it is one of 64 bits.
    fn exact(self) -> Option<i64> {
        match self {
            Int(number) => Some(number),
            Float(number) => {
                (number.fract() == 0.0 && number.abs() < 9e18).then_some(number as i64)
            }
        }
    }

    /// The value of `self operator other`, for `+ - * / // % ** & | ^ << >>`.
    ///
    /// # Errors
    /// Division by zero, a power without a real value, bits of a fraction.
    pub fn binary(self, operator: &str, other: Number) -> Result<Number, PythonException> {
        let (left, right) = (self.as_f64(), other.as_f64());
        let whole = match (self, other) {
            (Int(left), Int(right)) => Some((left, right)),
            _ => None,
        };
        if right == 0.0 && matches!(operator, "/" | "//" | "%") {
            return Err(zero_division(operator, whole.is_some()));
        }
        let or_float = |whole: Option<i64>, float: f64| whole.map_or(Float(float), Int);
        Ok(match operator {
            "+" => or_float(whole.and_then(|(a, b)| a.checked_add(b)), left + right),
            "-" => or_float(whole.and_then(|(a, b)| a.checked_sub(b)), left - right),
            "*" => or_float(whole.and_then(|(a, b)| a.checked_mul(b)), left * right),
            "/" => Float(left / right),
            "//" => or_float(
                whole.and_then(|(a, b)| {
                    let quotient = a.checked_div(b)?;
                    let short = a % b != 0 && (a < 0) != (b < 0);
                    Some(quotient - i64::from(short))
                }),
                ((left - modulo(left, right)) / right).round(),
            ),
            "%" => or_float(
                whole.and_then(|(a, b)| {
                    let rest = a.checked_rem(b)?;
                    let other_side = rest != 0 && (rest < 0) != (b < 0);
                    Some(if other_side { rest + b } else { rest })
                }),
                modulo(left, right),
            ),
            "**" => match whole {
                _ if left == 0.0 && right < 0.0 => {
                    let text = "0.0 cannot be raised to a negative power";
                    return Err(PythonException::new("ZeroDivisionError", text));
                }
                Some((base, power)) if power >= 0 => {
                    let power = u32::try_from(power).ok();
                    let exact = power.and_then(|power| base.checked_pow(power));
                    or_float(exact, left.powf(right))
                }
                _ => finite(left.powf(right))?,
            },
            _ => {
                let text = || {
                    let (left, right) = (self.type_name(), other.type_name());
                    format!("unsupported operand type(s) for {operator}: '{left}' and '{right}'")
                };
                bits(
                    operator,
                    whole.ok_or_else(|| PythonException::new("TypeError", text()))?,
                )?
            }
        })
    }
}

fn zero_division(operator: &str, whole: bool) -> PythonException {
    let text = match (operator, whole) {
        ("//", true) => "integer division or modulo by zero",
        ("%", true) => "integer modulo by zero",
        ("/", true) => "division by zero",
        ("/", false) => "float division by zero",
        ("%", false) => "float modulo",
        _ => "float floor division by zero",
    };
    PythonException::new("ZeroDivisionError", text)
}

/// The rest of a division, on the side of the divisor.
fn modulo(left: f64, right: f64) -> f64 {
    let rest = left % right;
    match rest != 0.0 && (rest < 0.0) != (right < 0.0) {
        true => rest + right,
        false => rest,
    }
}

fn bits(operator: &str, (left, right): (i64, i64)) -> Result<Number, PythonException> {
    let count = || {
        u32::try_from(right).map_err(|_| PythonException::new("ValueError", "negative shift count"))
    };
    Ok(match operator {
        "&" => Int(left & right),
        "|" => Int(left | right),
        "^" => Int(left ^ right),
        "<<" => {
            let count = count()?;
            let fits = count < 64 && (left << count) >> count == left;
            match fits {
                true => Int(left << count),
                false => Float(left as f64 * f64::from(count).exp2()),
            }
        }
        _ => Int(left >> count()?.min(63)),
    })
}

/// A result that is a number.
///
/// # Errors
/// Infinite, or none.
pub fn finite(number: f64) -> Result<Number, PythonException> {
    match number.is_finite() {
        true => Ok(Float(number)),
        false => Err(PythonException::new("OverflowError", "math range error")),
    }
}
