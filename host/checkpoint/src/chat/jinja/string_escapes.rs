//! The escapes in string literals of a template.

use super::render_error::{RenderError, Result};

/// Replaces the escapes of a string literal. Jinja2 first escapes all characters beyond ASCII and then decodes
/// everything with Python's codec `unicode-escape`; this does the same.
pub(super) fn unescape(text: &str) -> Result<String> {
    let mut ascii = String::new();
    for c in text.chars() {
        match c as u32 {
            0..=0x7f => ascii.push(c),
            code @ ..=0xff => ascii.push_str(&format!("\\x{code:02x}")),
            code @ ..=0xffff => ascii.push_str(&format!("\\u{code:04x}")),
            code => ascii.push_str(&format!("\\U{code:08x}")),
        }
    }
    let (mut out, mut rest) = (String::new(), &ascii[..]);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(letter) = rest.chars().next() else {
            return Err(RenderError::invalid("\\ at end of string"));
        };
        rest = &rest[1..];
        match letter {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(letter),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            'x' | 'u' | 'U' => {
                let length = match letter {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits = rest
                    .get(..length)
                    .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                let digits = digits
                    .ok_or_else(|| RenderError::invalid(format!("truncated \\{letter} escape")))?;
                let code = u32::from_str_radix(digits, 16).unwrap_or(u32::MAX);
                let is_surrogate = (0xd800..0xe000).contains(&code);
                let c = char::from_u32(code).ok_or_else(|| match is_surrogate {
                    true => RenderError::unsupported("a string holds half of a surrogate pair"),
                    false => RenderError::invalid("illegal Unicode character"),
                })?;
                out.push(c);
                rest = &rest[length..];
            }
            '0'..='7' => {
                let more =
                    rest.bytes().take(2).take_while(|byte| (b'0'..b'8').contains(byte)).count();
                let digits = format!("{letter}{}", &rest[..more]);
                let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
                out.push(char::from_u32(code).unwrap_or_default());
                rest = &rest[more..];
            }
            'N' => return Err(RenderError::unsupported("a string names a character by \\N")),
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}
