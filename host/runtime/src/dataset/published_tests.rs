//! Files as spreadsheets, pandas and scrapers write them.

use super::{
    tests::{failure, fixtures, read, written},
    *,
};
use crate::error::Refusal;
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, fs};

/// What Python's csv and json, pandas and pyarrow read in these files (`tests/fixtures/make-datasets`).
fn expected() -> BTreeMap<String, Vec<BTreeMap<String, Json>>> {
    let text = fs::read(fixtures().join("published/expected.json")).expect("a fixture");
    serde_json::from_slice(&text).expect("JSON")
}

/// A row as JSON, as scripts see it.
fn seen(row: Fields) -> BTreeMap<String, Json> {
    row.into_iter().map(|(name, value)| (name, value.to_json())).collect()
}

/// A cell as scripts see it: anything except text, numbers and booleans is its JSON text.
fn as_seen(cell: &Json) -> Json {
    match cell {
        Json::Null | Json::Array(_) | Json::Object(_) => cell.to_string().into(),
        plain => plain.clone(),
    }
}

#[test]
fn files_are_read_as_python_reads_them() {
    let expected = expected();
    assert!(expected.len() > 35, "{}", expected.len());
    for (file, rows) in expected.iter().filter(|(file, _)| file.contains('.')) {
        let (read, failure) = read(&fixtures().join("published").join(file));
        assert_eq!(failure, None, "{file}");
        let as_seen = |row: &BTreeMap<String, Json>| {
            row.iter().map(|(name, cell)| (name.clone(), as_seen(cell))).collect()
        };
        let as_seen: Vec<BTreeMap<_, _>> = rows.iter().map(as_seen).collect();
        assert_eq!(read.into_iter().map(seen).collect::<Vec<_>>(), as_seen, "{file}");
    }
}

/// The texts of a column as far as they can be read, and the error that ended the reading.
fn texts(path: &Path, column: &str) -> (Vec<String>, Option<Refusal>) {
    let mut rows = match OpenDataset::open_column("d", column, path) {
        Ok(rows) => rows,
        Err(error) => return (Vec::new(), Some(error.into())),
    };
    let mut texts = Vec::new();
    loop {
        match rows.next_row() {
            Ok(Some((index, fields))) => {
                assert_eq!(index, texts.len() as u64);
                let [(name, InputValue::Text(text))] = &fields[..] else { panic!("{fields:?}") };
                assert_eq!(name, column);
                texts.push(text.clone());
            }
            Ok(None) => {
                assert_eq!(rows.length().expect("counted"), texts.len() as u64);
                return (texts, None);
            }
            Err(error) => return (texts, Some(error.into())),
        }
    }
}

#[test]
fn prompts_are_their_texts_to_the_letter() {
    let expected = expected();
    for (file, rows) in &expected {
        let is_text = |row: &BTreeMap<String, Json>| {
            row.get("prompt").is_some_and(|prompt| prompt.is_string() && prompt != "")
        };
        if !file.contains('.') || file.ends_with(".parquet") || !rows.iter().all(is_text) {
            continue;
        }
        let prompts: Vec<_> =
            rows.iter().map(|row| row["prompt"].as_str().expect("text")).collect();
        let (read, refusal) = texts(&fixtures().join("published").join(file), "prompt");
        assert_eq!(
            (read, refusal),
            (prompts.iter().map(ToString::to_string).collect(), None),
            "{file}"
        );
    }
    for file in ["sharegpt.json", "sharegpt.jsonl", "sharegpt.parquet"] {
        let (read, refusal) = texts(&fixtures().join("published").join(file), "prompt");
        let read: Vec<_> = read.iter().map(|prompt| json!({ "prompt": prompt })).collect();
        assert_eq!((json!(read), refusal), (json!(expected["sharegpt"]), None), "{file}");
    }
}

