//! Reports made-up numbers with every source, and numbers that are not finite.

use llem_sdk::{prelude::*, report::Table};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("claims-source", "0.1.0", "Reports made-up numbers under every source.")
}

/// Every source of the contract.
const SOURCES: [(&str, Source); 12] = [
    ("clock", Source::Clock),
    ("counted", Source::Counted),
    ("nvml-counter", Source::NvmlCounter),
    ("nvml-power", Source::NvmlPower),
    ("rapl", Source::Rapl),
    ("sensor", Source::Sensor),
    ("analytic", Source::Analytic),
    ("derived", Source::Derived),
    ("modelled", Source::Modelled),
    ("datasheet", Source::Datasheet),
    ("simulated", Source::Simulated),
    ("script", Source::Script),
];

fn run() -> Result<()> {
    for (name, source) in SOURCES {
        report::add_metric(
            &Quantity::exact(42.0, "J", source).into_metric("energy").label("as", name),
        )?;
    }
    report::add_metric(&Quantity::exact(-5.0, "J", Source::NvmlCounter).into_metric("negative"))?;
    let long = "J".repeat(65);
    let mut rows = Vec::new();
    for (case, value, uncertainty, unit) in [
        ("negative uncertainty", 42.0, -3.0, "J"),
        ("uncertainty that is no number", 42.0, f64::NAN, "J"),
        ("value that is no number", f64::NAN, 1.0, "J"),
        ("infinite value", f64::INFINITY, 1.0, "J"),
        ("unit that moves the cursor", 42.0, 1.0, "J\u{1b}[2J"),
        ("long unit", 42.0, 1.0, &long),
    ] {
        let (unit, source) = (unit.to_owned(), Source::NvmlCounter);
        let metric = Quantity { value, uncertainty, unit, source }.into_metric("wrong");
        let answer = match report::add_metric(&metric) {
            Ok(()) => "it was taken".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        rows.push(vec![case.to_owned(), answer]);
    }
    let columns = vec!["case".to_owned(), "answer".to_owned()];
    report::add_table(&Table { name: "answers".to_owned(), columns, rows })?;
    Ok(())
}
