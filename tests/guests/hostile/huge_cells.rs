//! Reports tables with huge cells. Parameters set the number of tables and cells and the size of a cell in kilobytes.

use llem_sdk::{prelude::*, report::Table};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-cells", "0.1.0", "Reports tables with huge cells.")
        .integer("tables", 1, "tables")
        .integer("columns", 100, "columns of each")
        .integer("kilobytes", 1000, "length of a cell")
}

fn run() -> Result<()> {
    let [tables, columns, kilobytes] = ["tables", "columns", "kilobytes"].map(parameter::<usize>);
    let cells = vec!["c".repeat(kilobytes? * 1000); columns?];
    for number in 0..tables? {
        let (columns, rows) = (vec!["c".to_owned(); cells.len()], vec![cells.clone()]);
        report::add_table(&Table { name: format!("t{number}"), columns, rows })?;
    }
    Ok(())
}
