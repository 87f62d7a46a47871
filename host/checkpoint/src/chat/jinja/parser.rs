//! Parses the statements of a template as Jinja2's `parser.py` does. `expressions` parses the expressions.

use super::{
    ast::{AssignmentTarget, Expr, ExprId, For, Macro, Node, SpecialNames, Statement, Syntax},
    lexer::{Token, TokenKind, tokens},
    render_error::{RenderError, Result},
};
use std::rc::Rc;

/// Deepest nesting that is parsed. Each level of parentheses takes a dozen nested calls of the parser, and the limit
/// keeps them within the stack.
const MAX_NESTING: usize = 150;

/// Tags of Jinja2 that are refused. They load other templates or escape text, which no chat template needs.
const UNSUPPORTED_TAGS: [&str; 6] = ["extends", "block", "include", "import", "from", "autoescape"];

pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// The number of enclosing loops that `break` can leave, which are those inside the innermost macro or block.
    loops: usize,
    /// The special names found so far in each enclosing macro.
    special: Vec<SpecialNames>,
    pub(super) expressions: Vec<Expr>,
}

/// Parses a template.
pub(super) fn parse(template: &str) -> Result<Syntax> {
    let mut parser = Parser {
        tokens: tokens(template)?,
        at: 0,
        depth: 0,
        loops: 0,
        special: Vec::new(),
        expressions: Vec::new(),
    };
    let body = parser.body(&[]).map_err(|error| error.with_line(parser.line()))?;
    Ok(Syntax { body, expressions: parser.expressions })
}

impl Parser {
    pub(super) fn kind(&self) -> &TokenKind {
        &self.tokens[self.at].kind
    }

