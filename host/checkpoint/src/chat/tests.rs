//! Compares rendered texts with those of transformers and Jinja2 (`tests/fixtures/make-chat` made them).

use super::{ChatTemplate, Conversation, Message, TemplateValue, jinja, render::RESERVED};
use crate::text_file;
use indexmap::IndexMap;
use jiff::civil::{DateTime, date};
use serde::Deserialize;
use std::path::{Path, PathBuf};

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

/// The date at which the fixtures were rendered.
fn fixture_date() -> DateTime {
    date(2026, 3, 5).at(9, 7, 3, 0)
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    text_file::parse(&text_file::read(path).expect("readable"), path).expect("JSON")
}

fn user_conversation(content: &str) -> Conversation {
    Conversation::new(vec![Message::new("user", content)], Vec::new())
}

fn refusal(source: &str, conversation: &Conversation) -> String {
    let template = ChatTemplate::from_source(source);
    template.render(conversation, fixture_date()).expect_err("refused").to_string()
}

/// A conversation and the text that transformers rendered. `None` if transformers refused it.
#[derive(Deserialize)]
struct Case {
    name: String,
    conversation: TemplateValue,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
}

/// Every fixture folder, and the number of its cases.
const FOLDERS: [(&str, usize); 6] =
    [("plain", 2), ("arguments", 12), ("tools", 11), ("named", 5), ("list", 4), ("continued", 8)];

#[test]
fn conversations_look_as_transformers_renders_them() {
    for (folder, count) in FOLDERS {
        let folder = fixtures("chat").join(folder);
        let template = ChatTemplate::from_folder(&folder).expect("readable").expect("a template");
        let expected: Expected = json(&folder.join("expected.json"));
        assert_eq!(expected.cases.len(), count, "{}", folder.display());
        for Case { name, conversation, rendered } in expected.cases {
            let conversation = Conversation::from_json(conversation).expect("a conversation");
            let ours = template.render(&conversation, fixture_date());
            match rendered {
                Some(rendered) => assert_eq!(ours.expect(&name), rendered, "{name}"),
                None => assert!(ours.is_err(), "{name}: {ours:?}"),
            }
        }
    }
}

#[test]
fn every_template_folder_is_tried() {
    let folders = std::fs::read_dir(fixtures("chat")).expect("readable");
    let folders = folders.filter(|entry| entry.as_ref().expect("an entry").path().is_dir());
    assert_eq!(folders.count(), FOLDERS.len());
}

/// A template and the text that Jinja2 rendered with the table's variables. `None` if Jinja2 refused it.
#[derive(Deserialize)]
struct Row {
    template: String,
    rendered: Option<String>,
    /// True if Jinja2 renders the template and llem refuses it.
    #[serde(default)]
    unsupported: bool,
}

#[derive(Deserialize)]
struct Table {
    variables: IndexMap<String, TemplateValue>,
    rows: Vec<Row>,
}

