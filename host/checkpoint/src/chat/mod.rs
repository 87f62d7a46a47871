//! Chat templates: Jinja, rendered as transformers does (`utils/chat_template_utils.py`): blocks are
//! trimmed, strings have Python's methods, `raise_exception` refuses, `tojson` writes as Python does, truth values and
//! nothing print as Python's, and the special tokens that the tokenizer has are defined, as are the caller's arguments.
//! `strftime_now` is not: a run has no date, and templates then fall back to one of their own.

use crate::{
    Error, Result,
    gguf::Gguf,
    text_file,
    tokenizer::special_tokens::{SpecialTokens, TOKENIZER_CONFIG},
};
use minijinja::{
    Environment, ErrorKind, Output, State, Value, context, escape_formatter,
    syntax::SyntaxConfig,
    value::{Kwargs, Serde, ValueKind},
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

/// What a variable of a template is set to.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum ArgumentValue {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number; it need not be whole.
    Number(f64),
    /// A text.
    Text(String),
}

/// A variable of a template by its name, as `enable_thinking`, and its value. A template that does not know the name
/// ignores it, as in transformers.
pub type Argument = (String, ArgumentValue);

/// A model's chat template with the special tokens that it may name.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
    /// Those with a role are variables of the template, as `bos_token`.
    special_tokens: SpecialTokens,
}

/// Whether the template is to begin the assistant's turn; transformers' argument of that name.
const GENERATION_PROMPT: &str = "add_generation_prompt";

/// Names that are no template's variables, because `apply_chat_template` sets them or takes them for itself.
const RESERVED: [&str; 18] = [
    "messages",
    "tools",
    "documents",
    "raise_exception",
    "strftime_now",
    "conversation",
    "chat_template",
    "continue_final_message",
    "tokenize",
    "sanitize_control_tokens",
    "padding",
    "truncation",
    "max_length",
    "return_tensors",
    "return_dict",
    "return_assistant_tokens_mask",
    "tokenizer_kwargs",
    "self",
];

/// Instructions of a template, of which a turn of a conversation takes some hundred. Long strings count by their
/// length, so this bounds memory, too.
const MOST_STEPS: u64 = 2_000_000;

/// Signs and `not`s in a row, each of which takes a call of the parser.
const MOST_SIGNS: usize = 500;

/// Widest indentation that `tojson` is asked for.
const WIDEST_INDENT: usize = 64;

/// The file of a folder that holds a template alone.
pub(crate) const TEMPLATE_FILE: &str = "chat_template.jinja";

impl ChatTemplate {
    /// Reads `chat_template.jinja`, or else `tokenizer_config.json`'s `chat_template` (where it is a
    /// list, the one named `default`). None where the folder has neither.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let [config_path, file] = [TOKENIZER_CONFIG, TEMPLATE_FILE].map(|name| folder.join(name));
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
        let special_tokens = SpecialTokens::read(folder)?;
        Ok(source.map(|source| Self { source, special_tokens }))
    }

    /// The template of a GGUF file.
    pub fn from_gguf(gguf: &Gguf) -> Option<Self> {
        Some(Self {
            source: gguf.text("tokenizer.chat_template")?,
            special_tokens: SpecialTokens::from_gguf(gguf),
        })
    }

    /// Renders a conversation, ready for the assistant's turn unless the argument `add_generation_prompt` is false.
    /// Arguments are variables of the template and go before special tokens of the same name.
    ///
    /// # Errors
    /// An argument has a name that is not the caller's to set, or is given twice or is no finite number; the template is broken, refuses, or
    /// takes too many steps.
    pub fn render(&self, messages: &[Message], arguments: &[Argument]) -> Result<String> {
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
        environment.set_formatter(print);
        environment
            .render_str(
                &without_generation_marks(&self.source),
                context! {
                    messages => Serde(messages),
                    tools => (),
                    documents => (),
                    ..self.variables(arguments)?
                },
            )
            .map_err(broken)
    }

    /// What a template sees besides the conversation.
    fn variables(&self, arguments: &[Argument]) -> Result<Value> {
        let roles = self.special_tokens.roles().iter();
        let mut variables: BTreeMap<&str, Value> =
            roles.map(|(role, text)| (*role, Value::from(&text[..]))).collect();
        variables.insert(GENERATION_PROMPT, true.into());
        for (index, (name, value)) in arguments.iter().enumerate() {
            let refused = |reason: &str| {
                Err(Error::Invalid(format!("chat template: argument '{name}' {reason}")))
            };
            if RESERVED.contains(&&name[..]) {
                return refused("is none of the template's variables: give it another name");
            }
            if arguments[..index].iter().any(|(earlier, _)| earlier == name) {
                return refused("is given twice: leave one out");
            }
            if name == GENERATION_PROMPT && !matches!(value, ArgumentValue::Boolean(_)) {
                return refused("is true or false");
            }
            if matches!(value, ArgumentValue::Number(number) if !number.is_finite()) {
                return refused("is no finite number");
            }
            variables.insert(name, value.into());
        }
        Ok(Value::from_pairs(variables))
    }
}

