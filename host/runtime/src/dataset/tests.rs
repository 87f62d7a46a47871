use super::*;
use std::{fs, path::PathBuf};

pub(super) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/datasets")
}

/// The rows of a file as far as they can be read, and the error that ended the reading.
pub(super) fn read(path: &Path) -> (Vec<Fields>, Option<String>) {
    let mut rows = match OpenDataset::open("d", path) {
        Ok(rows) => rows,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let mut all = Vec::new();
    loop {
        match rows.next_row() {
            Ok(Some((index, fields))) => {
                assert_eq!(index, all.len() as u64);
                all.push(fields);
            }
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error.to_string())),
        }
    }
}

pub(super) fn written<T>(file: &str, content: &[u8], with: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(file);
    fs::write(&path, content).expect("written");
    with(&path)
}

fn rows(file: &str, content: &str) -> Vec<Fields> {
    let (rows, failure) = written(file, content.as_bytes(), read);
    assert_eq!(failure, None);
    rows
}

pub(super) fn failure(file: &str, content: &str) -> String {
    written(file, content.as_bytes(), read).1.expect("a failure")
}

fn texts(fields: &Fields) -> Vec<String> {
    let text = |(name, value): &(String, InputValue)| format!("{name}={value:?}");
    fields.iter().map(text).collect()
}

#[test]
fn cells_of_a_csv_file_are_text() {
    let cells = ["007", "42", "9223372036854775808", "1e5", "true", "", " 3 "];
    let content =
        format!("\u{feff}prompt\n{}\n", cells.map(|cell| format!("\"{cell}\"")).join("\n"));
    let read: Vec<_> = rows("d.csv", &content).iter().flat_map(texts).collect();
    assert_eq!(read, cells.map(|cell| format!("prompt=Text({cell:?})")));
}

#[test]
fn json_keeps_what_it_means_and_its_order() {
    let line = r#"{"z":"007","a":42,"m":9223372036854775808,"e":1e5,"t":true,"n":null,"l":[1, 2]}"#;
    let expected = [
        r#"z=Text("007")"#,
        "a=Integer(42)",
        r#"m=Text("9223372036854775808")"#,
        "e=Number(100000.0)",
        "t=Boolean(true)",
        r#"n=Text("null")"#,
        r#"l=Text("[1,2]")"#,
    ];
    for (file, content) in [("d.jsonl", line), ("d.json", &format!("\u{feff} [\n{line}\n] \n"))] {
        let read: Vec<_> = rows(file, content).iter().flat_map(texts).collect();
        assert_eq!(read, expected, "{file}");
    }
}

