//! Uses a name of a megabyte wherever the contract takes one. Each must be refused with a short message.

use llem_sdk::{
    flops::{Shape, estimate},
    inputs::Dataset,
    prelude::*,
    report::{Series, Table},
};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-labels", "0.1.0", "Uses names of a megabyte.")
}

fn run() -> Result<()> {
    let long = "l".repeat(1 << 20);
    let model = Model::load_granted()?;
    let batch = model.open_batch(BatchOptions::new(1).max_tokens(16))?;
    let request = Request::from_tokens([1]).label(&long).max_new_tokens(1);
    let one = |name: &str| Quantity::exact(1.0, "J", Source::Derived).into_metric(name);
    let axis = |name: &str| (name.to_owned(), "s".to_owned());
    let (points, rows) = (vec![(1.0, 1.0)], Vec::new());
    let labelled = |name: &str, value: &str| {
        let labels = vec![(name.to_owned(), value.to_owned())];
        Metric { labels, ..one("m") }
    };
    let series = |name: &str, x: &str| Series {
        name: name.to_owned(),
        x: axis(x),
        y: axis("y"),
        points: points.clone(),
    };
    let shape = Shape { adapter: Some(long.clone()), ..Shape::new(1, 1, 1) };
    let asked: [(&str, Result<()>); 18] = [
        ("generate", model.generate(&request).map(drop)),
        ("submit", batch.submit(&request, None).map(drop)),
        (
            "adapter of a request",
            model.generate(&Request::from_tokens([1]).adapter(&long)).map(drop),
        ),
        ("attach-adapter", model.attach_adapter(&long).map(drop)),
        ("merge-adapter", model.merge_adapter(&long).map(drop)),
        ("detach-adapter", model.detach_adapter(&long)),
        ("use-adapter", model.use_adapter(Some(&long))),
        ("window", Window::open(&long).map(drop)),
        ("phase", Phase::begin(&long).map(drop)),
        ("metric", report::add_metric(&one(&long))),
        (
            "unit",
            report::add_metric(&Quantity::exact(1.0, &long, Source::Derived).into_metric("m")),
        ),
        ("label's name", report::add_metric(&labelled(&long, "v"))),
        ("series", report::add_series(&series(&long, "x"))),
        ("axis", report::add_series(&series("s", &long))),
        ("table", report::add_table(&Table { name: long.clone(), columns: Vec::new(), rows })),
        ("artifact", report::write_artifact(&long, &[])),
        ("parameter", parameter::<String>(&long).map(drop)),
        ("dataset", Dataset::open(&long).map(drop)),
    ];
    let shape = ("shape", estimate(&model, &shape).map(drop));
    let state = ("device", llem_sdk::devices::read_state(&long).map(drop));
    let told = asked.into_iter().chain([shape, state]).filter_map(|(name, answer)| {
        let Err(error) = answer else { return Some(format!("{name} was accepted")) };
        let length = error.message.len();
        (length > 1000).then(|| format!("{name} was refused in {length} bytes"))
    });
    let told: Vec<_> = told.collect();
    match told.is_empty() {
        true => Ok(()),
        false => Err(Error::from(told.join(", "))),
    }
}
