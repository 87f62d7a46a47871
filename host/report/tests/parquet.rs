//! The Parquet export, read back by the library's own reader.

use llem_report::{Format, LoadedRun, Report, render};
use parquet::{
    basic::Type,
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use std::{collections::HashMap, path::Path};

fn report() -> Report {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/quickstart");
    Report::new(&[LoadedRun::open(&data).expect("a run")], &[])
}

fn text(field: &Field) -> String {
    match field {
        Field::Str(text) => text.clone(),
        Field::Null => String::new(),
        Field::Double(number) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn parquet_holds_the_rows_of_the_csv_with_typed_numbers() {
    let csv = String::from_utf8(render(&report(), Format::Csv)).expect("UTF-8");
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    let names: Vec<String> = csv.headers().expect("heads").iter().map(str::to_owned).collect();
    let expected: Vec<Vec<String>> =
        csv.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect();
    let bytes = render(&report(), Format::Parquet);
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("Parquet");
    let schema = reader.metadata().file_metadata().schema_descr();
    let columns: Vec<&str> = schema.columns().iter().map(|column| column.name()).collect();
    assert_eq!(columns, names);
    for (column, is_number) in
        schema.columns().iter().map(|of| (of, ["value", "uncertainty"].contains(&of.name())))
    {
        let physical = if is_number { Type::DOUBLE } else { Type::BYTE_ARRAY };
        assert_eq!(column.physical_type(), physical, "{}", column.name());
    }
    let rows = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row"));
    let rows: Vec<Vec<String>> =
        rows.map(|row| row.get_column_iter().map(|(_, field)| text(field)).collect()).collect();
    assert!(rows.len() > 30, "{}", rows.len());
    assert_eq!(rows, expected);
    let value = names.iter().position(|name| name == "value").expect("a column");
    assert!(rows.iter().any(|row| row[value].is_empty()), "an absent number is null");
}

#[test]
fn the_file_says_what_made_it_and_of_which_runs() {
    let bytes = render(&report(), Format::Parquet);
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("Parquet");
    let metadata = reader.metadata().file_metadata();
    let pairs = metadata.key_value_metadata().expect("pairs");
    let told: HashMap<&str, &str> = pairs
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap_or_default()))
        .collect();
    let runs: Vec<String> = serde_json::from_str(told["llem.runs"]).expect("a list");
    let record = include_str!("data/quickstart/run.json");
    let record: serde_json::Value = serde_json::from_str(record).expect("JSON");
    assert_eq!(runs, [record["id"].as_str().expect("an id")]);
    assert_eq!(told["llem.version"], env!("CARGO_PKG_VERSION"));
    assert!(told["llem.convention"].contains("one standard uncertainty"));
}