#[test]
fn what_is_no_row_is_passed_over() {
    let lines = "\u{feff}{\"_provenance\": \"https://example.org\"}\n\n{\"a\": 1}\n{\"a\": 2}";
    assert_eq!(rows("d.jsonl", lines).len(), 2);
    let array = r#"[{"a": 1}, {"_provenance": "https://example.org"}, {"a": 2}]"#;
    assert_eq!(rows("d.json", array).len(), 2);
    assert_eq!(rows("d.json", "[]").len(), 0);
    let lines = rows("d.txt", "\u{feff}one\n\nthree");
    assert_eq!(lines.len(), 3);
    assert_eq!(texts(&lines[0]), [r#"text=Text("one")"#]);
}

#[test]
fn every_format_counts_and_goes_back() {
    let parquet = fs::read(fixtures().join("cells-zstd-2.parquet")).expect("a fixture");
    let files: [(&str, &[u8], u64); 5] = [
        ("d.jsonl", b"{\"_provenance\": \"x\"}\n{\"a\": 1}\n\n{\"a\": 2}\n", 2),
        ("d.json", b"[{\"_provenance\": \"x\"}, {\"a\": 1}, {\"a\": 2}]", 2),
        ("d.csv", b"a\n1\n\"2\n3\"\n", 2),
        ("d.txt", b"one\n\nthree\n", 3),
        ("d.parquet", &parquet, 5),
    ];
    for (file, content, length) in files {
        written(file, content, |path| {
            let (all, _) = read(path);
            let mut rows = OpenDataset::open("d", path).expect("opened");
            let first = rows.next_row().expect("read").expect("a row");
            assert_eq!(rows.length().expect("counted"), length, "{file}");
            let second = rows.next_row().expect("read").expect("a row");
            assert_eq!((second.0, texts(&second.1)), (1, texts(&all[1])), "{file}");
            while rows.next_row().expect("read").is_some() {}
            assert!(rows.next_row().expect("read").is_none(), "{file}");
            rows.rewind().expect("back");
            let again = rows.next_row().expect("read").expect("a row");
            assert_eq!((again.0, texts(&again.1)), (0, texts(&first.1)), "{file}");
        });
    }
}

#[test]
fn parquet_cells_are_those_that_pyarrow_wrote() {
    let (expected, none) = read(&fixtures().join("cells.jsonl"));
    assert_eq!(none, None);
    let expected: Vec<_> = expected.iter().map(texts).collect();
    for compression in ["none", "snappy", "zstd", "gzip"] {
        for version in [1, 2] {
            let file = format!("cells-{compression}-{version}.parquet");
            let (rows, failure) = read(&fixtures().join(&file));
            assert_eq!(failure, None, "{file}");
            assert_eq!(rows.iter().map(texts).collect::<Vec<_>>(), expected, "{file}");
        }
    }
}

#[test]
fn a_failure_names_the_file_and_the_row_and_stays() {
    for (file, content, place) in [
        ("d.jsonl", "{\"a\": 1}\n{\"a\": \n", "line 2: EOF while parsing a value"),
        ("d.jsonl", "1\n", "line 1: invalid type: integer `1`, expected an object at its column 1"),
        ("d.json", "[{\"a\": 1}, {\"a\": ", "element 2: EOF while parsing a value"),
        ("d.json", "[{\"a\": 1} {}]", "element 2: there is no comma before it"),
        ("d.json", "[{\"a\": 1}", "element 2: the file ends before its array does"),
        ("d.json", "[{\"a\": 1}] []", "element 2: something follows the array"),
        ("d.csv", "a,b\n1,2\n3\n", "line 3"),
        ("d.xlsx", "", "the ending 'xlsx' is not one of .jsonl, .ndjson, .json, .csv, .tsv, .txt"),
    ] {
        let sentence = failure(file, content);
        assert!(sentence.contains(place) && sentence.contains(file), "{file}: {sentence}");
    }
    written("d.jsonl", b"{\"a\": 1}\nx\n{\"a\": 2}\n", |path| {
        let mut rows = OpenDataset::open("d", path).expect("opened");
        assert!(rows.next_row().is_ok());
        let sentence = rows.next_row().expect_err("damaged").to_string();
        assert_eq!(rows.next_row().expect_err("damaged still").to_string(), sentence);
        assert_eq!(rows.length().expect_err("damaged").to_string(), sentence);
        rows.rewind().expect("back");
        assert!(rows.next_row().is_ok());
    });
}

#[test]
fn what_is_no_parquet_file_is_refused() {
    for content in ["", "PAR1", "PAR1PAR1", "{\"a\": 1}\n{\"a\": 2}\n", "PAR1\0\0\0\x7fPAR1"] {
        let sentence = failure("d.parquet", content);
        assert!(
            sentence.starts_with("dataset 'd', ") && sentence.contains("d.parquet: "),
            "{sentence}"
        );
    }
    let (_, failure) = read(&fixtures().join("brotli.parquet"));
    let sentence = failure.expect("a failure");
    assert!(sentence.contains("row 1: the compression BROTLI"), "{sentence}");
}

#[test]
fn a_row_that_has_no_end_is_refused_before_it_fills_memory() {
    for file in ["d.txt", "d.csv", "d.jsonl", "d.json"] {
        written(file, b"[{\"a\": \"\n", |path| {
            let endless = fs::OpenOptions::new().write(true).open(path).expect("opened");
            endless.set_len(bounded_reader::ROW * 4).expect("a sparse file");
            let mut rows = OpenDataset::open("d", path).expect("opened");
            let sentence = loop {
                match rows.next_row() {
                    Ok(row) => assert!(row.is_some(), "{file}"),
                    Err(error) => break error.to_string(),
                }
            };
            // JSON ends at the first zero byte.
            let is_bounded = sentence.contains("more than 32 MiB");
            assert!(is_bounded || file.starts_with("d.json"), "{file}: {sentence}");
        });
    }
    let endless = format!("[{{\"a\": \"{}", "x".repeat(bounded_reader::ROW as usize + 1));
    let sentence = failure("d.json", &endless);
    assert!(sentence.contains("more than 32 MiB"), "{sentence}");
}

#[test]
fn a_small_page_that_is_large_in_memory_is_refused() {
    for (column, compression) in ["text", "list"]
        .iter()
        .flat_map(|column| ["snappy", "zstd", "gzip"].map(|compression| (column, compression)))
    {
        let path = fixtures().join(format!("bomb-{column}-{compression}.parquet"));
        let open = |most| {
            let file = Arc::new(File::open(&path).expect("a fixture"));
            let mut rows = parquet::Parquet::new(&file, Budget::new(most)).expect("opened");
            rows.next_row()
        };
        let sentence = open(1 << 19).expect_err("a bomb").to_string();
        assert!(sentence.contains("row 1: ") && sentence.contains("MiB"), "{sentence}");
        assert!(open(PAGES).expect("read").is_some(), "{column} {compression}");
    }
}

/// Damaged copies of a file: prefixes, and the file with one byte changed. The positions differ between files.
fn damages(whole: &[u8], first: usize) -> impl Iterator<Item = Vec<u8>> {
    let cut = (first..whole.len()).step_by(31).map(|length| whole[..length].to_vec());
    let changed = (first..whole.len()).step_by(13).map(|place| {
        let mut bytes = whole.to_vec();
        bytes[place] ^= if place % 2 == 0 { 0x01 } else { 0x80 };
        bytes
    });
    cut.chain(changed)
}

#[test]
fn a_damaged_file_gives_rows_or_a_sentence() {
    let lines = fs::read(fixtures().join("cells.jsonl")).expect("a fixture");
    let array = format!("[{}]", String::from_utf8_lossy(&lines).trim().replace('\n', ","));
    let files = [("d.jsonl", &lines[..]), ("d.json", array.as_bytes()), ("d.csv", &lines[..])];
    let parquets = ["none-1", "zstd-2", "snappy-1", "gzip-2"]
        .map(|name| fs::read(fixtures().join(format!("cells-{name}.parquet"))).expect("a fixture"));
    let files = files.into_iter().chain(parquets.iter().map(|whole| ("d.parquet", &whole[..])));
    let folder = tempfile::tempdir().expect("a folder");
    let mut failures = 0;
    for (first, (file, whole)) in files.enumerate() {
        let path = folder.path().join(file);
        for damaged in damages(whole, first) {
            fs::write(&path, damaged).expect("written");
            if let (_, Some(sentence)) = read(&path) {
                failures += 1;
                assert!(
                    sentence.contains("dataset 'd', ") && sentence.contains(file),
                    "{sentence}"
                );
            }
        }
    }
    assert!(failures > 1_000, "{failures}");
}
