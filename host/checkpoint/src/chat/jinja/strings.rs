//! Methods of Python's strings.

use super::{
    arguments::{Arguments, int_of, required, size_of, text_of},
    fault::{Fault, Fuel, Result},
    letter_case,
    lexer::is_space,
    str_format,
    value::Value,
};

/// Every method that a Python string has, by which an attribute is known to be one.
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
pub(super) fn call(of: &str, method: &str, given: Arguments, fuel: &Fuel) -> Result<Value> {
    fuel.take_text(of.len())?;
    let unsupported = || Err(Fault::unsupported(format!("the method str.{method}")));
    Ok(match method {
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = given.take(method, ["/"])?;
            let chars = match chars {
                None | Some(Value::None) => None,
                Some(chars) => Some(text_of(&chars, method)?),
            };
            strip(of, method, chars.as_deref()).into()
        }
        "split" | "rsplit" => {
            let [separator, most] = given.take(method, ["sep", "maxsplit"])?;
            let most = most.map_or(Ok(-1), |most| int_of(&most, method))?;
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let parts = match separator {
                None | Some(Value::None) => split_spaces(of, method == "rsplit", most),
                Some(separator) => {
                    split(of, &text_of(&separator, method)?, method == "rsplit", most)?
                }
            };
            fuel.take(parts.len())?;
            Value::list(parts.into_iter().map(Value::from).collect())?
        }
        "splitlines" => {
            let [keep] = given.take(method, ["keepends"])?;
            let lines = lines(of, keep.is_some_and(|keep| keep.is_true()));
            fuel.take(lines.len())?;
            Value::list(lines.into_iter().map(Value::from).collect())?
        }
        "partition" | "rpartition" => {
            let [separator] = given.take(method, ["/"])?;
            let separator = text_of(&required(separator, method, "sep")?, method)?;
            if separator.is_empty() {
                return Err(Fault::invalid("empty separator"));
            }
            let found = if method == "partition" {
                of.split_once(&*separator).map(|(one, two)| [one, &separator, two])
            } else {
                of.rsplit_once(&*separator).map(|(one, two)| [one, &separator, two])
            };
            let parts = match (found, method) {
                (Some(parts), _) => parts,
                (None, "partition") => [of, "", ""],
                (None, _) => ["", "", of],
            };
            Value::tuple(parts.map(Value::from).to_vec())?
        }
        "startswith" | "endswith" => affixed(of, method, given)?.into(),
        "removeprefix" | "removesuffix" => {
            let [affix] = given.take(method, ["/"])?;
            let affix = text_of(&required(affix, method, "prefix")?, method)?;
            let rest = if method == "removeprefix" {
                of.strip_prefix(&*affix)
            } else {
                of.strip_suffix(&*affix)
            };
            rest.unwrap_or(of).into()
        }
        "replace" => {
            let [old, new, count] = given.take(method, ["/", "/new", "count"])?;
            let old = text_of(&required(old, method, "old")?, method)?;
            let new = text_of(&required(new, method, "new")?, method)?;
            let count = count.map_or(Ok(-1), |count| int_of(&count, method))?;
            replace(of, &old, &new, count, fuel)?.into()
        }
        "join" => {
            let [values] = given.take(method, ["/"])?;
            let values = required(values, method, "iterable")?.iterate()?;
            let mut out = String::new();
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push_str(of);
                }
                fuel.take_text(of.len())?;
                match value {
                    Value::Str(text) => out.push_str(text),
                    Value::Markup(_) => return unsupported(),
                    other => {
                        return Err(Fault::invalid(format!(
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
            let part = text_of(&required(part, method, "sub")?, method)?;
            find(of, method, &part, [start, end])?
        }
        "center" | "ljust" | "rjust" => {
            let [width, fill] = given.take(method, ["/", "/fillchar"])?;
            let width = size_of(&required(width, method, "width")?, method)?;
            let fill = match fill {
                None => ' ',
                Some(fill) => one_char(&text_of(&fill, method)?)?,
            };
            justify(of, method, width, fill, fuel)?.into()
        }
        "zfill" => {
            let [width] = given.take(method, ["/"])?;
            let width = size_of(&required(width, method, "width")?, method)?;
            fuel.take_text(width)?;
            let sign = if of.starts_with(['+', '-']) { &of[..1] } else { "" };
            let missing = width.saturating_sub(of.chars().count());
            format!("{sign}{}{}", "0".repeat(missing), &of[sign.len()..]).into()
        }
        "expandtabs" => {
            let [size] = given.take(method, ["tabsize"])?;
            let size = size.map_or(Ok(8), |size| size_of(&size, method))?;
            expand_tabs(of, size, fuel)?.into()
        }
        "format" => str_format::format(of, &given, fuel)?.into(),
        "encode" | "format_map" | "maketrans" | "translate" => return unsupported(),
        _ => {
            let [] = given.take(method, [])?;
            match method {
                "upper" => of.to_uppercase().into(),
                "lower" => of.to_lowercase().into(),
                "title" => letter_case::title(of)?.into(),
                "capitalize" => letter_case::capitalize(of)?.into(),
                "swapcase" => letter_case::swap_case(of).into(),
                "casefold" if of.is_ascii() => of.to_ascii_lowercase().into(),
                "casefold" => return unsupported(),
                _ => letter_case::is(of, method)?.into(),
            }
        }
    })
}

/// Takes characters off the ends; without any, white space.
pub(super) fn strip<'t>(of: &'t str, method: &str, chars: Option<&str>) -> &'t str {
    let goes = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    match method {
        "lstrip" => of.trim_start_matches(goes),
        "rstrip" => of.trim_end_matches(goes),
        _ => of.trim_matches(goes),
    }
}

fn split<'t>(of: &'t str, separator: &str, from_end: bool, most: usize) -> Result<Vec<&'t str>> {
    if separator.is_empty() {
        return Err(Fault::invalid("empty separator"));
    }
    let parts = most.saturating_add(1);
    if !from_end {
        return Ok(of.splitn(parts, separator).collect());
    }
    let mut parts: Vec<_> = of.rsplitn(parts, separator).collect();
    parts.reverse();
    Ok(parts)
}

