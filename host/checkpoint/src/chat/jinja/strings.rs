//! The methods of Python's strings.

use super::{
    arguments::{Arguments, expect_int, expect_size, expect_text, require},
    fuel::Fuel,
    letter_case,
    lexer::is_space,
    render_error::{RenderError, Result},
    str_format,
    value::PyValue,
};

/// All methods of Python's strings. [`attributes`](super::attributes) looks here whether an attribute is a method.
pub(super) const METHODS: [&str; 47] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

/// Calls a method of a string.
pub(super) fn call(string: &str, method: &str, given: Arguments, fuel: &Fuel) -> Result<PyValue> {
    fuel.take_text(string.len())?;
    let unsupported = || Err(RenderError::unsupported(format!("the method str.{method}")));
    Ok(match method {
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = given.take(method, ["/"])?;
            let chars = match chars {
                None | Some(PyValue::None) => None,
                Some(chars) => Some(expect_text(&chars, method)?),
            };
            strip(string, method, chars.as_deref()).into()
        }
        "split" | "rsplit" => {
            let [separator, most] = given.take(method, ["sep", "maxsplit"])?;
            let most = most.map_or(Ok(-1), |most| expect_int(&most, method))?;
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let parts = match separator {
                None | Some(PyValue::None) => split_spaces(string, method == "rsplit", most),
                Some(separator) => {
                    split(string, &expect_text(&separator, method)?, method == "rsplit", most)?
                }
            };
            fuel.take(parts.len())?;
            PyValue::list(parts.into_iter().map(PyValue::from).collect())?
        }
        "splitlines" => {
            let [keep] = given.take(method, ["keepends"])?;
            let lines = split_lines(string, keep.is_some_and(|keep| keep.is_true()));
            fuel.take(lines.len())?;
            PyValue::list(lines.into_iter().map(PyValue::from).collect())?
        }
        "partition" | "rpartition" => {
            let [separator] = given.take(method, ["/"])?;
            let separator = expect_text(&require(separator, method, "sep")?, method)?;
            if separator.is_empty() {
                return Err(RenderError::invalid("empty separator"));
            }
            let found = if method == "partition" {
                string.split_once(&*separator).map(|(one, two)| [one, &separator, two])
            } else {
                string.rsplit_once(&*separator).map(|(one, two)| [one, &separator, two])
            };
            let parts = match (found, method) {
                (Some(parts), _) => parts,
                (None, "partition") => [string, "", ""],
                (None, _) => ["", "", string],
            };
            PyValue::tuple(parts.map(PyValue::from).to_vec())?
        }
        "startswith" | "endswith" => has_affix(string, method, given)?.into(),
        "removeprefix" | "removesuffix" => {
            let [affix] = given.take(method, ["/"])?;
            let affix = expect_text(&require(affix, method, "prefix")?, method)?;
            let rest = if method == "removeprefix" {
                string.strip_prefix(&*affix)
            } else {
                string.strip_suffix(&*affix)
            };
            rest.unwrap_or(string).into()
        }
        "replace" => {
            let [old, new, count] = given.take(method, ["/", "/new", "count"])?;
            let old = expect_text(&require(old, method, "old")?, method)?;
            let new = expect_text(&require(new, method, "new")?, method)?;
            let count = count.map_or(Ok(-1), |count| expect_int(&count, method))?;
            replace(string, &old, &new, count, fuel)?.into()
        }
        "join" => {
            let [values] = given.take(method, ["/"])?;
            let values = require(values, method, "iterable")?.iterate()?;
            let mut out = String::new();
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push_str(string);
                }
                fuel.take_text(string.len())?;
                match value {
                    PyValue::Str(text) => out.push_str(text),
                    PyValue::Markup(_) => return unsupported(),
                    other => {
                        return Err(RenderError::invalid(format!(
                            "sequence item {index}: expected str instance, {} found",
                            other.type_name()
                        )));
                    }
                }
                fuel.take_text(value.as_str().map_or(0, str::len))?;
            }
            out.into()
        }
        "find" | "rfind" | "index" | "rindex" | "count" => {
            let [part, start, end] = given.take(method, ["/", "/start", "/end"])?;
            let part = expect_text(&require(part, method, "sub")?, method)?;
            find(string, method, &part, [start, end])?
        }
        "center" | "ljust" | "rjust" => {
            let [width, fill] = given.take(method, ["/", "/fillchar"])?;
            let width = expect_size(&require(width, method, "width")?, method)?;
            let fill = match fill {
                None => ' ',
                Some(fill) => one_char(&expect_text(&fill, method)?)?,
            };
            justify(string, method, width, fill, fuel)?.into()
        }
        "zfill" => {
            let [width] = given.take(method, ["/"])?;
            let width = expect_size(&require(width, method, "width")?, method)?;
            fuel.take_text(width)?;
            let sign = if string.starts_with(['+', '-']) { &string[..1] } else { "" };
            let missing = width.saturating_sub(string.chars().count());
            format!("{sign}{}{}", "0".repeat(missing), &string[sign.len()..]).into()
        }
        "expandtabs" => {
            let [size] = given.take(method, ["tabsize"])?;
            let size = size.map_or(Ok(8), |size| expect_size(&size, method))?;
            expand_tabs(string, size, fuel)?.into()
        }
        "format" => str_format::format(string, &given, fuel)?.into(),
        "encode" | "format_map" | "maketrans" | "translate" => return unsupported(),
        _ => {
            let [] = given.take(method, [])?;
            match method {
                "upper" => string.to_uppercase().into(),
                "lower" => string.to_lowercase().into(),
                "title" => letter_case::title(string)?.into(),
                "capitalize" => letter_case::capitalize(string)?.into(),
                "swapcase" => letter_case::swap_case(string).into(),
                "casefold" if string.is_ascii() => string.to_ascii_lowercase().into(),
                "casefold" => return unsupported(),
                _ => letter_case::matches_predicate(string, method)?.into(),
            }
        }
    })
}