    pub(super) fn next_kind(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at + 1).map(|token| &token.kind)
    }

    fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    /// Returns the current token and moves to the next. It never moves past the last token.
    pub(super) fn advance(&mut self) -> TokenKind {
        let kind = self.kind().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        kind
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.kind(), TokenKind::Sign(found) if *found == sign)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.kind(), TokenKind::Name(found) if **found == *name)
    }

    pub(super) fn skip_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.advance();
        }
        found
    }

    /// The error for the current token where something else is expected.
    pub(super) fn unexpected(&self, expected: &str) -> RenderError {
        let found = match self.kind() {
            TokenKind::Data(_) => "text".to_owned(),
            TokenKind::VariableBegin => "'{{'".to_owned(),
            TokenKind::VariableEnd => "'}}'".to_owned(),
            TokenKind::BlockBegin => "'{%'".to_owned(),
            TokenKind::BlockEnd => "'%}'".to_owned(),
            TokenKind::Name(name) => format!("'{name}'"),
            TokenKind::Str(_) => "a string".to_owned(),
            TokenKind::Int(value) => format!("'{value}'"),
            TokenKind::Float(value) => format!("'{value}'"),
            TokenKind::Sign(sign) => format!("'{sign}'"),
            TokenKind::End => "the template's end".to_owned(),
        };
        RenderError::invalid(format!("expected {expected}, found {found}")).with_line(self.line())
    }

    pub(super) fn expect_sign(&mut self, sign: &str) -> Result<()> {
        if self.skip_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("'{sign}'"))) }
    }

    pub(super) fn expect_name(&mut self) -> Result<Rc<str>> {
        match self.kind().clone() {
            TokenKind::Name(name) => {
                self.advance();
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// Runs a part of the parser one nesting level deeper. Fails beyond [`MAX_NESTING`].
    pub(super) fn descend<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_NESTING {
            let deep = format!("it nests more than {MAX_NESTING} deep");
            return Err(RenderError::unsupported(deep).with_line(self.line()));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// Records the use of a special name in all enclosing macros.
    pub(super) fn record_special_name(&mut self, name: &str) {
        for special in &mut self.special {
            match name {
                "caller" => special.caller = true,
                "varargs" => special.varargs = true,
                "kwargs" => special.kwargs = true,
                _ => {}
            }
        }
    }

    /// Parses statements up to a tag with one of these names. The name of that tag is then the current token. Without
    /// names it parses to the end of the template.
    fn body(&mut self, ends: &[&str]) -> Result<Vec<Node>> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            let statement = match self.advance() {
                TokenKind::Data(text) => Statement::Text(text),
                TokenKind::VariableBegin => {
                    let value = self.tuple(true, &[])?;
                    if !matches!(self.advance(), TokenKind::VariableEnd) {
                        self.at -= 1;
                        return Err(self.unexpected("'}}'"));
                    }
                    Statement::Print(value)
                }
                TokenKind::BlockBegin => {
                    if ends.iter().any(|end| self.is_name(end)) {
                        return Ok(body);
                    }
                    let statement = self.descend(Self::statement)?;
                    self.expect_block_end()?;
                    match statement {
                        Some(statement) => statement,
                        None => continue,
                    }
                }
                _ if ends.is_empty() => return Ok(body),
                _ => return Err(self.unexpected(&format!("'{{% {} %}}'", ends.join("' or '")))),
            };
            body.push(Node { line, statement });
        }
    }

    fn expect_block_end(&mut self) -> Result<()> {
        if *self.kind() != TokenKind::BlockEnd {
            return Err(self.unexpected("'%}'"));
        }
        self.advance();
        Ok(())
    }

    /// Parses the end of a tag, and the statements up to a tag with one of these names.
    fn block(&mut self, ends: &[&str]) -> Result<Vec<Node>> {
        self.skip_sign(":");
        self.expect_block_end()?;
        self.body(ends)
    }

    /// Parses the end of a tag, the statements up to the tag `end`, and the name of that tag.
    fn block_to_end(&mut self, end: &str) -> Result<Vec<Node>> {
        let body = self.block(&[end])?;
        self.advance();
        Ok(body)
    }

    /// Parses a block like [`Self::block_to_end`], and refuses a `break` out of the block. Jinja2 compiles such a block
    /// to a function of its own.
    fn isolated_block(&mut self, end: &str) -> Result<Vec<Node>> {
        let loops = std::mem::take(&mut self.loops);
        let body = self.block_to_end(end);
        self.loops = loops;
        body
    }

    fn statement(&mut self) -> Result<Option<Statement>> {
        let line = self.line();
        let tag = self.expect_name()?;
        Ok(Some(match &*tag {
            "set" => self.set()?,
            "for" => self.for_loop()?,
            "if" => self.branches()?,
            "with" => self.with()?,
            "macro" => Statement::Macro(self.macro_definition()?),
            "call" => self.call_block()?,
            "filter" => {
                let captured = self.push(Expr::Captured);
                let filter = self.filters(captured, true)?;
                Statement::FilterBlock(filter, self.isolated_block("endfilter")?)
            }
            "generation" => Statement::Generation(self.isolated_block("endgeneration")?),
            "print" => return self.print().map(Some),
            "break" | "continue" if self.loops == 0 => {
                return Err(RenderError::invalid(format!("'{tag}' outside loop")).with_line(line));
            }
            "break" => Statement::Break,
            "continue" => Statement::Continue,
            other if UNSUPPORTED_TAGS.contains(&other) => {
                return Err(RenderError::unsupported(format!("the tag '{other}'")).with_line(line));
            }
            other => {
                return Err(RenderError::invalid(format!("unknown tag '{other}'")).with_line(line));
            }
        }))
    }

    fn print(&mut self) -> Result<Statement> {
        let mut values = Vec::new();
        while *self.kind() != TokenKind::BlockEnd {
            if !values.is_empty() {
                self.expect_sign(",")?;
            }
            values.push(self.expression()?);
        }
        Ok(Statement::Print(self.push(Expr::Concat(values))))
    }

    fn set(&mut self) -> Result<Statement> {
        let target = self.target(true, &[])?;
        if self.skip_sign("=") {
            return Ok(Statement::Set(target, self.tuple(true, &[])?));
        }
        let filter = if self.is_sign("|") {
            let captured = self.push(Expr::Captured);
            Some(self.filters(captured, false)?)
        } else {
            None
        };
        Ok(Statement::SetBlock(target, filter, self.isolated_block("endset")?))
    }

    fn for_loop(&mut self) -> Result<Statement> {
        let target = self.target(false, &["in"])?;
        if !self.skip_name("in") {
            return Err(self.unexpected("'in'"));
        }
        let over = self.tuple(false, &["recursive"])?;
        let test = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        self.loops += 1;
        let body = self.block(&["endfor", "else"]);
        self.loops -= 1;
        let body = body?;
        let otherwise = match self.skip_name("else") {
            true => self.block_to_end("endfor")?,
            false => {
                self.advance();
                Vec::new()
            }
        };
        Ok(Statement::For(Rc::new(For { target, over, test, recursive, body, otherwise })))
    }

    fn branches(&mut self) -> Result<Statement> {
        let mut branches = Vec::new();
        loop {
            let test = self.tuple(false, &[])?;
            branches.push((test, self.block(&["elif", "else", "endif"])?));
            if self.skip_name("elif") {
                continue;
            }
            if self.skip_name("else") {
                return Ok(Statement::If(branches, self.block_to_end("endif")?));
            }
            self.advance();
            return Ok(Statement::If(branches, Vec::new()));
        }
    }

    fn with(&mut self) -> Result<Statement> {
        let mut values = Vec::new();
        while *self.kind() != TokenKind::BlockEnd {
            if !values.is_empty() {
                self.expect_sign(",")?;
            }
            let target = self.target(false, &[])?;
            self.expect_sign("=")?;
            values.push((target, self.expression()?));
        }
        Ok(Statement::With(values, self.block_to_end("endwith")?))
    }

    fn call_block(&mut self) -> Result<Statement> {
        self.special.push(SpecialNames::default());
        let (parameters, defaults) =
            if self.is_sign("(") { self.signature()? } else { Default::default() };
        let line = self.line();
        let call = self.expression()?;
        if !matches!(self.expressions[call], Expr::Call(..)) {
            return Err(RenderError::invalid("expected call").with_line(line));
        }
        let body = self.isolated_block("endcall")?;
        let special = self.special.pop().unwrap_or_default();
        let caller = Macro { name: "caller".into(), parameters, defaults, body, special };
        Ok(Statement::Call(call, Rc::new(caller)))
    }

    fn macro_definition(&mut self) -> Result<Rc<Macro>> {
        let name = self.expect_name()?;
        self.special.push(SpecialNames::default());
        let (parameters, defaults) = self.signature()?;
        let body = self.isolated_block("endmacro")?;
        let special = self.special.pop().unwrap_or_default();
        Ok(Rc::new(Macro { name, parameters, defaults, body, special }))
    }

    fn signature(&mut self) -> Result<(Vec<Rc<str>>, Vec<ExprId>)> {
        let (mut parameters, mut defaults) = (Vec::new(), Vec::new());
        self.expect_sign("(")?;
        while !self.is_sign(")") {
            if !parameters.is_empty() {
                self.expect_sign(",")?;
            }
            parameters.push(self.expect_name()?);
            if self.skip_sign("=") {
                defaults.push(self.expression()?);
            } else if !defaults.is_empty() {
                return Err(RenderError::invalid("non-default argument follows default argument"));
            }
        }
        self.advance();
        Ok((parameters, defaults))
    }

    /// Parses the left side of an assignment, up to one of these names.
    fn target(&mut self, with_attribute: bool, ends: &[&str]) -> Result<AssignmentTarget> {
        self.descend(|parser| {
            let (mut targets, mut is_tuple) = (Vec::new(), false);
            loop {
                let at_end = parser.is_sign(")") || ends.iter().any(|end| parser.is_name(end));
                if is_tuple && (at_end || *parser.kind() == TokenKind::BlockEnd) {
                    break;
                }
                targets.push(parser.single_target(with_attribute)?);
                if !parser.is_sign(",") {
                    break;
                }
                // In `with` a comma begins the next assignment.
                parser.advance();
                is_tuple = true;
            }
            match targets.pop() {
                Some(one) if !is_tuple => Ok(one),
                last => {
                    targets.extend(last);
                    Ok(AssignmentTarget::Tuple(targets))
                }
            }
        })
    }

    fn single_target(&mut self, with_attribute: bool) -> Result<AssignmentTarget> {
        if self.skip_sign("(") {
            let inner = self.target(with_attribute, &[])?;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        let line = self.line();
        let name = self.expect_name()?;
        if ["true", "false", "none", "True", "False", "None"].contains(&&*name) {
            return Err(RenderError::invalid("can't assign to 'const'").with_line(line));
        }
        if with_attribute && self.skip_sign(".") {
            return Ok(AssignmentTarget::Attribute(name, self.expect_name()?));
        }
        Ok(AssignmentTarget::Name(name))
    }
}
