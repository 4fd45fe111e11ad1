//! Evaluates an expression with Python's arithmetic.
#![forbid(unsafe_code)]

use super::functions::{Draws, call};
use super::{FormulaError, FormulaExpr, Variables};
use crate::python::Number::{self, Float, Int};
use crate::python::PythonException;

/// The value of an expression.
///
/// # Errors
/// Arithmetic without a result.
pub(super) fn evaluate(
    expression: &FormulaExpr,
    variables: &Variables,
    draws: &Draws,
) -> Result<Number, FormulaError> {
    let value = |expression| evaluate(expression, variables, draws);
    Ok(match expression {
        FormulaExpr::Number(number) => *number,
        FormulaExpr::Time => variables.time,
        FormulaExpr::Count => Int(variables.count.into()),
        FormulaExpr::Factor => variables.factor,
        FormulaExpr::Not(inner) => truth(!value(inner)?.is_true()),
        FormulaExpr::Negative(inner) => match value(inner)? {
            Int(number) => number.checked_neg().map_or(Float(-(number as f64)), Int),
            Float(number) => Float(-number),
        },
        FormulaExpr::Inverted(inner) => match value(inner)? {
            Int(number) => Int(!number),
            Float(_) => {
                let text = "bad operand type for unary ~: 'float'";
                return Err(PythonException::new("TypeError", text).into());
            }
        },
        FormulaExpr::And(left, right) => match value(left)? {
            left if left.is_true() => value(right)?,
            left => left,
        },
        FormulaExpr::Or(left, right) => match value(left)? {
            left if left.is_true() => left,
            _ => value(right)?,
        },
        FormulaExpr::If(parts) => match value(&parts[1])?.is_true() {
            true => value(&parts[0])?,
            false => value(&parts[2])?,
        },
        FormulaExpr::Compare(first, others) => {
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
        FormulaExpr::Binary(operator, left, right) => {
            value(left)?.binary(operator, value(right)?)?
        }
        FormulaExpr::Call(function, arguments) => {
            let arguments: Vec<Number> = arguments.iter().map(value).collect::<Result<_, _>>()?;
            call(function.0, &arguments, draws)?
        }
    })
}

fn truth(flag: bool) -> Number {
    Int(flag.into())
}

fn compare(operator: &str, left: Number, right: Number) -> bool {
    match operator {
        "<" => left.is_less(right),
        "<=" => left.is_less(right) || left.is_equal(right),
        ">" => right.is_less(left),
        ">=" => right.is_less(left) || left.is_equal(right),
        "==" => left.is_equal(right),
        _ => !left.is_equal(right),
    }
}
