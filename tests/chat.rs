//! Chat templates as a user meets them.

use crate::support::{Desk, fixtures, guest};
use std::fs;

/// A folder of a model that has a tokenizer and this template, and no more.
fn model(desk: &Desk, template: &str) -> String {
    let folder = desk.folder.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::copy(fixtures().join("tokenizer/tokenizer.json"), folder.join("tokenizer.json")).unwrap();
    fs::write(folder.join("chat_template.jinja"), template).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// What a conversation becomes.
fn rendered(template: &str, conversation: &str, args: &[&str]) -> String {
    let desk = Desk::new();
    let (model, chat) = (model(&desk, template), desk.file("chat.json", conversation));
    let args = [&["tokenize", &model, "--chat", &chat, "--json"], args].concat();
    desk.llem(&args).ok().json()["text"].as_str().unwrap().to_owned()
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

/// Fields that no contract names reach the template, in their order.
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
    let desk = Desk::new();
    let (model, chat) = (model(&desk, template), desk.file("chat.json", HI));
    let args = ["tokenize", &model, "--chat", &chat, "--date", "26 July"];
    desk.llem(&args).refused(2, &["--date"]);
}

#[test]
fn the_date_is_in_the_record() {
    let desk = Desk::new();
    desk.llem(&["exec", &guest("noop"), "--date", "2024-07-26"]).ok();
    assert_eq!(desk.record()["date"], "2024-07-26T00:00:00");
    let desk = Desk::new();
    desk.llem(&["exec", &guest("noop")]).ok();
    assert!(desk.record()["date"].as_str().unwrap().starts_with("20"), "the run's start");
}

#[test]
fn what_cannot_be_rendered_as_jinja2_does_is_refused() {
    for (template, said) in [
        ("{{ raise_exception('no tools here') }}", "no tools here"),
        ("\n{{ messages.nope.deeper }}", "line 2"),
        ("{{ lipsum() }}", "give the prompt as text"),
        ("{% include 'other' %}", "the tag 'include'"),
    ] {
        let desk = Desk::new();
        let (model, chat) = (model(&desk, template), desk.file("chat.json", HI));
        desk.llem(&["tokenize", &model, "--chat", &chat]).refused(2, &["chat template", said]);
    }
    let desk = Desk::new();
    let (model, chat) = (model(&desk, "a"), desk.file("chat.json", "[1]"));
    let refused = desk.llem(&["tokenize", &model, "--chat", &chat]);
    refused.refused(2, &["chat.json", "message 0 is no object"]);
}
