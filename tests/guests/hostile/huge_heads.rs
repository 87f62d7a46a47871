//! Reports tables whose heads are of so many kilobytes, as many heads and tables as are asked for.

use llem_sdk::{prelude::*, report::Table};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-heads", "0.1.0", "Reports tables with huge heads.")
        .integer("tables", 1, "tables")
        .integer("columns", 100, "columns of each")
        .integer("kilobytes", 1000, "length of a head")
}

fn run() -> Result<()> {
    let [tables, columns, kilobytes] =
        ["tables", "columns", "kilobytes"].map(|name| parameter::<usize>(name));
    let columns = vec!["h".repeat(kilobytes? * 1000); columns?];
    for number in 0..tables? {
        let rows = vec![vec![String::new(); columns.len()]];
        report::add_table(&Table { name: format!("t{number}"), columns: columns.clone(), rows })?;
    }
    Ok(())
}
