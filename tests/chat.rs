//! Chat templates through `llem tokenize --chat`.

use crate::support::{TestContext, fixtures, guest};
use std::fs;

/// Makes a model folder that holds a tokenizer and this template, and nothing else.
fn model(context: &TestContext, template: &str) -> String {
    let folder = context.folder.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::copy(fixtures().join("tokenizer/tokenizer.json"), folder.join("tokenizer.json")).unwrap();
    fs::write(folder.join("chat_template.jinja"), template).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// Returns the text that a conversation is rendered to.
fn rendered(template: &str, conversation: &str, args: &[&str]) -> String {
    let context = TestContext::new();
    let (model, chat) = (model(&context, template), context.file("chat.json", conversation));
    let args = [&["tokenize", &model, "--chat", &chat, "--json"], args].concat();
    context.llem(&args).ok().json()["text"].as_str().unwrap().to_owned()
}

const HI: &str = r#"[{"role": "user", "content": "hi"}]"#;

#[test]
fn what_is_not_given_is_none() {
    let template = "{% if tools is not none %}TOOLS{% endif %}{% if documents is not none %}DOCS{% endif %}\
                    {{ messages[0].content }}";
    assert_eq!(rendered(template, HI, &[]), "hi");
    let whole = format!(r#"{{"messages": {HI}, "tools": [], "documents": []}}"#);
    assert_eq!(rendered(template, &whole, &[]), "TOOLSDOCShi");
}

/// Fields of a message that llem does not know reach the template, in their order.
#[test]
fn a_message_is_given_whole() {
    let conversation = r#"{
        "messages": [{"role": "assistant", "tool_calls": [{"z": 1, "a": [1.0, null, true]}], "content": null}],
        "enable_thinking": false, "chat_template_kwargs": {"effort": "high"}
    }"#;
    assert_eq!(
        rendered("{{ messages }}{{ enable_thinking }}{{ effort }}", conversation, &[]),
        "[{'role': 'assistant', 'tool_calls': [{'z': 1, 'a': [1.0, None, True]}]}]Falsehigh"
    );
}

#[test]
fn a_template_is_told_the_date_that_was_given() {
    let template = "{{ strftime_now('%d %b %Y %H:%M') }}";
    assert_eq!(rendered(template, HI, &["--date", "2024-07-26"]), "26 Jul 2024 00:00");
    assert_eq!(rendered(template, HI, &["--date", "2024-07-26T13:05"]), "26 Jul 2024 13:05");
    let year: i32 = rendered("{{ strftime_now('%Y') }}", HI, &[]).parse().unwrap();
    assert!(year >= 2025, "{year}: the machine's date otherwise");
    let context = TestContext::new();
    let (model, chat) = (model(&context, template), context.file("chat.json", HI));
    let args = ["tokenize", &model, "--chat", &chat, "--date", "26 July"];
    context.llem(&args).refused(2, &["--date"]);
}

#[test]
fn the_date_is_in_the_record() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("noop"), "--date", "2024-07-26"]).ok();
    assert_eq!(context.record()["date"], "2024-07-26T00:00:00");
    let context = TestContext::new();
    context.llem(&["exec", &guest("noop")]).ok();
    assert!(context.record()["date"].as_str().unwrap().starts_with("20"), "the run's start");
}

#[test]
fn what_cannot_be_rendered_as_jinja2_does_is_refused() {
    for (template, said) in [
        ("{{ raise_exception('no tools here') }}", "no tools here"),
        ("\n{{ messages.nope.deeper }}", "line 2"),
        ("{{ lipsum() }}", "give the prompt as text"),
        ("{% include 'other' %}", "the tag 'include'"),
    ] {
        let context = TestContext::new();
        let (model, chat) = (model(&context, template), context.file("chat.json", HI));
        context.llem(&["tokenize", &model, "--chat", &chat]).refused(2, &["chat template", said]);
    }
    let context = TestContext::new();
    let (model, chat) = (model(&context, "a"), context.file("chat.json", "[1]"));
    let refused = context.llem(&["tokenize", &model, "--chat", &chat]);
    refused.refused(2, &["chat.json", "message 0 is no object"]);
}
