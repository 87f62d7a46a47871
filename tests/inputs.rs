//! Datasets arrive as their files have them.

use crate::support::{Desk, guest, of_kind};

fn logged(desk: &Desk) -> Vec<String> {
    let events = desk.events();
    let logs = of_kind(&events, "log").into_iter().filter(|log| log["level"] == "info");
    logs.map(|log| log["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn cells_of_a_csv_file_stay_text_until_a_number_is_asked_for() {
    let desk = Desk::new();
    let cells = ["007", "42", "9223372036854775808", "0x1"];
    let file =
        desk.file("rows.csv", format!("prompt,n\n{}", cells.map(|c| format!("{c},1\n")).concat()));
    let grant = format!("rows={file}");
    desk.llem(&["exec", &guest("reads_rows"), "--dataset", &grant]).ok();
    let seen: Vec<String> =
        logged(&desk).into_iter().filter(|line| line.starts_with('[')).collect();
    let row = |cell| format!("[(\"prompt\", Value::Text({cell:?})), (\"n\", Value::Text(\"1\"))]");
    assert_eq!(seen, cells.map(row));

    let desk = Desk::new();
    let args = ["exec", &guest("reads_rows"), "--dataset", &grant, "-p", "column=prompt"];
    desk.llem(&args).refused(2, &["row 3", "'prompt'", "0x1", "a whole number (u64)"]);
    let numbers: Vec<String> =
        logged(&desk).into_iter().filter(|line| line.starts_with("number")).collect();
    assert_eq!(numbers, ["number 7", "number 42", "number 9223372036854775808"]);
}
