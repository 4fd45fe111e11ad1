//! Formulas of `bantime.formula` and `bantime.factor`: the arithmetic part of Python's expressions
//! (facts J21, B12). Python itself is never run.
//!
//! In: the text, and at each ban its length and count so far. Out: the new length. Supported are
//! `ban.Time`, `ban.Count`, `banFactor`, numbers, `+ - * / // % ** << >> & | ^`, comparisons, `and or
//! not`, `a if b else c`, and some functions, among them those of the example in the stock configuration.
#![forbid(unsafe_code)]

mod arithmetic;
mod functions;
mod parser;

use self::functions::{Draws, Function};
use self::parser::FormulaParser;
use crate::python::{Number, PythonException};

/// No sensible formula is longer.
const LONGEST: usize = 2048;

/// Why a formula was refused or gave no number; `Display` is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormulaError {
    /// No expression of the kind this module knows.
    #[error("invalid syntax in formula '{text}' at {at}")]
    Syntax {
        /// The whole formula.
        text: String,
        /// Byte offset.
        at: usize,
    },
    /// Unknown variable or function.
    #[error("name '{0}' is not defined")]
    Name(String),
    /// A function with too few or too many arguments.
    #[error("{0}() does not take {1} arguments")]
    Arguments(String, usize),
    /// Division by zero, root of a negative number, shift by a fraction.
    #[error(transparent)]
    Arithmetic(#[from] PythonException),
}

/// What a formula may look at.
#[derive(Clone, Copy, Debug)]
pub struct Variables {
    /// `ban.Time`
    pub time: Number,
    /// `ban.Count`
    pub count: u32,
    /// `banFactor`
    pub factor: Number,
    /// What `random.random()` gives first, from 0 to 1 exclusive; later draws follow from it.
    pub random: f64,
}

/// A formula that has been read.
#[derive(Clone, Debug)]
pub struct Formula {
    expression: FormulaExpr,
}

#[derive(Clone, Debug)]
enum FormulaExpr {
    Number(Number),
    Time,
    Count,
    Factor,
    Call(Function, Vec<FormulaExpr>),
    Not(Box<FormulaExpr>),
    Negative(Box<FormulaExpr>),
    /// `~`
    Inverted(Box<FormulaExpr>),
    And(Box<FormulaExpr>, Box<FormulaExpr>),
    Or(Box<FormulaExpr>, Box<FormulaExpr>),
    Binary(Operator, Box<FormulaExpr>, Box<FormulaExpr>),
    /// Chained as in Python: `a < b < c`.
    Compare(Box<FormulaExpr>, Vec<(Operator, FormulaExpr)>),
    /// Value, condition, other value.
    If(Box<[FormulaExpr; 3]>),
}

