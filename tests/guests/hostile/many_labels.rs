//! Reports metrics of 1,000 labels each, and of two labels of one name.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("many-labels", "0.1.0", "Reports metrics of many labels.")
}

fn run() -> Result<()> {
    let one = |name: &str| Quantity::exact(1.0, "J", Source::Derived).into_metric(name);
    let label = |number: usize| (format!("l{number}"), "v".to_owned());
    drop(report::add_metric(&Metric { labels: vec![label(0), label(0)], ..one("twice") }));
    let labels: Vec<_> = (0..1000).map(label).collect();
    for number in 0..200 {
        report::add_metric(&Metric { labels: labels.clone(), ..one(&format!("m{number}")) })?;
    }
    Ok(())
}
