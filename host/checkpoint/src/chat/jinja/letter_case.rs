//! Upper, lower and title case of texts, and the predicates `str.isupper`, `str.isalpha` and so on.

use super::{
    lexer::is_space,
    render_error::{RenderError, Result},
    repr::is_printable,
};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Returns the title case of a character. Some letters have a title case that differs from their upper case; they are
/// refused.
fn title_case(c: char) -> Result<String> {
    match c as u32 {
        0x1c4..=0x1cc | 0x1f1..=0x1f3 | 0x1f80..=0x1fff | 0x10d0..=0x10ff => {
            Err(RenderError::unsupported(format!("the title case of '{c}'")))
        }
        _ => {
            let mut upper = c.to_uppercase();
            let first: String = upper.next().into_iter().collect();
            Ok(first + &upper.collect::<String>().to_lowercase())
        }
    }
}

pub(super) fn title(string: &str) -> Result<String> {
    let (mut out, mut in_word) = (String::new(), false);
    for c in string.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.push_str(&title_case(c)?);
        }
        in_word = is_cased(c);
    }
    Ok(out)
}

/// Python's `str.capitalize`: the first character in title case, the others in lower case.
pub(super) fn capitalize(string: &str) -> Result<String> {
    let mut chars = string.chars();
    match chars.next() {
        None => Ok(String::new()),
        Some(first) => Ok(title_case(first)? + &chars.as_str().to_lowercase()),
    }
}

pub(super) fn swap_case(string: &str) -> String {
    let swapped = |c: char| -> String {
        if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
    };
    string.chars().map(swapped).collect()
}

fn is_cased(c: char) -> bool {
    c.is_uppercase() || c.is_lowercase() || c.general_category() == GeneralCategory::TitlecaseLetter
}

/// Evaluates a predicate of Python's strings, such as `isalpha`. `method` is its name.
pub(super) fn matches_predicate(string: &str, method: &str) -> Result<bool> {
    use GeneralCategory::{
        DecimalNumber, LowercaseLetter, ModifierLetter, OtherLetter, TitlecaseLetter,
        UppercaseLetter,
    };
    let is_letter = |c: char| {
        matches!(
            c.general_category(),
            UppercaseLetter | LowercaseLetter | TitlecaseLetter | ModifierLetter | OtherLetter
        )
    };
    let all = |holds: &dyn Fn(char) -> bool| !string.is_empty() && string.chars().all(holds);
    // Python takes digits and numbers other than decimal digits from a Unicode table that is not available here.
    let other_number =
        |c: char| !c.is_ascii() && c.is_numeric() && c.general_category() != DecimalNumber;
    Ok(match method {
        "isascii" => string.is_ascii(),
        "isprintable" => string.chars().all(is_printable),
        "isspace" => all(&is_space),
        "isalpha" => all(&is_letter),
        "isdecimal" => all(&|c| c.general_category() == DecimalNumber),
        "isdigit" | "isnumeric" | "isalnum" if string.chars().any(other_number) => {
            return Err(RenderError::unsupported(format!(
                "str.{method} of other numbers than decimal ones"
            )));
        }
        "isnumeric" if string.chars().any(|c| c.general_category() == OtherLetter) => {
            return Err(RenderError::unsupported("str.isnumeric of letters that may be numbers"));
        }
        "isdigit" | "isnumeric" => all(&|c| c.general_category() == DecimalNumber),
        "isalnum" => all(&|c| is_letter(c) || c.general_category() == DecimalNumber),
        "islower" => {
            string.chars().any(is_cased) && string.chars().all(|c| !is_cased(c) || c.is_lowercase())
        }
        "isupper" => {
            string.chars().any(is_cased) && string.chars().all(|c| !is_cased(c) || c.is_uppercase())
        }
        "istitle" => {
            let (mut in_word, mut any) = (false, false);
            for c in string.chars() {
                if is_cased(c) {
                    if in_word != c.is_lowercase() {
                        return Ok(false);
                    }
                    any = true;
                }
                in_word = is_cased(c);
            }
            any
        }
        "isidentifier" => {
            let mut chars = string.chars();
            chars.next().is_some_and(|c| c == '_' || is_letter(c))
                && chars.all(|c| c == '_' || c.is_alphanumeric())
        }
        _ => return Err(RenderError::unsupported(format!("the method str.{method}"))),
    })
}
