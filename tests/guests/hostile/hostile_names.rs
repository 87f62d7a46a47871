//! Uses paths, control characters and imitations as names. Files with such names must be refused. Other accepted names
//! must not reach a terminal unchanged.

use llem_sdk::{
    bindings::inputs,
    inputs::Dataset,
    prelude::*,
    report::{Series, Table},
};

llem_sdk::experiment!(about, run);

const NAMES: [&str; 14] = [
    "../evil",
    "/etc/evil",
    "..",
    ".",
    "a/b",
    "a\\b",
    "nul\0",
    "\x1b[2J\x1b]0;owned\x07",
    "line\nerror: a second sentence",
    "return\roverwritten",
    "\u{9b}31m\u{85}",
    "\u{202e}gnp.exe",
    "zero\u{200b}width\u{feff}",
    "\x7f\x08\x0c\x0b",
];

fn about() -> About {
    About::new("hostile-names", "0.1.0", "Uses paths and control characters as names.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let mut accepted = Vec::new();
    for name in NAMES {
        if report::write_artifact(name, b"evil").is_ok() {
            accepted.push(format!("an artifact {name:?}"));
        }
        let Err(_) = inputs::parameter(name) else { return Err("a parameter".into()) };
        let Err(_) = Dataset::open(name) else { return Err("a dataset".into()) };
        // These calls may accept or refuse the name, but it must not reach a terminal unchanged.
        let quantity = Quantity::exact(1.0, name, Source::Derived);
        let metric = Quantity::exact(1.0, "J", Source::Derived).into_metric(name);
        let labels = vec![(name.to_owned(), name.to_owned())];
        drop(report::add_metric(&quantity.into_metric("unit")));
        drop(report::add_metric(&Metric { labels, ..metric }));
        let axis = (name.to_owned(), "s".to_owned());
        let points = vec![(1.0, 1.0)];
        drop(report::add_series(&Series { name: name.into(), x: axis.clone(), y: axis, points }));
        let (columns, rows) = (vec![name.to_owned()], vec![vec![name.to_owned()]]);
        drop(report::add_table(&Table { name: name.to_owned(), columns, rows }));
        drop(Phase::begin(name));
        drop(Window::open(name).and_then(Window::close));
        drop(model.generate(&Request::from_tokens([1]).label(name).max_new_tokens(1)));
        drop(model.attach_adapter(name));
        report::show_progress(1, 2, name);
        report::log(Level::Error, name);
        report::warn(name);
    }
    match accepted.is_empty() {
        true => Ok(()),
        false => Err(Error::from(format!("accepted: {}", accepted.join(", ")))),
    }
}
