//! Upper, lower and title case, and what Python's `str.is...` say of characters.

use super::{
    fault::{Fault, Result},
    lexer::is_space,
    text::is_printable,
};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// A character's title case, which for some letters is a third one.
fn title_case(c: char) -> Result<String> {
    match c as u32 {
        0x1c4..=0x1cc | 0x1f1..=0x1f3 | 0x1f80..=0x1fff | 0x10d0..=0x10ff => {
            Err(Fault::unsupported(format!("the title case of '{c}'")))
        }
        _ => {
            let mut upper = c.to_uppercase();
            let first: String = upper.next().into_iter().collect();
            Ok(first + &upper.collect::<String>().to_lowercase())
        }
    }
}

pub(super) fn title(of: &str) -> Result<String> {
    let (mut out, mut in_word) = (String::new(), false);
    for c in of.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.push_str(&title_case(c)?);
        }
        in_word = is_cased(c);
    }
    Ok(out)
}

/// The first character's title case, and the others in lower case.
pub(super) fn capitalize(of: &str) -> Result<String> {
    let mut chars = of.chars();
    match chars.next() {
        None => Ok(String::new()),
        Some(first) => Ok(title_case(first)? + &chars.as_str().to_lowercase()),
    }
}

pub(super) fn swap_case(of: &str) -> String {
    let swapped = |c: char| -> String {
        if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
    };
    of.chars().map(swapped).collect()
}

fn is_cased(c: char) -> bool {
    c.is_uppercase() || c.is_lowercase() || c.general_category() == GeneralCategory::TitlecaseLetter
}

/// Python's methods `is...`.
pub(super) fn is(of: &str, method: &str) -> Result<bool> {
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
    let all = |holds: &dyn Fn(char) -> bool| !of.is_empty() && of.chars().all(holds);
    // What is a digit or a number beyond decimal ones is a table of Unicode's of its own.
    let other_number =
        |c: char| !c.is_ascii() && c.is_numeric() && c.general_category() != DecimalNumber;
    Ok(match method {
        "isascii" => of.is_ascii(),
        "isprintable" => of.chars().all(is_printable),
        "isspace" => all(&is_space),
        "isalpha" => all(&is_letter),
        "isdecimal" => all(&|c| c.general_category() == DecimalNumber),
        "isdigit" | "isnumeric" | "isalnum" if of.chars().any(other_number) => {
            return Err(Fault::unsupported(format!(
                "str.{method} of other numbers than decimal ones"
            )));
        }
        "isnumeric" if of.chars().any(|c| c.general_category() == OtherLetter) => {
            return Err(Fault::unsupported("str.isnumeric of letters that may be numbers"));
        }
        "isdigit" | "isnumeric" => all(&|c| c.general_category() == DecimalNumber),
        "isalnum" => all(&|c| is_letter(c) || c.general_category() == DecimalNumber),
        "islower" => {
            of.chars().any(is_cased) && of.chars().all(|c| !is_cased(c) || c.is_lowercase())
        }
        "isupper" => {
            of.chars().any(is_cased) && of.chars().all(|c| !is_cased(c) || c.is_uppercase())
        }
        "istitle" => {
            let (mut in_word, mut any) = (false, false);
            for c in of.chars() {
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
            let mut chars = of.chars();
            chars.next().is_some_and(|c| c == '_' || is_letter(c))
                && chars.all(|c| c == '_' || c.is_alphanumeric())
        }
        _ => return Err(Fault::unsupported(format!("the method str.{method}"))),
    })
}
