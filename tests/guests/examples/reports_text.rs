//! Puts the text of a parameter into everything that it reports, as often as another parameter says.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("reports-text", "0.1.0", "Reports what it is told to.")
        .text("text", "text", "what to report")
        .integer("count", 1, "how many of everything")
        .boolean("fails", false, "end with the text as error")
}

fn run() -> Result<()> {
    let (text, count) = (parameter::<String>("text")?, parameter::<i64>("count")?);
    report::log(Level::Error, &text);
    report::log(Level::Info, &text);
    report::show_progress(1, 2, &text);
    // The host may refuse the text or show it harmlessly. Both are right.
    let _ = report::add_table(&table(&text, count as usize));
    let model = Model::load_granted()?;
    for index in 0..count {
        let text = format!("{text}{index}");
        report::warn(&text);
        let phase = Phase::begin(&text);
        let request = Request::from_tokens([1, 2]).label(&text).max_new_tokens(1);
        let _ = model.generate(&request.ignore_eos());
        let metric =
            Quantity::exact(1.0, &text, Source::Derived).into_metric(&text).label(&text, &text);
        let _ = report::add_metric(&metric);
        let _ = report::add_table(&table(&text, 1));
        drop(phase);
    }
    if parameter("fails")? { Err(text.into()) } else { Ok(()) }
}

/// Creates a table of `size` rows and columns.
fn table(text: &str, size: usize) -> report::Table {
    let columns = vec![format!("{text} head"); size];
    let rows = vec![vec![format!("{text} cell"); size]; size];
    report::Table { name: format!("{text} table"), columns, rows }
}
