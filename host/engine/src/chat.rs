//! Chat templates: Jinja, rendered as transformers does (`utils/chat_template_utils.py`): blocks are
//! trimmed, strings have Python's methods, `raise_exception` refuses, `tojson` writes as Python does, and
//! the special tokens that the tokenizer has are defined. `strftime_now` is not: a run has no date, and
//! templates then fall back to one of their own.

use crate::{Error, Result, load::gguf::Gguf, text_file};
use minijinja::{
    Environment, ErrorKind, Value, context,
    syntax::SyntaxConfig,
    value::{Kwargs, Serde},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// One turn of a conversation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// A model's chat template with the special tokens that it may name.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
    /// `bos_token` and the like, those that the tokenizer has.
    special_tokens: BTreeMap<String, String>,
}

/// The special tokens that templates may name (transformers' `SPECIAL_TOKENS_ATTRIBUTES`).
const SPECIAL_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Instructions of a template, of which a turn of a conversation takes some hundred. Long strings count by their
/// length, so this bounds memory, too.
const MOST_STEPS: u64 = 2_000_000;

/// Signs and `not`s in a row, each of which takes a call of the parser.
const MOST_SIGNS: usize = 500;

/// Widest indentation that `tojson` is asked for.
const WIDEST_INDENT: usize = 64;

/// Files that a folder's template and its special tokens are read from.
pub(crate) const FILES: [&str; 2] = ["tokenizer_config.json", "chat_template.jinja"];

impl ChatTemplate {
    /// Reads `chat_template.jinja`, or else `tokenizer_config.json`'s `chat_template` (where it is a
    /// list, the one named `default`). None where the folder has neither.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let [config_path, file] = FILES.map(|name| folder.join(name));
        let config: serde_json::Value = if config_path.is_file() {
            text_file::parse(&text_file::read(&config_path)?, &config_path)?
        } else {
            serde_json::Value::Null
        };
        let named = |template: &&serde_json::Value| template["name"] == "default";
        let template = match &config["chat_template"] {
            serde_json::Value::Array(all) => {
                all.iter().find(named).map_or(&serde_json::Value::Null, |one| &one["template"])
            }
            one => one,
        };
        let source = if file.is_file() {
            Some(text_file::read(&file)?)
        } else {
            template.as_str().map(str::to_owned)
        };
        // A special token is a string, or an object that holds it as `content`.
        let token = |name: &str| {
            let value = &config[name];
            Some((name.to_owned(), value.as_str().or(value["content"].as_str())?.to_owned()))
        };
        let special_tokens = SPECIAL_TOKENS.into_iter().filter_map(token).collect();
        Ok(source.map(|source| Self { source, special_tokens }))
    }

    /// The template of a GGUF file.
    pub fn from_gguf(gguf: &Gguf) -> Option<Self> {
        let token = |name: &str| {
            let id = format!("tokenizer.ggml.{name}_id");
            Some((name.to_owned(), gguf.token(&id)?))
        };
        Some(Self {
            source: gguf.text("tokenizer.chat_template")?,
            special_tokens: ["bos_token", "eos_token"].into_iter().filter_map(token).collect(),
        })
    }

    /// Renders a conversation, ready for the assistant's turn.
    pub fn render(&self, messages: &[Message]) -> Result<String> {
        let broken = |error: minijinja::Error| match error.kind() {
            ErrorKind::OutOfFuel => Error::Invalid(format!(
                "chat template: it takes more than {MOST_STEPS} steps for this conversation; give the prompt as text"
            )),
            _ => Error::Invalid(format!("chat template: {error}")),
        };
        if signs(&self.source) > MOST_SIGNS {
            return Err(Error::Invalid(format!(
                "chat template: it has more than {MOST_SIGNS} signs in a row; give the prompt as text"
            )));
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(MOST_STEPS));
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(broken)?);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", to_json);
        environment.add_function(
            "raise_exception",
            |message: String| -> std::result::Result<(), _> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment
            .render_str(
                &without_generation_marks(&self.source),
                context! {
                    messages => Serde(messages),
                    add_generation_prompt => true,
                    ..Value::from_pairs(self.special_tokens.clone())
                },
            )
            .map_err(broken)
    }
}