/// Parts between white space; what is left when no more may be split keeps the space at its other end.
fn split_spaces(of: &str, from_end: bool, most: usize) -> Vec<&str> {
    let trim =
        |text| if from_end { strip(text, "rstrip", None) } else { strip(text, "lstrip", None) };
    let (mut parts, mut rest) = (Vec::new(), trim(of));
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

/// Lines by all that Python's `splitlines` takes for an end of one.
pub(super) fn lines(of: &str, keep_ends: bool) -> Vec<&str> {
    let ends = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
            || ('\u{1c}'..='\u{1e}').contains(&c)
    };
    let (mut lines, mut rest) = (Vec::new(), of);
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

/// The byte range of characters `start` to `end`, as slices count them, with its first character's index.
fn part(
    of: &str,
    bounds: [Option<Value>; 2],
    method: &str,
) -> Result<Option<(usize, usize, usize)>> {
    let length = of.chars().count() as i128;
    let [start, end] = bounds.map(|bound| match bound {
        None | Some(Value::None) => Ok(None),
        Some(bound) => int_of(&bound, method).map(Some),
    });
    let clamp = |bound: i128| if bound < 0 { (bound + length).max(0) } else { bound };
    let start = start?.map_or(0, clamp);
    let end = end?.map_or(length, clamp).min(length);
    if start > end {
        return Ok(None);
    }
    let byte = |index: i128| of.char_indices().nth(index as usize).map_or(of.len(), |(at, _)| at);
    Ok(Some((byte(start), byte(end), start as usize)))
}

fn affixed(of: &str, method: &str, given: Arguments) -> Result<bool> {
    let [affix, start, end] = given.take(method, ["/", "/start", "/end"])?;
    let affix = required(affix, method, "prefix")?;
    let affixes = match &affix {
        Value::Tuple(items) => items.items.clone(),
        one => vec![one.clone()],
    };
    let affixes: Vec<_> =
        affixes.iter().map(|affix| text_of(affix, method)).collect::<Result<_>>()?;
    let Some((from, to, _)) = part(of, [start, end], method)? else { return Ok(false) };
    let of = &of[from..to];
    Ok(affixes.iter().any(|affix| match method {
        "startswith" => of.starts_with(&**affix),
        _ => of.ends_with(&**affix),
    }))
}

/// Replaces at most so many; a negative number means all.
pub(super) fn replace(of: &str, old: &str, new: &str, count: i128, fuel: &Fuel) -> Result<String> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let found = of.matches(old).count().min(most);
    fuel.take_text(of.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(of.replacen(old, new, most))
}

fn find(of: &str, method: &str, sought: &str, bounds: [Option<Value>; 2]) -> Result<Value> {
    let range = part(of, bounds, method)?;
    if method == "count" {
        return Ok(range.map_or(0, |(from, to, _)| of[from..to].matches(sought).count()).into());
    }
    let found = range.and_then(|(from, to, start)| {
        let within = &of[from..to];
        let at = if method.starts_with('r') { within.rfind(sought) } else { within.find(sought) };
        at.map(|at| start + within[..at].chars().count())
    });
    match found {
        Some(at) => Ok(at.into()),
        None if method.ends_with("index") => Err(Fault::invalid("substring not found")),
        None => Ok(Value::Int(-1)),
    }
}

fn one_char(text: &str) -> Result<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Fault::invalid("The fill character must be exactly one character long")),
    }
}

/// Fills up to a width, on the other side or on both.
pub(super) fn justify(
    of: &str,
    method: &str,
    width: usize,
    fill: char,
    fuel: &Fuel,
) -> Result<String> {
    fuel.take_text(width.saturating_mul(fill.len_utf8()))?;
    let missing = width.saturating_sub(of.chars().count());
    let left = match method {
        "ljust" => 0,
        "rjust" => missing,
        // Where both sides differ, Python's left one is longer if the width is odd.
        _ => missing / 2 + (missing & width & 1),
    };
    let fill = |count: usize| String::from(fill).repeat(count);
    Ok(format!("{}{of}{}", fill(left), fill(missing - left)))
}

fn expand_tabs(of: &str, size: usize, fuel: &Fuel) -> Result<String> {
    let (mut out, mut column) = (String::new(), 0);
    for c in of.chars() {
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