type Operator = &'static str;

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// What is no expression, or names something unknown.
    pub fn parse(text: &str) -> Result<Formula, FormulaError> {
        let mut reader = FormulaParser::new(text);
        if text.len() > LONGEST {
            return Err(reader.syntax());
        }
        let expression = reader.conditional()?;
        match reader.rest().is_empty() {
            true => Ok(Formula { expression }),
            false => Err(reader.syntax()),
        }
    }

    /// Its value.
    ///
    /// # Errors
    /// Arithmetic that has no result.
    pub fn value(&self, variables: &Variables) -> Result<Number, FormulaError> {
        arithmetic::evaluate(&self.expression, variables, &Draws::new(variables.random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Number::{Float, Int};

    fn value(text: &str) -> Result<Number, FormulaError> {
        let variables = Variables {
            time: Int(600),
            count: 3,
            factor: Int(1),
            random: 0.25,
        };
        Formula::parse(text)?.value(&variables)
    }

    /// Values were printed by Python 3.11 with ban.Time 600, ban.Count 3, banFactor 1.
    #[test]
    fn values_are_pythons() {
        let table = [
            (
                "ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor",
                Int(4800),
            ),
            (
                "ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)",
                Float(12_051.322_153_912_6),
            ),
            ("1 + 2 * 3 ** 2", Int(19)),
            ("-2 ** 2", Int(-4)),
            ("2 ** -1", Float(0.5)),
            ("2 ** 3 ** 2", Int(512)),
            ("7 / 2", Float(3.5)),
            ("-7 // 2", Int(-4)),
            ("-7 % 3", Int(2)),
            ("7.5 // 2", Float(3.0)),
            ("7 % 2.5", Float(2.0)),
            ("1 if 0 else 2 if 1 else 3", Int(2)),
            ("0 or 5 and 7", Int(7)),
            ("not 0", Int(1)),
            ("not not not 0", Int(1)),
            ("1 < 2 < 2", Int(0)),
            ("3 == 3.0 != 4", Int(1)),
            ("6 & 3 | 8 ^ 1", Int(11)),
            ("1 << 4 >> 2", Int(4)),
            ("2 ** 100", Float(1.2676506002282294e30)),
            ("1 << 70", Float(1.1805916207174113e21)),
            ("round(2.5) + round(3.5)", Int(6)),
            ("int(3.9) + math.ceil(1.2) + math.floor(-1.2)", Int(3)),
            ("max(1, 2.5, 2) + min(3, 1)", Float(3.5)),
            ("random.random() * 4", Float(1.0)),
            ("random.uniform(2, 4)", Float(2.5)),
            ("math.log(8, 2) + math.sqrt(16)", Float(7.0)),
            ("1e3 + .5", Float(1000.5)),
            ("(((1)))", Int(1)),
            ("abs(-3)", Int(3)),
            ("1.5", Float(1.5)),
        ];
        for (text, expected) in table {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    /// `values.txt` holds what Python 3.11 prints for formulas with ban.Time 600, ban.Count 3 and
    /// banFactor 1. `fails`: it raises when evaluated; `refused`: it is no number or nothing a
    /// formula needs, and we refuse it when it is set; `huge`: more than 60 digits.
    #[test]
    fn the_table_of_the_original() {
        let mut wrong = Vec::new();
        for line in include_str!("formula/values.txt").lines() {
            let (text, expected) = line.rsplit_once(" => ").unwrap();
            let parsed = Formula::parse(text);
            let found = value(text);
            let right = match (expected, found.clone()) {
                ("refused", _) => parsed.is_err(),
                ("fails", found) => parsed.is_ok() && found.is_err(),
                ("huge", Ok(number)) => number.as_f64() > 1e60,
                (expected, Ok(Int(number))) => expected == number.to_string(),
                (expected, Ok(Float(number))) => {
                    let exact: f64 = expected.parse().unwrap();
                    let near = (exact - number).abs() <= exact.abs() * 1e-12;
                    // whole numbers beyond 64 bits are floats here
                    let kind = !expected.bytes().all(|b| b.is_ascii_digit() || b == b'-')
                        || exact.abs() > 9e18;
                    kind && (near || exact == number || exact.is_nan() && number.is_nan())
                }
                (_, Err(_)) => false,
            };
            if !right {
                wrong.push(format!("{line}, not {found:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    proptest::proptest! {
        /// Whatever is written: it ends, with a number or an error.
        #[test]
        fn any_text_ends(text in "([0-9a-z.()+*/%<>=!~&|^, -]|<<|\\*\\*|ban\\.Time|ban\\.Count|1e308|max\\(|math\\.exp\\(| if | else ){0,60}") {
            let _ = value(&text);
        }
    }

    #[test]
    fn what_is_no_formula_is_refused() {
        for text in [
            "",
            "1 +",
            "(1",
            "1)",
            "1 2",
            "01",
            "1x",
            "1 if 2",
            "max(1",
            "max(1 2)",
            "if",
            "a.b(",
            "__import__('os')",
            "ban.Time.__class__",
            "[1]",
            "lambda: 1",
            "1; 2",
            "max(1)",
            "\"x\"",
        ] {
            assert!(Formula::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            value("x + 1").unwrap_err().to_string(),
            "name 'x' is not defined"
        );
        assert!(Formula::parse(&"(".repeat(1000)).is_err());
        assert!(Formula::parse(&format!("{}1", "2**".repeat(500))).is_err());
        for text in [
            "1/0",
            "1 % 0",
            "math.exp(10000)",
            "math.log(0)",
            "math.sqrt(-1)",
            "1 << -1",
            "1.5 << 2",
        ] {
            assert!(
                matches!(value(text), Err(FormulaError::Arithmetic(_))),
                "{text}"
            );
        }
    }
}
