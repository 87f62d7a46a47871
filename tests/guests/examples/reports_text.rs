//! Puts a text that it is given into everything that it reports, as often as it is told to.

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
    // A host that refuses a text is as good as one that shows it harmlessly.
    let _ = report::add_table(&table(&text, count as usize));
    let model = Model::granted()?;
    for index in 0..count {
        let text = format!("{text}{index}");
        report::warn(&text);
        let phase = Phase::begin(&text);
        let request = Request::tokens([1, 2]).label(&text).max_new_tokens(1);
        let _ = model.generate(&request.ignore_eos());
        let metric = Quantity::exact(1.0, &text, Source::Derived).named(&text).label(&text, &text);
        let _ = report::add_metric(&metric);
        let _ = report::add_table(&table(&text, 1));
        drop(phase);
    }
    if parameter("fails")? { Err(text.into()) } else { Ok(()) }
}

/// A table of `size` rows and columns.
fn table(text: &str, size: usize) -> report::Table {
    let columns = vec![format!("{text} head"); size];
    let rows = vec![vec![format!("{text} cell"); size]; size];
    report::Table { name: format!("{text} table"), columns, rows }
}
