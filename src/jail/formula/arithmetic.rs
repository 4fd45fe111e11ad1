//! Expression → number, with Python's arithmetic.
#![forbid(unsafe_code)]

use super::functions::{Draws, call};
use super::{Expression, FormulaError, Variables};
use crate::datetime::duration::Number::{self, Float, Int};

/// The value of an expression.
///
/// # Errors
/// Arithmetic without a result.
pub(super) fn evaluate(
    expression: &Expression,
    variables: &Variables,
    draws: &Draws,
) -> Result<Number, FormulaError> {
    let value = |expression| evaluate(expression, variables, draws);
    Ok(match expression {
        Expression::Number(number) => *number,
        Expression::Time => variables.time,
        Expression::Count => Int(variables.count.into()),
        Expression::Factor => variables.factor,
        Expression::Not(inner) => truth(!is_true(value(inner)?)),
        Expression::Negative(inner) => match value(inner)? {
            Int(number) => number.checked_neg().map_or(Float(-(number as f64)), Int),
            Float(number) => Float(-number),
        },
        Expression::Inverted(inner) => match value(inner)? {
            Int(number) => Int(!number),
            Float(_) => return Err(FormulaError::Arithmetic("bad operand type for unary ~")),
        },
        Expression::And(left, right) => match value(left)? {
            left if is_true(left) => value(right)?,
            left => left,
        },
        Expression::Or(left, right) => match value(left)? {
            left if is_true(left) => left,
            _ => value(right)?,
        },
        Expression::If(parts) => match is_true(value(&parts[1])?) {
            true => value(&parts[0])?,
            false => value(&parts[2])?,
        },
        Expression::Compare(first, others) => {
            let mut left = value(first)?;
            for (operator, right) in others {
                let right = value(right)?;
                if !compare(operator, left, right) {
                    return Ok(truth(false));
                }
                left = right;
            }
            truth(true)
        }
        Expression::Binary(operator, left, right) => binary(operator, value(left)?, value(right)?)?,
        Expression::Call(function, arguments) => {
            let arguments: Vec<Number> = arguments.iter().map(value).collect::<Result<_, _>>()?;
            call(function.0, &arguments, draws)?
        }
    })
}

fn truth(flag: bool) -> Number {
    Int(flag.into())
}

fn is_true(number: Number) -> bool {
    number.as_f64() != 0.0
}

fn compare(operator: &str, left: Number, right: Number) -> bool {
    match operator {
        "<" => less(left, right),
        "<=" => less(left, right) || equal(left, right),
        ">" => less(right, left),
        ">=" => less(right, left) || equal(left, right),
        "==" => equal(left, right),
        _ => !equal(left, right),
    }
}

/// Whole numbers are compared as such: floats cannot tell large ones apart.
pub(super) fn less(left: Number, right: Number) -> bool {
    match (exact(left), exact(right)) {
        (Some(left), Some(right)) => left < right,
        _ => left.as_f64() < right.as_f64(),
    }
}

fn equal(left: Number, right: Number) -> bool {
    match (exact(left), exact(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left.as_f64() == right.as_f64(),
    }
}

/// The whole number it is, if it is one of 64 bits.
fn exact(number: Number) -> Option<i64> {
    match number {
        Int(number) => Some(number),
        Float(number) => (number.fract() == 0.0 && number.abs() < 9e18).then_some(number as i64),
    }
}

/// Whole numbers stay whole as in Python; one too large for 64 bits becomes a float.
pub(super) fn binary(operator: &str, left: Number, right: Number) -> Result<Number, FormulaError> {
    let zero = || FormulaError::Arithmetic("division by zero");
    let (l, r) = (left.as_f64(), right.as_f64());
    let whole = match (left, right) {
        (Int(left), Int(right)) => Some((left, right)),
        _ => None,
    };
    let or_float = |whole: Option<i64>, float: f64| whole.map_or(Float(float), Int);
    Ok(match operator {
        "+" => or_float(whole.and_then(|(a, b)| a.checked_add(b)), l + r),
        "-" => or_float(whole.and_then(|(a, b)| a.checked_sub(b)), l - r),
        "*" => or_float(whole.and_then(|(a, b)| a.checked_mul(b)), l * r),
        "/" if r == 0.0 => return Err(zero()),
        "/" => Float(l / r),
        "//" | "%" if r == 0.0 => return Err(zero()),
        "//" => or_float(
            whole.and_then(|(a, b)| {
                let quotient = a.checked_div(b)?;
                let short = a % b != 0 && (a < 0) != (b < 0);
                Some(quotient - i64::from(short))
            }),
            ((l - modulo(l, r)) / r).round(),
        ),
        "%" => or_float(
            whole.and_then(|(a, b)| {
                let rest = a.checked_rem(b)?;
                let other_side = rest != 0 && (rest < 0) != (b < 0);
                Some(if other_side { rest + b } else { rest })
            }),
            modulo(l, r),
        ),
        "**" => match whole {
            _ if l == 0.0 && r < 0.0 => return Err(zero()),
            Some((base, power)) if power >= 0 => {
                let power = u32::try_from(power).ok();
                or_float(power.and_then(|power| base.checked_pow(power)), l.powf(r))
            }
            _ => finite(l.powf(r))?,
        },
        _ => {
            let whole = whole.ok_or(FormulaError::Arithmetic("unsupported operand type: float"))?;
            bits(operator, whole)?
        }
    })
}

/// The rest of a division, on the side of the divisor.
fn modulo(left: f64, right: f64) -> f64 {
    let rest = left % right;
    match rest != 0.0 && (rest < 0.0) != (right < 0.0) {
        true => rest + right,
        false => rest,
    }
}

fn bits(operator: &str, (left, right): (i64, i64)) -> Result<Number, FormulaError> {
    let negative = FormulaError::Arithmetic("negative shift count");
    Ok(match operator {
        "&" => Int(left & right),
        "|" => Int(left | right),
        "^" => Int(left ^ right),
        "<<" => {
            let count = u32::try_from(right).map_err(|_| negative)?;
            let fits = count < 64 && (left << count) >> count == left;
            match fits {
                true => Int(left << count),
                false => Float(left as f64 * f64::from(count).exp2()),
            }
        }
        _ => {
            let count = u32::try_from(right).map_err(|_| negative)?;
            Int(left >> count.min(63))
        }
    })
}

pub(super) fn finite(number: f64) -> Result<Number, FormulaError> {
    match number.is_finite() {
        true => Ok(Float(number)),
        false => Err(FormulaError::Arithmetic("math range error")),
    }
}