#[test]
fn a_prompt_that_is_no_text_is_refused_with_its_line_and_column() {
    let lines =
        |cell: &str| format!("\u{feff}{{\"prompt\": \"one\"}}\r\n\r\n{{\"prompt\": {cell}}}");
    for (cell, what) in [
        ("null", "is null, not text"),
        ("[\"two\"]", "is a list, not text"),
        ("{\"a\": \"two\"}", "is an object, not text"),
        ("2024", "is a number, not text"),
        ("18446744073709551615", "is a number, not text"),
        ("true", "is true or false, not text"),
        ("\"\"", "is empty"),
    ] {
        let array = format!("[{{\"prompt\": \"one\"}}, {{\"prompt\": {cell}}}]");
        for (file, content, place) in
            [("d.jsonl", lines(cell), "line 3: "), ("d.json", array, "element 2: ")]
        {
            let (read, refusal) = written(file, content.as_bytes(), |path| texts(path, "prompt"));
            let sentence = refusal.expect("a refusal").to_string();
            assert_eq!(read, ["one"]);
            for word in ["dataset 'd', ", file, place, "'prompt' ", what] {
                assert!(sentence.contains(word), "{sentence}");
            }
        }
    }
    let (_, refusal) = texts(&fixtures().join("published/pandas.parquet"), "prompt");
    assert!(refusal.expect("a refusal").to_string().contains("row 2: 'prompt' is null"));
    for (column, what) in [("prompt", "is bytes"), ("when", "is a date or time")] {
        let (_, refusal) = texts(&fixtures().join("published/bytes.parquet"), column);
        let sentence = refusal.expect("a refusal").to_string();
        assert!(sentence.contains(&format!("row 1: '{column}' {what}")), "{sentence}");
    }
    let cells = b"id,prompt\n\n\n1,one\n2,\n";
    let (read, refusal) = written("d.csv", cells, |path| texts(path, "prompt"));
    assert_eq!(read, ["one"]);
    assert!(refusal.expect("a refusal").to_string().contains("line 5: 'prompt' is empty"));
    let turns =
        br#"[{"conversations": [{"from": "human", "value": null}, {"from": "gpt", "value": ""}]}]"#;
    let (_, refusal) = written("d.json", turns, |path| texts(path, "prompt"));
    let sentence = refusal.expect("a refusal").to_string();
    assert!(sentence.contains("element 1: 'conversations[0].value' is null"), "{sentence}");
}

