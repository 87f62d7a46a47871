//! The frame of the generated guest: the bindings, the writer of answers, and `describe` and `run`.
//!
//! `tests/conformance/build` generates the calls into the file that `CONFORMANCE_CALLS` names.
#![allow(unused_variables, clippy::all, reason = "calls are generated one by one")]

wit_bindgen::generate!({ world: "experiment", path: "../../../wit", generate_all });

use exports::llem::experiment::script::Guest;
use llem::experiment::*;

include!(env!("CONFORMANCE_CALLS"));

struct Script;

export!(Script);

impl Guest for Script {
    fn describe() -> description::About {
        let about =
            description::About::new("conformance", "0.1.0", "Calls every function of the contract.");
        let add = |name: &str, summary: &str, default| {
            let (name, summary) = (name.to_owned(), summary.to_owned());
            about.add_parameter(&description::Parameter { name, summary, default });
        };
        add("whole", "a whole number", types::Value::Integer(-3));
        add("number", "a number", types::Value::Number(0.1));
        add("flag", "true or false", types::Value::Boolean(true));
        add("text", "a text", types::Value::Text("h\u{e9}llo \u{1f980}".to_owned()));
        about.add_dataset(&description::DatasetInput {
            name: "rows".to_owned(),
            summary: "the rows that are read".to_owned(),
            required: false,
        });
        about
    }

    fn run() -> Result<(), types::Error> {
        let mut out = String::new();
        cases(&mut out);
        report::write_artifact("answers.jsonl", out.as_bytes())
    }
}

/// Writes a value as canonical JSON.
trait Json {
    fn json(&self, out: &mut String);
}

fn line(out: &mut String, prefix: &str, answer: &impl Json) {
    out.push_str(prefix);
    answer.json(out);
    out.push_str("}\n");
}

macro_rules! displayed {
    ($($kind:ty: $form:literal),*) => {
        $(impl Json for $kind {
            fn json(&self, out: &mut String) {
                out.push_str(&format!($form, self));
            }
        })*
    };
}

displayed!(bool: "{}", u8: "{}", u32: "{}", u64: "\"{}\"", i64: "\"{}\"");

impl Json for f32 {
    fn json(&self, out: &mut String) {
        match self.is_nan() {
            true => out.push_str("\"f32:nan\""),
            false => out.push_str(&format!("\"f32:{:08x}\"", self.to_bits())),
        }
    }
}

impl Json for f64 {
    fn json(&self, out: &mut String) {
        match self.is_nan() {
            true => out.push_str("\"f64:nan\""),
            false => out.push_str(&format!("\"f64:{:016x}\"", self.to_bits())),
        }
    }
}

impl Json for String {
    fn json(&self, out: &mut String) {
        out.push('"');
        for c in self.chars() {
            match c {
                '"' | '\\' | '\0'..='\x1f' => out.push_str(&format!("\\u{:04x}", c as u32)),
                _ => out.push(c),
            }
        }
        out.push('"');
    }
}

impl Json for () {
    fn json(&self, out: &mut String) {
        out.push_str("null");
    }
}

impl<T: Json> Json for Option<T> {
    fn json(&self, out: &mut String) {
        match self {
            Some(value) => value.json(out),
            None => out.push_str("null"),
        }
    }
}

impl<T: Json> Json for Vec<T> {
    fn json(&self, out: &mut String) {
        out.push('[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            item.json(out);
        }
        out.push(']');
    }
}

impl<A: Json, B: Json> Json for (A, B) {
    fn json(&self, out: &mut String) {
        out.push('[');
        self.0.json(out);
        out.push(',');
        self.1.json(out);
        out.push(']');
    }
}

impl<T: Json, E: Json> Json for Result<T, E> {
    fn json(&self, out: &mut String) {
        match self {
            Ok(value) => {
                out.push_str("{\"ok\":");
                value.json(out);
            }
            Err(error) => {
                out.push_str("{\"error\":");
                error.json(out);
            }
        }
        out.push('}');
    }
}