/// The most signs and `not`s that follow one another.
fn signs(source: &str) -> usize {
    let (mut rest, mut count, mut most) = (source, 0, 0);
    while let Some(first) = rest.chars().next() {
        let word = ["-", "not"].into_iter().find_map(|word| rest.strip_prefix(word));
        count = match word {
            Some(_) => count + 1,
            None if first.is_whitespace() => count,
            None => 0,
        };
        most = most.max(count);
        rest = word.unwrap_or(&rest[first.len_utf8()..]);
    }
    most
}

/// Python's `json.dumps` without ASCII escapes, as transformers defines the filter.
fn to_json(value: &Value, options: Kwargs) -> std::result::Result<Value, minijinja::Error> {
    /// Python's separators of a single line.
    struct Spaced;
    impl serde_json::ser::Formatter for Spaced {
        fn begin_array_value<W: ?Sized + std::io::Write>(
            &mut self,
            writer: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }
        fn begin_object_key<W: ?Sized + std::io::Write>(
            &mut self,
            writer: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }
        fn begin_object_value<W: ?Sized + std::io::Write>(
            &mut self,
            writer: &mut W,
        ) -> std::io::Result<()> {
            writer.write_all(b": ")
        }
    }
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    let bad = |message: String| minijinja::Error::new(ErrorKind::BadSerialization, message);
    if indent.is_some_and(|width| width > WIDEST_INDENT) {
        return Err(bad(format!("tojson indents by at most {WIDEST_INDENT}")));
    }
    let mut text = Vec::new();
    let written = match indent {
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Spaced)),
        Some(width) => {
            let spaces = " ".repeat(width);
            let pretty = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, pretty))
        }
    };
    written.map_err(|error| bad(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|error| bad(error.to_string()))?;
    Ok(Value::from_safe_string(text))
}

/// transformers' own tags around what the assistant says, `{% generation %}` and `{% endgeneration %}`,
/// print nothing; whitespace control of theirs is kept.
fn without_generation_marks(source: &str) -> String {
    let mut text = source.to_owned();
    for tag in ["generation", "endgeneration"] {
        for (begin, end) in [("{%", "%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%-", "-%}")] {
            let comment = format!("{}{}", begin.replace('%', "#"), end.replace('%', "#"));
            text = text.replace(&format!("{begin} {tag} {end}"), &comment);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixtures() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/chat")
    }

    /// What transformers rendered (`tests/fixtures/make-chat`).
    #[test]
    fn conversations_look_as_transformers_renders_them() {
        let template = ChatTemplate::read(&fixtures()).expect("readable").expect("a template");
        let expected = text_file::read(&fixtures().join("expected.json")).expect("readable");
        let expected: serde_json::Value = serde_json::from_str(&expected).expect("JSON");
        for case in expected["cases"].as_array().expect("cases") {
            let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
            let turns = case["messages"].as_array().expect("messages").iter();
            let messages: Vec<Message> = turns
                .map(|turn| Message { role: text(&turn["role"]), content: text(&turn["content"]) })
                .collect();
            assert_eq!(template.render(&messages).expect("rendered"), text(&case["rendered"]));
        }
    }

    #[test]
    fn a_template_that_does_not_end_is_refused() {
        let render = |source: &str| {
            let template =
                ChatTemplate { source: source.to_owned(), special_tokens: BTreeMap::new() };
            template.render(&[]).expect_err("refused").to_string()
        };
        let each = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(render(each).contains("2000000 steps"), "{}", render(each));
        let signs = format!("{{{{ {}1 }}}}", "- not ".repeat(50_000));
        assert!(render(&signs).contains("signs in a row"), "{}", render(&signs));
        assert!(render("{{ [1] | tojson(indent=999999999999) }}").contains("at most 64"));
    }

    #[test]
    fn a_template_may_refuse_in_its_own_words() {
        let template = ChatTemplate::read(&fixtures()).expect("readable").expect("a template");
        let message = Message { role: "tool".to_owned(), content: "4".to_owned() };
        let refusal = template.render(&[message]).expect_err("refused").to_string();
        assert!(refusal.contains("unknown role tool"), "{refusal}");
    }
}
