//! Parses the expressions of a template as Jinja2's `parser.py` does. Each function parses one level of precedence.

use super::{
    ast::{CallArguments, Expr, ExprId},
    lexer::TokenKind,
    parser::Parser,
    render_error::{RenderError, Result},
    value::PyValue,
};

impl Parser {
    /// Adds an expression to the syntax tree.
    pub(super) fn push(&mut self, expression: Expr) -> ExprId {
        self.expressions.push(expression);
        self.expressions.len() - 1
    }

    /// Parses one expression, or several with commas between them, which make a tuple.
    pub(super) fn tuple(&mut self, with_condition: bool, ends: &[&str]) -> Result<ExprId> {
        let (mut values, mut is_tuple) = (Vec::new(), false);
        loop {
            let at_end = matches!(self.kind(), TokenKind::VariableEnd | TokenKind::BlockEnd)
                || self.is_sign(")")
                || ends.iter().any(|end| self.is_name(end));
            if at_end {
                break;
            }
            values.push(if with_condition { self.expression()? } else { self.disjunction()? });
            if !self.skip_sign(",") {
                break;
            }
            is_tuple = true;
        }
        match values[..] {
            [one] if !is_tuple => Ok(one),
            [] => Err(self.unexpected("an expression")),
            _ => Ok(self.push(Expr::Tuple(values))),
        }
    }

    /// Parses one expression, without a tuple at the top level.
    pub(super) fn expression(&mut self) -> Result<ExprId> {
        self.descend(|parser| {
            let mut yes = parser.disjunction()?;
            while parser.skip_name("if") {
                let test = parser.disjunction()?;
                let no = if parser.skip_name("else") { Some(parser.expression()?) } else { None };
                yes = parser.push(Expr::Conditional { test, yes, no });
            }
            Ok(yes)
        })
    }

