//! Reads YAML into a tree of JSON values.

use crate::Error;
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};
use std::{collections::HashMap, fs, path::Path};

/// How deep lists and mappings may nest, so that a file cannot exhaust the stack.
const DEEPEST: usize = 64;
/// The most values that aliases may make of a file.
const MOST: usize = 100_000;

/// Reads a file in YAML or, if its name ends with `.json`, in JSON.
pub(crate) fn read(path: &Path) -> Result<Value, Error> {
    let text =
        fs::read_to_string(path).map_err(|cause| Error::Io { path: path.to_owned(), cause })?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let (format, parsed) = match is_json {
        true => ("JSON", serde_json::from_str(&text).map_err(|error| error.to_string())),
        false => ("YAML", parse(&text)),
    };
    parsed.map_err(|cause| Error::File { path: path.to_owned(), format, cause })
}

/// Parses the first document of a text. The error is a sentence with the line.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut reader =
        Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), values: 0 };
    loop {
        let event = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Value::Null),
            event => return reader.value(event, 0),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Value>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.parser.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("it ends within a value".to_owned()),
        }
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err(format!("it nests deeper than {DEEPEST} levels"));
        }
        self.count(1)?;
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).ok_or("an alias has no anchor")?.clone();
                self.count(size(&value))?;
                return Ok(value);
            }
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                (if plain { scalar(&text) } else { Value::String(text.into_owned()) }, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut values = vec![];
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => values.push(self.value(event, depth + 1)?),
                    }
                }
                (Value::Array(values), anchor)
            }
            Event::MappingStart(anchor, _) => (self.mapping(depth)?, anchor),
            event => return Err(format!("{event:?} is where a value should be")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        let (mut map, mut merged) = (Map::new(), vec![]);
        loop {
            let key = match self.next()? {
                Event::MappingEnd => break,
                event => self.value(event, depth + 1)?,
            };
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            match key {
                Value::String(key) if key == "<<" => merged.push(value),
                key => _ = map.insert(crate::settings::text(&key), value),
            }
        }
        // What a mapping has itself comes before what it takes over.
        for value in merged {
            let sources = match value {
                Value::Array(values) => values,
                value => vec![value],
            };
            for (key, value) in sources.into_iter().flat_map(|source| match source {
                Value::Object(map) => map,
                _ => Map::new(),
            }) {
                map.entry(key).or_insert(value);
            }
        }
        Ok(Value::Object(map))
    }

    fn count(&mut self, values: usize) -> Result<(), String> {
        self.values += values;
        match self.values > MOST {
            true => Err(format!("it has more than {MOST} values")),
            false => Ok(()),
        }
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

/// A scalar without quotes, by YAML's core schema. `.inf` is the text `inf`, because JSON has no such number.
fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Value::String("inf".to_owned()),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match text.parse::<f64>() {
        Ok(number) if is_number && number.is_finite() => number.into(),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_lists_mappings_anchors_and_merges_are_read() {
        let text =
            "a: &a {x: 1, y: [2.5, 'no', ~]}\nb: *a\nc:\n  <<: *a\n  x: .inf\n# end\nd: yes\n";
        let a = json!({"x": 1, "y": [2.5, "no", null]});
        let c = json!({"x": "inf", "y": [2.5, "no", null]});
        assert_eq!(parse(text), Ok(json!({"a": a, "b": a, "c": c, "d": "yes"})));
        assert_eq!(parse(""), Ok(Value::Null));
    }

    #[test]
    fn errors_name_the_line() {
        let error = parse("a: 1\nb: [1, 2\n").expect_err("no end");
        assert!(error.contains("line"), "{error}");
    }

    #[test]
    fn a_file_that_grows_without_end_is_refused() {
        let mut text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        for level in 1..9 {
            let below = vec![format!("*a{}", level - 1); 8].join(", ");
            text += &format!("a{level}: &a{level} [{below}]\n");
        }
        assert_eq!(parse(&text), Err("it has more than 100000 values".to_owned()));
        assert!(parse(&"[".repeat(1000)).is_err());
    }
}