/// Removes these characters from one or both ends of a text. Without `chars` it removes white space.
pub(super) fn strip<'t>(string: &'t str, method: &str, chars: Option<&str>) -> &'t str {
    let goes = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    match method {
        "lstrip" => string.trim_start_matches(goes),
        "rstrip" => string.trim_end_matches(goes),
        _ => string.trim_matches(goes),
    }
}

fn split<'t>(
    string: &'t str,
    separator: &str,
    from_end: bool,
    most: usize,
) -> Result<Vec<&'t str>> {
    if separator.is_empty() {
        return Err(RenderError::invalid("empty separator"));
    }
    let parts = most.saturating_add(1);
    if !from_end {
        return Ok(string.splitn(parts, separator).collect());
    }
    let mut parts: Vec<_> = string.rsplitn(parts, separator).collect();
    parts.reverse();
    Ok(parts)
}

/// Splits a text at white space, at most `most` times. The last part keeps the white space inside it and at its far
/// end.
fn split_spaces(string: &str, from_end: bool, most: usize) -> Vec<&str> {
    let trim =
        |text| if from_end { strip(text, "rstrip", None) } else { strip(text, "lstrip", None) };
    let (mut parts, mut rest) = (Vec::new(), trim(string));
    while !rest.is_empty() {
        let at = if from_end { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(at) = at.filter(|_| parts.len() < most) else {
            parts.push(rest);
            break;
        };
        let space = rest[at..].chars().next().map_or(1, char::len_utf8);
        let (before, after) = (&rest[..at], &rest[at + space..]);
        let (part, left) = if from_end { (after, before) } else { (before, after) };
        parts.push(part);
        rest = trim(left);
    }
    if from_end {
        parts.reverse();
    }
    parts
}

/// Python's `splitlines`, which knows more line endings than `\n` and `\r\n`.
pub(super) fn split_lines(string: &str, keep_ends: bool) -> Vec<&str> {
    let ends = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
            || ('\u{1c}'..='\u{1e}').contains(&c)
    };
    let (mut lines, mut rest) = (Vec::new(), string);
    while let Some(at) = rest.find(ends) {
        let end = match &rest[at..] {
            tail if tail.starts_with("\r\n") => 2,
            tail => tail.chars().next().map_or(1, char::len_utf8),
        };
        lines.push(&rest[..if keep_ends { at + end } else { at }]);
        rest = &rest[at + end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Converts the character positions `start` and `end` to byte positions, counted as in a slice. Also returns the index
/// of the first character. Returns `None` if the range is empty because `start` is after `end`.
fn byte_range(
    string: &str,
    bounds: [Option<PyValue>; 2],
    method: &str,
) -> Result<Option<(usize, usize, usize)>> {
    let length = string.chars().count() as i128;
    let [start, end] = bounds.map(|bound| match bound {
        None | Some(PyValue::None) => Ok(None),
        Some(bound) => expect_int(&bound, method).map(Some),
    });
    let clamp = |bound: i128| if bound < 0 { (bound + length).max(0) } else { bound };
    let start = start?.map_or(0, clamp);
    let end = end?.map_or(length, clamp).min(length);
    if start > end {
        return Ok(None);
    }
    let byte =
        |index: i128| string.char_indices().nth(index as usize).map_or(string.len(), |(at, _)| at);
    Ok(Some((byte(start), byte(end), start as usize)))
}

fn has_affix(string: &str, method: &str, given: Arguments) -> Result<bool> {
    let [affix, start, end] = given.take(method, ["/", "/start", "/end"])?;
    let affix = require(affix, method, "prefix")?;
    let affixes = match &affix {
        PyValue::Tuple(items) => items.items.clone(),
        one => vec![one.clone()],
    };
    let affixes: Vec<_> =
        affixes.iter().map(|affix| expect_text(affix, method)).collect::<Result<_>>()?;
    let Some((from, to, _)) = byte_range(string, [start, end], method)? else { return Ok(false) };
    let string = &string[from..to];
    Ok(affixes.iter().any(|affix| match method {
        "startswith" => string.starts_with(&**affix),
        _ => string.ends_with(&**affix),
    }))
}

/// Replaces at most `count` occurrences, or all if `count` is negative.
pub(super) fn replace(
    string: &str,
    old: &str,
    new: &str,
    count: i128,
    fuel: &Fuel,
) -> Result<String> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let found = string.matches(old).count().min(most);
    fuel.take_text(string.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(string.replacen(old, new, most))
}

fn find(string: &str, method: &str, sought: &str, bounds: [Option<PyValue>; 2]) -> Result<PyValue> {
    let range = byte_range(string, bounds, method)?;
    if method == "count" {
        return Ok(range
            .map_or(0, |(from, to, _)| string[from..to].matches(sought).count())
            .into());
    }
    let found = range.and_then(|(from, to, start)| {
        let within = &string[from..to];
        let at = if method.starts_with('r') { within.rfind(sought) } else { within.find(sought) };
        at.map(|at| start + within[..at].chars().count())
    });
    match found {
        Some(at) => Ok(at.into()),
        None if method.ends_with("index") => Err(RenderError::invalid("substring not found")),
        None => Ok(PyValue::Int(-1)),
    }
}

fn one_char(text: &str) -> Result<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(RenderError::invalid("The fill character must be exactly one character long")),
    }
}

/// Pads a text to `width` characters. The method `ljust` pads on the right, `rjust` on the left, `center` on both
/// sides.
pub(super) fn justify(
    string: &str,
    method: &str,
    width: usize,
    fill: char,
    fuel: &Fuel,
) -> Result<String> {
    fuel.take_text(width.saturating_mul(fill.len_utf8()))?;
    let missing = width.saturating_sub(string.chars().count());
    let left = match method {
        "ljust" => 0,
        "rjust" => missing,
        // If the two sides differ, Python makes the left one longer for an odd width.
        _ => missing / 2 + (missing & width & 1),
    };
    let fill = |count: usize| String::from(fill).repeat(count);
    Ok(format!("{}{string}{}", fill(left), fill(missing - left)))
}

fn expand_tabs(string: &str, size: usize, fuel: &Fuel) -> Result<String> {
    let (mut out, mut column) = (String::new(), 0);
    for c in string.chars() {
        if c == '\t' {
            let count = if size == 0 { 0 } else { size - column % size };
            fuel.take_text(count)?;
            out.push_str(&" ".repeat(count));
            column += count;
        } else {
            out.push(c);
            column = if c == '\n' || c == '\r' { 0 } else { column + 1 };
        }
    }
    Ok(out)
}