#[test]
fn a_column_that_is_not_there_is_not_found_and_the_others_are_listed() {
    for (file, content) in [
        ("alpaca.json", r#"[{"instruction": "a", "input": "", "output": "b"}]"#),
        ("alpaca.csv", "instruction,input,output\na,,b\n"),
    ] {
        let (_, refusal) = written(file, content.as_bytes(), |path| texts(path, "prompt"));
        let Some(Refusal::NotFound(sentence)) = refusal else { panic!("{refusal:?}") };
        let listed = "there is no column 'prompt', but 'instruction', 'input', 'output'";
        assert!(sentence.contains(file) && sentence.contains(listed), "{sentence}");
        let (read, refusal) = written(file, content.as_bytes(), |path| texts(path, "instruction"));
        assert_eq!((read, refusal), (vec!["a".to_owned()], None));
    }
    let messages = br#"{"messages": [{"role": "user", "content": "a"}]}"#;
    let (_, refusal) = written("d.jsonl", messages, |path| texts(path, "prompt"));
    assert!(refusal.expect("a refusal").to_string().contains("but 'messages'"));
    // A later row that lacks it is damaged.
    let lines = b"{\"prompt\": \"a\"}\n{\"id\": 1}\n";
    let (read, refusal) = written("d.jsonl", lines, |path| texts(path, "prompt"));
    let Some(Refusal::InvalidArgument(sentence)) = refusal else { panic!("{refusal:?}") };
    assert_eq!(read, ["a"]);
    assert!(sentence.contains("line 2: there is no column 'prompt', but 'id'"), "{sentence}");
}

fn encoded(text: &str, unit: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    text.chars().flat_map(|letter| unit(letter.into())).collect()
}

#[test]
fn what_is_no_text_in_utf_8_is_called_what_it_is() {
    let text = "{\"prompt\": \"one\"}\n";
    type Unit = fn(u32) -> Vec<u8>;
    let units: [(&str, Unit); 4] = [
        ("UTF-16", |letter| (letter as u16).to_le_bytes().to_vec()),
        ("UTF-16", |letter| (letter as u16).to_be_bytes().to_vec()),
        ("UTF-32", |letter| letter.to_le_bytes().to_vec()),
        ("UTF-32", |letter| letter.to_be_bytes().to_vec()),
    ];
    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, unit) in units {
        files.push((name, encoded(text, unit)));
        files.push((name, encoded(&format!("\u{feff}{text}"), unit)));
    }
    files.extend([
        ("ZIP", b"PK\x03\x04rest".to_vec()),
        ("Parquet", b"PAR1rest".to_vec()),
        ("xz", b"\xfd7zXZ\0".to_vec()),
        ("bzip2", b"BZh91AY&SY".to_vec()),
        ("git lfs pull", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n".to_vec()),
        ("HTML", b"\n<!DOCTYPE html>\n<html>".to_vec()),
    ]);
    for file in ["d.jsonl", "d.json", "d.csv", "d.txt", "d.parquet"] {
        for (what, content) in
            files.iter().filter(|(what, _)| !file.ends_with(&what.to_lowercase()))
        {
            let sentence = written(file, content, read).1.expect("a failure");
            assert!(sentence.contains(file) && sentence.contains(what), "{file}: {sentence}");
        }
    }
}

#[test]
fn latin_1_is_refused_with_its_line() {
    for (file, content, place) in [
        ("d.jsonl", &b"{\"a\": \"b\"}\r\n{\"a\": \"caf\xe9\"}\r\n"[..], "line 2: "),
        ("d.txt", b"one\rcaf\xe9\n", "line 2: "),
        ("d.csv", b"a,b\r\n\"1\r\n1\",2\r\n\r\n3,caf\xe9\r\n", "line 5: 'b', "),
        ("d.json", b"[{\"a\": \"b\"},\n{\"a\": \"caf\xe9\"}]", "element 2: "),
        ("d.json", b"{\"a\":\n[\"caf\xe9\"]}", "UTF-8"),
    ] {
        let sentence = written(file, content, read).1.expect("a failure");
        for word in [place, "Latin-1", "UTF-8"] {
            assert!(sentence.contains(word), "{file}: {sentence}");
        }
    }
}

#[test]
fn damaged_tables_are_refused_with_their_line() {
    for (file, content, words) in [
        ("d.csv", "a,b\r\n1,2\r\n\r\n3\r\n", "line 4: it has 1 cells, and the header 2"),
        ("d.csv", "a,b\r1,2\r3,4,5\r", "line 3: it has 3 cells, and the header 2"),
        ("d.csv", "a,b\n\"1\n1\",2\n3,\"4\n5,6\n", "line 4: a quote opens here"),
        ("d.csv", "a\n1\n\"2", "line 3: a quote opens here"),
        ("d.csv", "a,b,a\n", "two columns are named 'a'"),
        ("d.csv", "", "it is empty"),
        ("d.csv", "\u{feff}\r\n\r\n", "it is empty"),
        ("d.tsv", "a\tb\n1,2\n", "line 2: it has 1 cells, and the header 2"),
        ("d.jsonl", "{\"a\": NaN}\n", "line 1: NaN or Infinity at its column 7"),
        ("d.jsonl", "\n{\"a\": [1, -Infinity]}\n", "line 2: NaN or Infinity"),
        ("d.json", "[{\"a\": 1}, {\"a\": Infinity}]", "element 2: NaN or Infinity"),
        ("d.json", "{\"a\":\n {\"b\": NaN}\n}", "line 2: NaN or Infinity"),
        ("d.jsonl", "{\"a\": 1} {\"a\": 2}\n", "line 1: trailing characters at its column 10"),
        ("d.parquet.gz", "", "decompress it"),
        ("d.jsonl.bz2", "", "the ending 'bz2' is not one of"),
    ] {
        let sentence = failure(file, content);
        assert!(sentence.contains(file) && sentence.contains(words), "{file}: {sentence}");
    }
    let deep = format!("{{\"a\": {}{}}}\n", "[".repeat(10_000), "]".repeat(10_000));
    assert!(failure("d.jsonl", &deep).contains("line 1: recursion limit"));
}

#[test]
fn a_file_of_one_object_is_bounded() {
    let large = format!("{{\"a\": [\n\"{}\"]}}", "x".repeat(bounded_reader::ROW as usize));
    let sentence = failure("d.json", &large);
    assert!(sentence.contains("more than 32 MiB") && sentence.contains("lines=True"), "{sentence}");
}

/// A line without an end is limited by its decompressed size.
#[test]
fn a_compressed_bomb_is_bounded() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..64 {
        encoder.write_all(&vec![b'x'; 1 << 20]).expect("compressed");
    }
    let bomb = encoder.finish().expect("compressed");
    for file in ["d.txt.gz", "d.csv.gz", "d.jsonl.gz"] {
        let sentence = written(file, &bomb, read).1.expect("a failure");
        assert!(sentence.contains("more than 32 MiB"), "{file}: {sentence}");
    }
}
