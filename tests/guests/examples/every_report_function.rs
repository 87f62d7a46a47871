//! Calls each function of `inputs`, `report` and `description`, with good arguments and with bad ones.

use llem_sdk::{
    bindings::{
        description::{self, Clocks, DatasetInput, Parameter},
        inputs::{Dataset, Random, parameter, seed},
        report::{
            Level, Metric, Phase, Series, Table, add_metric, add_series, add_table, log,
            show_progress, warn, write_artifact,
        },
        types::{Quantity, Value},
    },
    prelude::{About, ErrorCode, Result},
};
use test_guests::{check, is_refused};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("every-report-function", "0.1.0", "Reads and reports in every way.")
        .integer("whole", 3, "a whole number")
        .dataset("rows", "rows that are read twice")
}

fn run() -> Result<()> {
    described()?;
    drawn()?;
    check(matches!(parameter("whole")?, Value::Integer(3)), "a parameter is its default")?;
    check(is_refused(parameter("none"), ErrorCode::NotFound), "one that was not declared")?;
    check(is_refused(Dataset::open("none"), ErrorCode::NotGranted), "a dataset that is none")?;
    match Dataset::open("rows") {
        Ok(rows) => read(&rows)?,
        Err(error) => check(error.code == ErrorCode::NotGranted, "it was not granted")?,
    }
    reported()
}

fn described() -> Result<()> {
    let about = description::About::new("name", "1.2.3", "A summary.");
    check(about.name() == "name" && about.version() == "1.2.3", "a name and a version")?;
    check(about.summary() == "A summary." && about.clocks() == Clocks::Seeded, "and a summary")?;
    check(about.parameters().is_empty() && about.datasets().is_empty(), "and nothing else")?;
    let (name, summary) = ("one".to_owned(), "one of it".to_owned());
    let default = Value::Boolean(true);
    about.add_parameter(&Parameter { name: name.clone(), summary: summary.clone(), default });
    about.add_dataset(&DatasetInput { name, summary, required: true });
    about.set_clocks(Clocks::Monotonic);
    let parameters = about.parameters();
    check(parameters.len() == 1 && matches!(parameters[0].default, Value::Boolean(true)), "one")?;
    check(about.datasets()[0].required && about.clocks() == Clocks::Monotonic, "of each")
}

fn drawn() -> Result<()> {
    let _ = seed();
    let (one, same, other) = (Random::new("a"), Random::new("a"), Random::new("b"));
    let many = one.many_u64(5)?;
    let each: Vec<u64> = (0..5).map(|_| same.next_u64()).collect();
    check(many == each, "many are as many calls")?;
    check(other.many_u64(5)? != many, "another name gives others")?;
    let many = one.many_f64(5)?;
    let each: Vec<f64> = (0..5).map(|_| same.next_f64()).collect();
    check(many == each && many.iter().all(|one| (0.0..1.0).contains(one)), "numbers below 1")?;
    let tokens = one.tokens(1000, 7)?;
    let is_met = (0..7).all(|token| tokens.contains(&token));
    check(tokens.len() == 1000 && is_met && tokens.iter().all(|&one| one < 7), "every token")?;
    check(one.tokens(0, 7)?.is_empty(), "none of none")?;
    check(is_refused(one.tokens(1, 0), ErrorCode::InvalidArgument), "of no vocabulary")?;
    check(is_refused(one.many_u64(u32::MAX), ErrorCode::LimitReached), "34 GB at once")?;
    check(is_refused(one.many_f64(u32::MAX), ErrorCode::LimitReached), "of numbers, too")
}

fn read(rows: &Dataset) -> Result<()> {
    let length = rows.length()?;
    let mut indices = Vec::new();
    while let Some(row) = rows.next()? {
        indices.push(row.index);
    }
    check(indices == (0..length).collect::<Vec<_>>(), "as many rows as there are, in order")?;
    check(rows.next()?.is_none() && rows.next_rows(3)?.is_empty(), "then none")?;
    rows.rewind()?;
    let first = rows.next_rows(2)?;
    check(first.len() as u64 == length.min(2), "two at once, from the first")?;
    check(rows.next_rows(u32::MAX)?.len() as u64 == length.saturating_sub(2), "and the others")
}

fn metric(name: &str, value: f64, uncertainty: f64, unit: &str) -> Metric {
    let (unit, source) = (unit.to_owned(), "derived".to_owned());
    let quantity = Quantity { value, uncertainty, unit, source };
    Metric { name: name.to_owned(), quantity, labels: Vec::new() }
}

fn reported() -> Result<()> {
    for level in [Level::Debug, Level::Info, Level::Warn, Level::Error] {
        log(level, "a line");
    }
    warn("a warning");
    show_progress(1, 0, "of an unknown number");
    let outer = Phase::begin("outer")?;
    let _inner = Phase::begin("inner")?;
    Phase::end(outer)?;
    add_metric(&metric("good", 1.0, 0.5, "J"))?;
    let long = "J".repeat(65);
    for (what, wrong) in [
        ("a metric without a name", metric("", 1.0, 0.0, "J")),
        ("a value that is no number", metric("wrong", f64::NAN, 0.0, "J")),
        ("an uncertainty below 0", metric("wrong", 1.0, -1.0, "J")),
        ("an uncertainty without end", metric("wrong", 1.0, f64::INFINITY, "J")),
        ("a long unit", metric("wrong", 1.0, 0.0, &long)),
        ("a unit with a control character", metric("wrong", 1.0, 0.0, "J\u{7}")),
    ] {
        check(is_refused(add_metric(&wrong), ErrorCode::InvalidArgument), what)?;
    }
    let axis = || ("axis".to_owned(), "s".to_owned());
    let series = |name: &str, point| Series {
        name: name.to_owned(),
        x: axis(),
        y: axis(),
        points: vec![point],
    };
    add_series(&series("good", (1.0, 2.0)))?;
    let nameless = add_series(&series("", (1.0, 2.0)));
    check(is_refused(nameless, ErrorCode::InvalidArgument), "a series without a name")?;
    let wrong = add_series(&series("wrong", (1.0, f64::NAN)));
    check(is_refused(wrong, ErrorCode::InvalidArgument), "a point that is no number")?;
    let table = |columns: usize, cells: usize| Table {
        name: "table".to_owned(),
        columns: vec!["head".to_owned(); columns],
        rows: vec![vec!["cell".to_owned(); cells]],
    };
    add_table(&table(2, 2))?;
    check(is_refused(add_table(&table(2, 3)), ErrorCode::InvalidArgument), "a row too long")?;
    write_artifact("artifact.txt", b"content")?;
    for name in ["artifact.txt", "a/b", "..", ""] {
        let answer = write_artifact(name, b"content");
        check(is_refused(answer, ErrorCode::InvalidArgument), "an artifact of such a name")?;
    }
    Ok(())
}
