//! Parses a formula into an expression, with the precedence of Python's grammar.
#![forbid(unsafe_code)]

use super::functions;
use super::{FormulaError, FormulaExpr, Operator};
use crate::python::Number::{Float, Int};

/// Expressions nest no deeper than this.
const DEEPEST: usize = 40;

/// Binary operators by precedence, loosest first; comparisons, signs and powers are read apart.
const LEVELS: [&[Operator]; 6] = [
    &["|"],
    &["^"],
    &["&"],
    &["<<", ">>"],
    &["+", "-"],
    &["//", "*", "/", "%"],
];

const COMPARISONS: &[Operator] = &["<=", ">=", "==", "!=", "<", ">"];

/// Reads a formula from the left.
pub(super) struct FormulaParser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> FormulaParser<'a> {
    /// At the beginning of the text.
    pub fn new(text: &'a str) -> FormulaParser<'a> {
        FormulaParser {
            text,
            at: 0,
            depth: 0,
        }
    }

    /// What is left, from the next word on.
    pub fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    /// The error at this place.
    pub fn syntax(&self) -> FormulaError {
        FormulaError::Syntax {
            text: self.text.to_owned(),
            at: self.at,
        }
    }

    /// Takes one of these operators if it comes next.
    fn accept(&mut self, operators: &[Operator]) -> Option<Operator> {
        let rest = self.rest();
        let found = operators.iter().find(|operator| {
            let double = |operator| rest.starts_with(operator);
            let longer = (**operator == "*" && double("**"))
                || (**operator == "/" && double("//"))
                || (**operator == "<" && double("<<"))
                || (**operator == ">" && double(">>"));
            rest.starts_with(**operator) && !longer
        })?;
        self.at += found.len();
        Some(found)
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.')
            .unwrap_or(rest.len());
        &rest[..end]
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.word() == word;
        if found {
            self.at += word.len();
        }
        found
    }

    /// A whole expression.
    ///
    /// # Errors
    /// What is none.
    pub fn conditional(&mut self) -> Result<FormulaExpr, FormulaError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.syntax());
        }
        let mut value = self.either()?;
        if self.accept_word("if") {
            let condition = self.either()?;
            if !self.accept_word("else") {
                return Err(self.syntax());
            }
            value = FormulaExpr::If(Box::new([value, condition, self.conditional()?]));
        }
        self.depth -= 1;
        Ok(value)
    }

    fn either(&mut self) -> Result<FormulaExpr, FormulaError> {
        let mut left = self.both()?;
        while self.accept_word("or") {
            left = FormulaExpr::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<FormulaExpr, FormulaError> {
        let mut left = self.negation()?;
        while self.accept_word("and") {
            left = FormulaExpr::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<FormulaExpr, FormulaError> {
        let mut negations = 0;
        while self.accept_word("not") {
            negations += 1;
        }
        let mut value = self.comparison()?;
        for _ in 0..negations.min(2 + negations % 2) {
            value = FormulaExpr::Not(Box::new(value));
        }
        Ok(value)
    }

    fn comparison(&mut self) -> Result<FormulaExpr, FormulaError> {
        let first = self.binary(0)?;
        let mut others = Vec::new();
        while let Some(operator) = self.accept(COMPARISONS) {
            others.push((operator, self.binary(0)?));
        }
        Ok(match others.is_empty() {
            true => first,
            false => FormulaExpr::Compare(Box::new(first), others),
        })
    }

    fn binary(&mut self, level: usize) -> Result<FormulaExpr, FormulaError> {
        let Some(operators) = LEVELS.get(level) else {
            return self.signed();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.accept(operators) {
            let right = self.binary(level + 1)?;
            left = FormulaExpr::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<FormulaExpr, FormulaError> {
        let mut signs = Vec::new();
        while let Some(sign) = self.accept(&["+", "-", "~"]) {
            signs.push(sign);
        }
        // a power binds closer than the sign before it, but not than the one in its exponent
        let mut value = self.atom()?;
        if self.accept(&["**"]).is_some() {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(self.syntax());
            }
            let exponent = self.signed()?;
            self.depth -= 1;
            value = FormulaExpr::Binary("**", Box::new(value), Box::new(exponent));
        }
        // Two minus signs undo each other; a long row of signs must not nest as deep.
        let mut signs = signs
            .into_iter()
            .rev()
            .filter(|sign| *sign != "+")
            .peekable();
        let depth = self.depth;
        while let Some(sign) = signs.next() {
            if signs.next_if_eq(&sign).is_some() {
                continue;
            }
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(self.syntax());
            }
            value = match sign {
                "-" => FormulaExpr::Negative(Box::new(value)),
                _ => FormulaExpr::Inverted(Box::new(value)),
            };
        }
        self.depth = depth;
        Ok(value)
    }

    fn atom(&mut self) -> Result<FormulaExpr, FormulaError> {
        if self.accept(&["("]).is_some() {
            let inner = self.conditional()?;
            return match self.accept(&[")"]) {
                Some(_) => Ok(inner),
                None => Err(self.syntax()),
            };
        }
        let word = self.word();
        if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number();
        }
        if word.is_empty() {
            return Err(self.syntax());
        }
        let begin = self.at;
        self.at += word.len();
        let value = match word {
            "ban.Time" => FormulaExpr::Time,
            "ban.Count" => FormulaExpr::Count,
            "banFactor" => FormulaExpr::Factor,
            "math.pi" => FormulaExpr::Number(Float(std::f64::consts::PI)),
            "math.tau" => FormulaExpr::Number(Float(std::f64::consts::TAU)),
            "math.e" => FormulaExpr::Number(Float(std::f64::consts::E)),
            "True" => FormulaExpr::Number(Int(1)),
            "False" => FormulaExpr::Number(Int(0)),
            "if" | "else" | "and" | "or" | "not" => {
                self.at = begin;
                return Err(self.syntax());
            }
            name => return self.call(name),
        };
        Ok(value)
    }

    fn number(&mut self) -> Result<FormulaExpr, FormulaError> {
        let rest = self.rest();
        if let Some((number, length)) = radix_number(rest) {
            self.at += length;
            return Ok(FormulaExpr::Number(Int(number)));
        }
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut end = digits(rest);
        let mut whole = true;
        if rest[end..].starts_with('.') {
            whole = false;
            end += 1 + digits(&rest[end + 1..]);
        }
        if let Some(exponent) = rest[end..].strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            let count = digits(&exponent[sign..]);
            if count > 0 {
                whole = false;
                end += 1 + sign + count;
            }
        }
        let text = &rest[..end];
        let leading_zero = whole && text.len() > 1 && text.starts_with('0');
        let number = match text.parse() {
            Ok(number) if whole && !leading_zero => Some(Int(number)),
            _ if leading_zero => None,
            _ => text.parse().ok().map(Float),
        };
        let glued = rest[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
        match number {
            Some(number) if !glued => {
                self.at += end;
                Ok(FormulaExpr::Number(number))
            }
            _ => Err(self.syntax()),
        }
    }

    fn call(&mut self, name: &str) -> Result<FormulaExpr, FormulaError> {
        let function = functions::find(name).ok_or_else(|| FormulaError::Name(name.to_owned()))?;
        if self.accept(&["("]).is_none() {
            return Err(self.syntax());
        }
        let mut arguments = Vec::new();
        while self.accept(&[")"]).is_none() {
            arguments.push(self.conditional()?);
            let more = self.accept(&[","]).is_some();
            if !more && !self.rest().starts_with(')') {
                return Err(self.syntax());
            }
        }
        match arguments.len() {
            count if (function.1..=function.2).contains(&count) => {
                Ok(FormulaExpr::Call(function, arguments))
            }
            count => Err(FormulaError::Arguments(name.to_owned(), count)),
        }
    }
}

/// A number like `0x1f`, `0o17`, `0b101` at the beginning, and its length.
fn radix_number(text: &str) -> Option<(i64, usize)> {
    let radix = match text.get(..2)?.to_ascii_lowercase().as_str() {
        "0x" => 16,
        "0o" => 8,
        "0b" => 2,
        _ => return None,
    };
    let end = text
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(text.len());
    let number = i64::from_str_radix(&text[2..end], radix).ok()?;
    Some((number, end))
}
