//! Reads a dataset and reports its cells, and a column of them as numbers.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("reads-rows", "0.1.0", "Reports the cells of a dataset.")
        .text("column", "", "a column that is read as whole numbers; empty for none")
        .dataset("rows", "what is read")
}

fn run() -> Result<()> {
    let column: String = parameter("column")?;
    for row in rows("rows")? {
        let row = row?;
        report::log(Level::Info, &format!("{:?}", row.fields));
        if !column.is_empty() {
            report::log(Level::Info, &format!("number {}", row.get::<u64>(&column)?));
        }
    }
    Ok(())
}