#[test]
fn each_feature_of_jinja2_does_what_jinja2_does() {
    let table: Table = json(&fixtures("chat/jinja2.json"));
    assert!(table.rows.len() > 300, "{} rows", table.rows.len());
    let value = |(name, value): (String, TemplateValue)| {
        (name.into(), super::render::to_py_value(&value).expect("a value"))
    };
    let variables = table.variables.into_iter().map(value).collect();
    let mut wrong = Vec::new();
    for Row { template, rendered, unsupported } in table.rows {
        let ours = jinja::render(&template, &variables, fixture_date());
        let fits = match (&ours, &rendered) {
            (Ok(ours), Some(theirs)) => ours == theirs && !unsupported,
            (Err(error), theirs) => {
                (error.kind == jinja::RenderErrorKind::Unsupported) == unsupported
                    && (unsupported || theirs.is_none())
            }
            _ => false,
        };
        if !fits {
            wrong.push(format!("{template:?}\n  Jinja2 {rendered:?}\n  ours   {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn arguments_that_are_not_the_callers_are_refused() {
    let refusal = |arguments: &[(&str, TemplateValue)]| {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let messages = vec![Message::new("user", "a")];
        refusal("{{ messages }}", &Conversation::new(messages, arguments.collect()))
    };
    let yes = TemplateValue::Boolean(true);
    for name in RESERVED {
        assert!(refusal(&[(name, yes.clone())]).contains(&format!("'{name}'")));
    }
    assert!(refusal(&[("a", yes.clone()), ("a", yes)]).contains("twice"));
    let number = TemplateValue::Integer(1);
    assert!(refusal(&[("add_generation_prompt", number)]).contains("true or false"));
    assert!(refusal(&[("a", TemplateValue::Number(f64::NAN))]).contains("no finite number"));
    assert!(refusal(&[("a", TemplateValue::Number(1e300))]).contains("beyond 64 bits"));
}

/// Large integers, floats and the order of keys are kept.
#[test]
fn a_conversation_keeps_what_its_json_says() {
    let text = r#"[{"role": "user", "b": [18446744073709551615, -1, 1.0, 1e3], "a": {"z": 1, "y": null}}]"#;
    let conversation: TemplateValue = serde_json::from_str(text).expect("JSON");
    let conversation = Conversation::from_json(conversation).expect("a conversation");
    let rendered =
        ChatTemplate::from_source("{{ messages[0] }}").render(&conversation, fixture_date());
    assert_eq!(
        rendered.expect("rendered"),
        "{'role': 'user', 'b': [18446744073709551615, -1, 1.0, 1000.0], 'a': {'z': 1, 'y': None}}"
    );
}

#[test]
fn json_that_is_no_conversation_is_refused_with_its_field() {
    for (text, said) in [
        ("{}", "has no 'messages'"),
        ("[1]", "message 0 is no object"),
        (r#"{"messages": 1}"#, "'messages' is no list"),
        (r#"{"messages": [], "tools": {}}"#, "'tools' is no list"),
        (r#"{"messages": [], "chat_template": 1}"#, "'chat_template' is not of the kind"),
    ] {
        let json = serde_json::from_str(text).expect("JSON");
        let refused = Conversation::from_json(json).expect_err("refused").to_string();
        assert!(refused.contains(said), "{text}: {refused}");
    }
    assert!(refusal("a", &Conversation::default()).contains("the conversation is empty"));
}

#[test]
fn an_unknown_template_name_is_refused_with_the_known_names() {
    let named =
        ChatTemplate::from_folder(&fixtures("chat/named")).expect("readable").expect("templates");
    let mut conversation = user_conversation("a");
    conversation.template = Some("reg".to_owned());
    let refused = named.render(&conversation, fixture_date()).expect_err("refused").to_string();
    assert!(
        refused.contains("none named 'reg': choose one of default, rag, tool_use"),
        "{refused}"
    );
}

#[test]
fn a_template_that_does_not_end_is_refused() {
    let render = |source: &str| refusal(source, &user_conversation("a"));
    let each = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    assert!(render(each).contains("2000000 steps"), "{}", render(each));
    for long in [
        "{{ 'a' * 9999999999 }}",
        "{{ [1] * 9999999999 }}",
        "{{ [1] | tojson(indent=999999999999) }}",
        "{{ '%999999999999d' % 1 }}",
        "{{ '{:999999999999}'.format(1) }}",
        "{{ 'a'.center(999999999999) }}",
        "{{ 'a'.zfill(999999999999) }}",
        "{{ 'a' | indent(999999999999) }}",
        "{{ 'aaaa'.replace('', 'b' * 1000000) }}{{ 'x' * 100000000 }}",
        "{{ [1] | batch(999999999999, 0) | list }}",
        "{{ [1] | slice(999999999999) | list }}",
        "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% set n = namespace(x=[1, 2]) %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% set n = namespace(x=[1, 2]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    ] {
        assert!(render(long).contains("2000000 steps"), "{long}: {}", render(long));
    }
}

/// A test's thread has a stack of 2 MiB.
#[test]
fn a_template_that_nests_too_deep_is_refused() {
    let render = |source: &str| refusal(source, &user_conversation("a"));
    let many = 100_000;
    for deep in [
        format!("{{{{ {}1 }}}}", "- ".repeat(many)),
        format!("{{{{ {}1 }}}}", "not ".repeat(many)),
        format!("{{{{ {}1{} }}}}", "(".repeat(many), ")".repeat(many)),
        format!("{{{{ {}1{} }}}}", "[".repeat(many), "]".repeat(many)),
        format!("{{{{ 1{} }}}}", " + 1".repeat(many)),
        format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(many)),
        format!("{{{{ a{} }}}}", ".a".repeat(many)),
        format!("{{{{ ''{} }}}}", " | trim".repeat(many)),
        format!("{{% set {}a{} = 1 %}}", "(".repeat(many), ")".repeat(many)),
        "{% if 1 %}".repeat(many),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_owned(),
        "{% set n = namespace(x=1) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}"
            .to_owned(),
    ] {
        assert!(render(&deep).contains("deep"), "{}: {}", &deep[..40], render(&deep));
    }
}

#[test]
fn a_template_may_refuse_in_its_own_words() {
    let refused = refusal("\n{{ raise_exception('no tools') }}", &user_conversation("a"));
    assert_eq!(refused, "chat template: it refuses this conversation: no tools");
}

#[test]
fn a_broken_template_is_refused_with_its_line() {
    let refused = refusal("\n\n{{ messages.nope.deeper }}", &user_conversation("a"));
    assert_eq!(refused, "chat template, line 3: 'list object' has no attribute 'nope'");
    let refused = refusal("a\n{{ 1 | lipsum }}{{ lipsum() }}", &user_conversation("a"));
    assert!(refused.starts_with("chat template, line 2: No filter named 'lipsum'"), "{refused}");
    let refused = refusal("{{ lipsum() }}", &user_conversation("a"));
    assert!(refused.contains("'lipsum', which is random, which llem does not render"), "{refused}");
}