impl From<&ArgumentValue> for Value {
    fn from(value: &ArgumentValue) -> Self {
        match value {
            ArgumentValue::Boolean(value) => (*value).into(),
            ArgumentValue::Integer(value) => (*value).into(),
            ArgumentValue::Number(value) => (*value).into(),
            ArgumentValue::Text(value) => (&value[..]).into(),
        }
    }
}

/// Prints a value, as Python spells it where that is another word.
fn print(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> std::result::Result<(), minijinja::Error> {
    let word = match value.kind() {
        ValueKind::None => "None",
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        _ => return escape_formatter(out, state, value),
    };
    escape_formatter(out, state, &word.into())
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

    fn message(role: &str, content: &str) -> Message {
        Message { role: role.to_owned(), content: content.to_owned() }
    }

    /// What transformers rendered (`tests/fixtures/make-chat`).
    #[test]
    fn conversations_look_as_transformers_renders_them() {
        for (folder, count) in [("chat", 2), ("chat-arguments", 12)] {
            let folder = fixtures().with_file_name(folder);
            let template = ChatTemplate::read(&folder).expect("readable").expect("a template");
            let expected = text_file::read(&folder.join("expected.json")).expect("readable");
            let expected: serde_json::Value = serde_json::from_str(&expected).expect("JSON");
            let cases = expected["cases"].as_array().expect("cases");
            assert_eq!(cases.len(), count);
            for case in cases {
                let messages: Vec<Message> =
                    serde_json::from_value(case["messages"].clone()).expect("messages");
                let arguments: Option<BTreeMap<String, ArgumentValue>> =
                    serde_json::from_value(case["arguments"].clone()).expect("arguments");
                let arguments: Vec<Argument> = arguments.into_iter().flatten().collect();
                let rendered = template.render(&messages, &arguments).expect("rendered");
                assert_eq!(rendered, case["rendered"], "{arguments:?}");
            }
        }
    }

    #[test]
    fn arguments_that_are_not_the_callers_are_refused() {
        let template = ChatTemplate::read(&fixtures()).expect("readable").expect("a template");
        let refusal = |arguments: &[(&str, ArgumentValue)]| {
            let arguments: Vec<Argument> =
                arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let refused = template.render(&[message("user", "a")], &arguments);
            refused.expect_err("refused").to_string()
        };
        let yes = ArgumentValue::Boolean(true);
        for name in RESERVED {
            assert!(refusal(&[(name, yes.clone())]).contains(&format!("'{name}'")));
        }
        assert!(refusal(&[("a", yes.clone()), ("a", yes)]).contains("twice"));
        let number = ArgumentValue::Integer(1);
        assert!(refusal(&[(GENERATION_PROMPT, number)]).contains("true or false"));
        assert!(refusal(&[("a", ArgumentValue::Number(f64::NAN))]).contains("no finite number"));
    }

    #[test]
    fn a_template_that_does_not_end_is_refused() {
        let render = |source: &str| {
            let template = ChatTemplate {
                source: source.to_owned(),
                special_tokens: SpecialTokens::default(),
            };
            template.render(&[], &[]).expect_err("refused").to_string()
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
        let refusal =
            template.render(&[message("tool", "4")], &[]).expect_err("refused").to_string();
        assert!(refusal.contains("unknown role tool"), "{refusal}");
    }
}
