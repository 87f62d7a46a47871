//! JSON with one line for each value of the upper levels. A person can read it and `grep` can search it, and many small
//! values take little space, because deeper levels are not indented.
//!
//! ```text
//! {
//!   "status": "completed",
//!   "windows": [
//!     {"label":"a","wall_ns":5},          what lies deeper is one line
//!     {"label":"b","wall_ns":7}
//!   ]
//! }
//! ```

use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};
use std::io::{self, Write};

/// The number of levels on which each value has its own line.
const LEVELS: usize = 2;

/// Writes a value as JSON.
pub(crate) fn write<W: Write, T: Serialize>(out: W, value: &T) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(out, Outline::default());
    Ok(value.serialize(&mut serializer)?)
}

#[derive(Default)]
struct Outline {
    depth: usize,
    /// Whether the current list or object, or the one that just ended, has a value.
    has_value: bool,
}

impl Outline {
    fn line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        if self.depth > LEVELS {
            return Ok(());
        }
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }

    fn begin<W: ?Sized + Write>(&mut self, out: &mut W, sign: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        out.write_all(sign)
    }

    fn end<W: ?Sized + Write>(&mut self, out: &mut W, sign: &[u8]) -> io::Result<()> {
        let is_line = self.has_value && self.depth <= LEVELS;
        self.depth -= 1;
        if is_line {
            self.line(out)?;
        }
        self.has_value = true;
        out.write_all(sign)
    }

    fn value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        self.line(out)
    }
}

impl Formatter for Outline {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.value(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(if self.depth > LEVELS { b":" } else { b": " })
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn deep_values_are_one_line_and_all_are_as_they_were() {
        let value = json!({
            "a": [], "b": {}, "c": [{"x": [1, 2], "y": {}}, {"x": []}], "d": {"e": {"f": [3]}, "g": null},
        });
        let mut text = Vec::new();
        write(&mut text, &value).expect("memory takes it");
        let text = String::from_utf8(text).expect("JSON is UTF-8");
        let lines = [
            "{",
            "  \"a\": [],",
            "  \"b\": {},",
            "  \"c\": [",
            "    {\"x\":[1,2],\"y\":{}},",
            "    {\"x\":[]}",
            "  ],",
            "  \"d\": {",
            "    \"e\": {\"f\":[3]},",
            "    \"g\": null",
            "  }",
            "}",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
    }
}