    fn disjunction(&mut self) -> Result<ExprId> {
        let mut left = self.conjunction()?;
        while self.skip_name("or") {
            let right = self.conjunction()?;
            left = self.push(Expr::Or(left, right));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<ExprId> {
        let mut left = self.negation()?;
        while self.skip_name("and") {
            let right = self.negation()?;
            left = self.push(Expr::And(left, right));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<ExprId> {
        if self.skip_name("not") {
            let value = self.descend(Self::negation)?;
            return Ok(self.push(Expr::Not(value)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<ExprId> {
        let first = self.sum()?;
        let mut others = Vec::new();
        loop {
            let sign = match self.kind() {
                TokenKind::Sign(sign @ ("==" | "!=" | "<" | "<=" | ">" | ">=")) => *sign,
                TokenKind::Name(name) if **name == *"in" => "in",
                TokenKind::Name(name)
                    if **name == *"not"
                        && matches!(self.next_kind(), Some(TokenKind::Name(next)) if **next == *"in") =>
                {
                    self.advance();
                    "not in"
                }
                _ => break,
            };
            self.advance();
            others.push((sign, self.sum()?));
        }
        if others.is_empty() {
            return Ok(first);
        }
        Ok(self.push(Expr::Compare(first, others)))
    }

    /// Parses one level of binary, left-associative operators.
    fn operators(
        &mut self,
        signs: &[&'static str],
        operand: fn(&mut Self) -> Result<ExprId>,
    ) -> Result<ExprId> {
        let mut left = operand(self)?;
        while let Some(sign) = signs.iter().find(|sign| self.is_sign(sign)) {
            self.advance();
            let right = operand(self)?;
            left = self.push(Expr::Binary(sign, left, right));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<ExprId> {
        self.operators(&["+", "-"], Self::concatenation)
    }

    fn concatenation(&mut self) -> Result<ExprId> {
        let mut values = vec![self.product()?];
        while self.skip_sign("~") {
            values.push(self.product()?);
        }
        match values[..] {
            [one] => Ok(one),
            _ => Ok(self.push(Expr::Concat(values))),
        }
    }

    fn product(&mut self) -> Result<ExprId> {
        self.operators(&["*", "/", "//", "%"], Self::power)
    }

    /// Parses powers. They are left-associative in Jinja2, unlike in Python.
    fn power(&mut self) -> Result<ExprId> {
        self.operators(&["**"], |parser| parser.unary(true))
    }

    fn unary(&mut self, with_filter: bool) -> Result<ExprId> {
        let sign = ["-", "+"].into_iter().find(|sign| self.is_sign(sign));
        let value = match sign {
            Some(sign) => {
                self.advance();
                let value = self.descend(|parser| parser.unary(false))?;
                self.push(Expr::Sign(sign, value))
            }
            None => self.primary()?,
        };
        let value = self.postfix(value)?;
        if !with_filter {
            return Ok(value);
        }
        self.filters_and_tests(value)
    }

    fn filters_and_tests(&mut self, mut value: ExprId) -> Result<ExprId> {
        loop {
            if self.is_sign("|") {
                value = self.filters(value, false)?;
            } else if self.skip_name("is") {
                value = self.test(value)?;
            } else if self.is_sign("(") {
                let arguments = self.arguments()?;
                value = self.push(Expr::Call(value, arguments));
            } else {
                return Ok(value);
            }
        }
    }

    fn primary(&mut self) -> Result<ExprId> {
        let constant = match self.kind().clone() {
            TokenKind::Name(name) => {
                self.advance();
                match &*name {
                    "true" | "True" => PyValue::Bool(true),
                    "false" | "False" => PyValue::Bool(false),
                    "none" | "None" => PyValue::None,
                    _ => {
                        self.record_special_name(&name);
                        return Ok(self.push(Expr::Name(name)));
                    }
                }
            }
            TokenKind::Str(first) => {
                self.advance();
                let mut text = first.to_string();
                while let TokenKind::Str(more) = self.kind() {
                    text.push_str(more);
                    self.advance();
                }
                PyValue::from(text)
            }
            TokenKind::Int(value) => {
                self.advance();
                PyValue::Int(value)
            }
            TokenKind::Float(value) => {
                self.advance();
                PyValue::Float(value)
            }
            TokenKind::Sign("(") => {
                self.advance();
                if self.skip_sign(")") {
                    return Ok(self.push(Expr::Tuple(Vec::new())));
                }
                let value = self.tuple(true, &[])?;
                self.expect_sign(")")?;
                return Ok(value);
            }
            TokenKind::Sign("[") => {
                self.advance();
                let values = self.separated_until("]", Self::expression)?;
                return Ok(self.push(Expr::List(values)));
            }
            TokenKind::Sign("{") => {
                self.advance();
                let entries = self.separated_until("}", |parser| {
                    let key = parser.expression()?;
                    parser.expect_sign(":")?;
                    Ok((key, parser.expression()?))
                })?;
                return Ok(self.push(Expr::Dict(entries)));
            }
            _ => return Err(self.unexpected("an expression")),
        };
        Ok(self.push(Expr::Const(constant)))
    }

    /// Parses parts with commas between them, up to the delimiter `end`.
    fn separated_until<T>(
        &mut self,
        end: &str,
        part: fn(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut parts = Vec::new();
        loop {
            if self.skip_sign(end) {
                return Ok(parts);
            }
            if !parts.is_empty() {
                self.expect_sign(",")?;
                if self.skip_sign(end) {
                    return Ok(parts);
                }
            }
            parts.push(part(self)?);
        }
    }

    fn postfix(&mut self, mut value: ExprId) -> Result<ExprId> {
        loop {
            if self.skip_sign(".") {
                value = match self.advance() {
                    TokenKind::Name(name) => self.push(Expr::Attribute(value, name)),
                    TokenKind::Int(index) => {
                        let index = self.push(Expr::Const(PyValue::Int(index)));
                        self.push(Expr::Item(value, index))
                    }
                    _ => return Err(RenderError::invalid("expected name or number")),
                };
            } else if self.skip_sign("[") {
                value = self.subscript(value)?;
            } else if self.is_sign("(") {
                let arguments = self.arguments()?;
                value = self.push(Expr::Call(value, arguments));
            } else {
                return Ok(value);
            }
        }
    }

    /// Parses an index or a slice after its opening bracket.
    fn subscript(&mut self, value: ExprId) -> Result<ExprId> {
        let mut bounds = [None; 3];
        let mut part = 0;
        loop {
            if self.skip_sign(":") {
                part += 1;
                if part == 3 {
                    return Err(self.unexpected("']'"));
                }
            } else if self.skip_sign("]") {
                break;
            } else if bounds[part].is_some() || self.is_sign(",") {
                return Err(RenderError::unsupported("an index with commas"));
            } else {
                bounds[part] = Some(self.expression()?);
            }
        }
        match (part, bounds[0]) {
            (0, Some(index)) => Ok(self.push(Expr::Item(value, index))),
            (0, None) => {
                let index = self.push(Expr::Tuple(Vec::new()));
                Ok(self.push(Expr::Item(value, index)))
            }
            _ => Ok(self.push(Expr::Slice(value, bounds))),
        }
    }

    fn arguments(&mut self) -> Result<CallArguments> {
        self.expect_sign("(")?;
        let mut all = CallArguments::default();
        let wrong = || RenderError::invalid("invalid syntax for function call expression");
        let mut is_first = true;
        while !self.is_sign(")") {
            if !is_first {
                self.expect_sign(",")?;
                if self.is_sign(")") {
                    break;
                }
            }
            is_first = false;
            let next_is_value = matches!(self.next_kind(), Some(TokenKind::Sign("=")));
            if self.skip_sign("*") {
                if all.unpacked.is_some() || all.unpacked_named.is_some() {
                    return Err(wrong());
                }
                all.unpacked = Some(self.expression()?);
            } else if self.skip_sign("**") {
                if all.unpacked_named.is_some() {
                    return Err(wrong());
                }
                all.unpacked_named = Some(self.expression()?);
            } else if matches!(self.kind(), TokenKind::Name(_)) && next_is_value {
                if all.unpacked_named.is_some() {
                    return Err(wrong());
                }
                let name = self.expect_name()?;
                self.advance();
                all.named.push((name, self.expression()?));
            } else if all.unpacked.is_some()
                || all.unpacked_named.is_some()
                || !all.named.is_empty()
            {
                return Err(wrong());
            } else {
                all.positional.push(self.expression()?);
            }
        }
        self.advance();
        Ok(all)
    }

    /// Parses a chain of filters. The first filter of a block tag has no `|` before it.
    pub(super) fn filters(&mut self, mut value: ExprId, is_block: bool) -> Result<ExprId> {
        let mut has_bar = is_block;
        while has_bar || self.skip_sign("|") {
            has_bar = false;
            let name = self.dotted_name()?;
            let arguments =
                if self.is_sign("(") { self.arguments()? } else { CallArguments::default() };
            value = self.push(Expr::Filter(value, name, arguments));
        }
        Ok(value)
    }

    fn dotted_name(&mut self) -> Result<std::rc::Rc<str>> {
        let mut name = self.expect_name()?.to_string();
        while self.skip_sign(".") {
            name = format!("{name}.{}", self.expect_name()?);
        }
        Ok(name.into())
    }

    /// Parses a test after its `is`.
    fn test(&mut self, value: ExprId) -> Result<ExprId> {
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        let takes_value = match self.kind() {
            TokenKind::Name(next) => !["else", "or", "and"].contains(&&**next),
            TokenKind::Str(_) | TokenKind::Int(_) | TokenKind::Float(_) => true,
            TokenKind::Sign(sign) => ["[", "{"].contains(sign),
            _ => false,
        };
        let arguments = if self.is_sign("(") {
            self.arguments()?
        } else if takes_value {
            if self.is_name("is") {
                return Err(RenderError::invalid("You cannot chain multiple tests with is"));
            }
            let value = self.primary()?;
            CallArguments { positional: vec![self.postfix(value)?], ..CallArguments::default() }
        } else {
            CallArguments::default()
        };
        let test = self.push(Expr::Test(value, name, arguments));
        Ok(if negated { self.push(Expr::Not(test)) } else { test })
    }
}
