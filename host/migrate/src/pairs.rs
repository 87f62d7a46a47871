//! Values that are lists of pairs: `pretrained=gpt2,dtype=float32`.

/// Splits `key=value` pairs that are separated by commas. A comma within brackets, braces or quotes separates nothing.
/// `Err` has the part that is no pair.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let parts = split(text).into_iter().filter(|part| !part.trim().is_empty());
    parts
        .map(|part| match part.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
            None => Err(part.trim().to_owned()),
        })
        .collect()
}

fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth, mut quote) = (vec![], 0, 0_usize, None);
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '[' | '{' | '(') => depth += 1,
            (None, ']' | '}' | ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            (None, _) => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_within_brackets_separates_nothing() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            parse("a=1, b={\"x\": [1,2]},c='d,e'"),
            Ok(vec![pair("a", "1"), pair("b", "{\"x\": [1,2]}"), pair("c", "'d,e'")])
        );
        assert_eq!(parse("a=1,b"), Err("b".to_owned()));
        assert_eq!(parse(""), Ok(vec![]));
    }
}
