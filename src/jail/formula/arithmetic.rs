//! Expression → number, with Python's arithmetic.
#![forbid(unsafe_code)]

use super::{Expression, FormulaError, Variables};
use crate::datetime::duration::Number::{self, Float, Int};

/// The value of an expression.
///
/// # Errors
/// Arithmetic without a result.
pub(super) fn evaluate(
    expression: &Expression,
    variables: &Variables,
) -> Result<Number, FormulaError> {
    let value = |expression| evaluate(expression, variables);
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
            call(function.0, &arguments, variables.random)?
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
    let (left, right) = (left.as_f64(), right.as_f64());
    match operator {
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        "==" => left == right,
        _ => left != right,
    }
}

/// Whole numbers stay whole as in Python; one too large for 64 bits becomes a float.
fn binary(operator: &str, left: Number, right: Number) -> Result<Number, FormulaError> {
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
            (l / r).floor(),
        ),
        "%" => or_float(
            whole.and_then(|(a, b)| {
                let rest = a.checked_rem(b)?;
                let other_side = rest != 0 && (rest < 0) != (b < 0);
                Some(if other_side { rest + b } else { rest })
            }),
            l - (l / r).floor() * r,
        ),
        "**" => match whole {
            Some((_, power)) if power < 0 && l == 0.0 => return Err(zero()),
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

fn finite(number: f64) -> Result<Number, FormulaError> {
    match number.is_finite() {
        true => Ok(Float(number)),
        false => Err(FormulaError::Arithmetic("math range error")),
    }
}

fn whole(number: f64) -> Result<Number, FormulaError> {
    finite(number)?;
    // saturates beyond 64 bits
    Ok(Int(number as i64))
}

fn call(name: &str, arguments: &[Number], random: f64) -> Result<Number, FormulaError> {
    let number = |at: usize| arguments.get(at).map_or(0.0, |number| number.as_f64());
    let first = arguments.first().copied().unwrap_or(Int(0));
    let positive = |number: f64| match number > 0.0 {
        true => Ok(number),
        false => Err(FormulaError::Arithmetic("math domain error")),
    };
    match name {
        "abs" => match first {
            Int(number) => Ok(number.checked_abs().map_or(Float(-(number as f64)), Int)),
            Float(number) => Ok(Float(number.abs())),
        },
        "float" => Ok(Float(number(0))),
        "int" => whole(number(0).trunc()),
        "round" => whole(number(0).round_ties_even()),
        "math.ceil" => whole(number(0).ceil()),
        "math.floor" => whole(number(0).floor()),
        "max" | "min" => {
            let better = |a: Number, b: Number| match name {
                "max" => a.as_f64() > b.as_f64(),
                _ => a.as_f64() < b.as_f64(),
            };
            Ok(arguments.iter().fold(
                first,
                |best, &next| if better(next, best) { next } else { best },
            ))
        }
        "pow" => binary("**", first, arguments.get(1).copied().unwrap_or(Int(1))),
        "math.pow" => finite(number(0).powf(number(1))),
        "math.exp" => finite(number(0).exp()),
        "math.sqrt" if number(0) < 0.0 => Err(FormulaError::Arithmetic("math domain error")),
        "math.sqrt" => Ok(Float(number(0).sqrt())),
        "math.log" if arguments.len() == 2 => {
            finite(positive(number(0))?.ln() / positive(number(1))?.ln())
        }
        "math.log" => Ok(Float(positive(number(0))?.ln())),
        "math.log2" => Ok(Float(positive(number(0))?.log2())),
        "math.log10" => Ok(Float(positive(number(0))?.log10())),
        "random.uniform" => Ok(Float(number(0) + (number(1) - number(0)) * random)),
        _ => Ok(Float(random)),
    }
}
