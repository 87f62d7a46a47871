//! Reports tables of many empty cells without end.

use llem_sdk::{prelude::*, report::Table};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-tables", "0.1.0", "Reports tables of empty cells without end.")
}

fn run() -> Result<()> {
    let rows = vec![vec![String::new(); 10]; 10_000];
    let table = Table { name: "t".into(), columns: vec![String::new(); 10], rows };
    loop {
        report::add_table(&table)?;
    }
}
