//! Splits a template into tokens as Jinja2's `lexer.py` does. transformers sets `trim_blocks` and `lstrip_blocks`: the
//! newline after a block tag is removed, and so is white space before a block tag that is the first on its line.

use super::{
    render_error::{RenderError, Result},
    string_escapes::unescape,
};
use std::rc::Rc;

/// A token and the line on which it begins, counted from 1.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) line: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// Text between tags.
    Data(Rc<str>),
    VariableBegin,
    VariableEnd,
    /// `{%`.
    BlockBegin,
    /// `%}`.
    BlockEnd,
    Name(Rc<str>),
    Str(Rc<str>),
    Int(i128),
    Float(f64),
    Sign(&'static str),
    End,
}

/// All operators and delimiters. Longer ones come first because the first match is taken.
const SIGNS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",", ";",
];

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: u32,
    /// Whether the position is at the beginning of a line.
    line_begins: bool,
    tokens: Vec<Token>,
}

/// Splits a template into tokens. The last token is [`TokenKind::End`].
pub(super) fn tokens(template: &str) -> Result<Vec<Token>> {
    let source = template.replace("\r\n", "\n").replace('\r', "\n");
    let source = source.strip_suffix('\n').unwrap_or(&source);
    let mut lexer = Lexer { source, at: 0, line: 1, line_begins: true, tokens: Vec::new() };
    lexer.run().map_err(|error| error.with_line(lexer.line))?;
    Ok(lexer.tokens)
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn push(&mut self, kind: TokenKind) {
        self.tokens.push(Token { kind, line: self.line });
    }

    /// Moves forward by this number of bytes, and returns the text that was passed.
    fn advance(&mut self, bytes: usize) -> &'s str {
        let passed = &self.rest()[..bytes];
        self.at += bytes;
        self.line += passed.matches('\n').count() as u32;
        self.line_begins = passed.ends_with('\n') || passed.is_empty() && self.line_begins;
        passed
    }

    fn skip_spaces(&mut self) {
        let spaces = self.rest().len() - self.rest().trim_start_matches(is_space).len();
        self.advance(spaces);
    }

    fn run(&mut self) -> Result<()> {
        while let Some(begin) = next_tag(self.rest()) {
            let tag = &self.rest()[begin..begin + 2];
            let after = &self.rest()[begin + 2..];
            let sign = after.chars().next().filter(|sign| "-+".contains(*sign));
            self.data(begin, sign, tag == "{{");
            self.advance(2 + usize::from(sign.is_some()));
            match tag {
                "{#" => self.comment()?,
                "{{" => self.code(TokenKind::VariableBegin, "}}", TokenKind::VariableEnd)?,
                _ => match raw_begin(self.rest()) {
                    Some(length) => {
                        self.advance(length);
                        self.raw()?;
                    }
                    None => self.code(TokenKind::BlockBegin, "%}", TokenKind::BlockEnd)?,
                },
            }
        }
        let text = self.rest();
        if !text.is_empty() {
            self.push(TokenKind::Data(text.into()));
        }
        self.advance(text.len());
        self.push(TokenKind::End);
        Ok(())
    }

    /// Reads the text before a tag, which begins after `length` bytes. `sign` is the `-` or `+` after the tag's opening
    /// delimiter: `-` removes all white space before the tag, `+` keeps it.
    fn data(&mut self, length: usize, sign: Option<char>, is_variable: bool) {
        let text = &self.rest()[..length];
        let line_begin = text.rfind('\n').map_or(0, |at| at + 1);
        let own_line = line_begin > 0 || self.line_begins;
        let kept = match sign {
            Some('-') => text.trim_end_matches(is_space),
            None if !is_variable && own_line && text[line_begin..].chars().all(is_space) => {
                &text[..line_begin]
            }
            _ => text,
        };
        if !kept.is_empty() {
            self.push(TokenKind::Data(kept.into()));
        }
        self.advance(length);
    }

    /// Moves past a closing delimiter of `tag` bytes, and past the white space that is removed with it.
    fn end(&mut self, sign: Option<char>, tag: usize) {
        let sign_length = usize::from(sign.is_some());
        self.advance(sign_length + tag);
        match sign {
            Some('-') => self.skip_spaces(),
            None if self.rest().starts_with('\n') => {
                self.advance(1);
            }
            _ => {}
        }
    }

    fn comment(&mut self) -> Result<()> {
        let Some(end) = self.rest().find("#}") else {
            return Err(RenderError::invalid("Missing end of comment tag"));
        };
        let sign = self.rest()[..end].chars().next_back().filter(|sign| "-+".contains(*sign));
        self.advance(end - usize::from(sign.is_some()));
        self.end(sign, 2);
        Ok(())
    }

    fn raw(&mut self) -> Result<()> {
        let missing = || RenderError::invalid("Missing end of raw directive");
        let mut from = 0;
        loop {
            let begin = from + self.rest()[from..].find("{%").ok_or_else(missing)?;
            let after = &self.rest()[begin + 2..];
            let sign = after.chars().next().filter(|sign| "-+".contains(*sign));
            let word = after[usize::from(sign.is_some())..].trim_start_matches(is_space);
            let Some(end) = word.strip_prefix("endraw") else {
                from = begin + 2;
                continue;
            };
            let end = end.trim_start_matches(is_space);
            let end_sign = end.chars().next().filter(|sign| "-+".contains(*sign));
            if !end[usize::from(end_sign.is_some())..].starts_with("%}") {
                from = begin + 2;
                continue;
            }
            self.data(begin, sign, false);
            self.advance(self.rest().len() - end.len());
            self.end(end_sign, 2);
            return Ok(());
        }
    }

    /// Reads the tokens of a variable or block tag up to its closing delimiter.
    fn code(&mut self, begin: TokenKind, end: &str, end_kind: TokenKind) -> Result<()> {
        let is_block = end == "%}";
        self.push(begin);
        let mut open = Vec::new();
        loop {
            if open.is_empty() {
                let sign =
                    self.rest().chars().next().filter(|c| *c == '-' || *c == '+' && is_block);
                if self.rest()[usize::from(sign.is_some())..].starts_with(end) {
                    self.push(end_kind);
                    if is_block {
                        self.end(sign, 2);
                    } else {
                        self.advance(2 + usize::from(sign.is_some()));
                        if sign.is_some() {
                            self.skip_spaces();
                        }
                    }
                    return Ok(());
                }
            }
            let Some(first) = self.rest().chars().next() else {
                return Err(RenderError::invalid(format!(
                    "unexpected end of template, expected '{end}'"
                )));
            };
            if is_space(first) {
                self.skip_spaces();
            } else if first.is_ascii_digit() {
                self.number()?;
            } else if first.is_alphanumeric() || first == '_' {
                let rest = self.rest();
                let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let name = self.rest()[..length.unwrap_or(rest.len())].into();
                self.push(TokenKind::Name(name));
                self.advance(length.unwrap_or(rest.len()));
            } else if first == '\'' || first == '"' {
                self.string(first)?;
            } else {
                self.sign(first, &mut open)?;
            }
        }
    }

    fn sign(&mut self, first: char, open: &mut Vec<&'static str>) -> Result<()> {
        let rest = self.rest();
        let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
        let sign =
            sign.ok_or_else(|| RenderError::invalid(format!("unexpected char '{first}'")))?;
        match sign {
            "(" => open.push(")"),
            "[" => open.push("]"),
            "{" => open.push("}"),
            ")" | "]" | "}" if open.pop() != Some(sign) => {
                return Err(RenderError::invalid(format!("unexpected '{sign}'")));
            }
            _ => {}
        }
        self.push(TokenKind::Sign(sign));
        self.advance(sign.len());
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        let rest = self.rest();
        // `a.0.5` is item 5 of item 0 of `a`, so a number after a dot has no fraction.
        let after_dot = self.source[..self.at].ends_with('.');
        let digits = |text: &str| {
            let mut length = 0;
            let bytes = text.as_bytes();
            while let Some(byte) = bytes.get(length) {
                let between = *byte == b'_' && length > 0 && bytes[length - 1] != b'_';
                let goes_on = bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
                if !(byte.is_ascii_digit() || between && goes_on) {
                    break;
                }
                length += 1;
            }
            length
        };
        let whole = digits(rest);
        let mut length = whole;
        if !after_dot {
            let fraction = rest[length..].strip_prefix('.').map_or(0, digits);
            length += if fraction > 0 { 1 + fraction } else { 0 };
            if let Some(exponent) = rest[length..].strip_prefix(['e', 'E']) {
                let sign = usize::from(exponent.starts_with(['+', '-']));
                let power = digits(&exponent[sign..]);
                length += if power > 0 { 1 + sign + power } else { 0 };
            }
        }
        let plain = |text: &str| text.replace('_', "");
        let too_large = |_| RenderError::unsupported("an integer has more than 127 bits");
        let kind = if length > whole {
            let value = plain(&rest[..length]).parse();
            TokenKind::Float(value.map_err(|_| RenderError::invalid("a number is malformed"))?)
        } else if let Some((radix, bytes)) = radix(rest) {
            length = bytes;
            let value = i128::from_str_radix(&plain(&rest[2..bytes]), radix);
            TokenKind::Int(value.map_err(too_large)?)
        } else {
            if rest.starts_with('0') {
                length = rest.len() - rest.trim_start_matches('0').len();
            }
            TokenKind::Int(plain(&rest[..length]).parse().map_err(too_large)?)
        };
        self.push(kind);
        self.advance(length);
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<()> {
        let mut escaped = false;
        let end = self.rest()[1..].char_indices().find(|(_, c)| {
            let ends = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let (end, _) =
            end.ok_or_else(|| RenderError::invalid(format!("unexpected char '{quote}'")))?;
        let text = unescape(&self.rest()[1..=end])?;
        self.push(TokenKind::Str(text.into()));
        self.advance(end + 2);
        Ok(())
    }
}

/// Returns the position of the next tag of any kind. One pass finds it, so text without tags takes linear time.
fn next_tag(text: &str) -> Option<usize> {
    let follows = |at: usize| matches!(text.as_bytes().get(at + 1), Some(b'%' | b'{' | b'#'));
    text.match_indices('{').map(|(at, _)| at).find(|at| follows(*at))
}

/// Returns the base and the length of a number that begins with `0x`, `0o` or `0b`.
fn radix(text: &str) -> Option<(u32, usize)> {
    let radix = match text.get(..2)? {
        "0x" | "0X" => 16,
        "0o" | "0O" => 8,
        "0b" | "0B" => 2,
        _ => return None,
    };
    let is_digit = |c: char| c.is_digit(radix) || c == '_';
    let length = text[2..].find(|c| !is_digit(c)).map_or(text.len(), |length| length + 2);
    (length > 2).then_some((radix, length))
}

/// Returns the length of the rest of a `{% raw %}` tag. `text` begins after `{%` and its sign. Returns `None` if the
/// tag is another one.
fn raw_begin(text: &str) -> Option<usize> {
    let rest = text.trim_start_matches(is_space).strip_prefix("raw")?.trim_start_matches(is_space);
    let rest = match rest.strip_prefix("-%}") {
        Some(rest) => rest.trim_start_matches(is_space),
        None => rest.strip_prefix("%}")?,
    };
    Some(text.len() - rest.len())
}

/// Whether Python's `str.isspace` is true: Unicode's white space, and four separators of ASCII.
pub(in crate::chat) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
