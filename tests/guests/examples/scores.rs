//! Scores a given continuation of a given context.

use llem_sdk::{
    ScoreRequest,
    prelude::*,
    report::{Series, add_series},
};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("scores", "0.1.0", "Scores a continuation.")
        .text("context", "1", "token ids, separated by commas")
        .text("continuation", "2", "token ids, separated by commas")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let request = ScoreRequest { context: ids("context")?, continuation: ids("continuation")? };
    let window = Window::open("scoring")?;
    let score = model.score(&[request])?.scores.remove(0);
    window.close()?;
    let points =
        score.log_likelihoods.iter().enumerate().map(|(index, value)| (index as f64, *value));
    add_series(&Series {
        name: "log_likelihood".to_owned(),
        x: ("token".to_owned(), String::new()),
        y: ("log_likelihood".to_owned(), String::new()),
        points: points.collect(),
    })?;
    let greedy = Quantity::exact(f64::from(u8::from(score.is_greedy)), "1", Source::Derived);
    report::add_metric(&greedy.into_metric("is_greedy"))
}

fn ids(name: &str) -> Result<Vec<u32>> {
    let text: String = parameter(name)?;
    text.split(',')
        .map(|id| id.parse().map_err(|_| Error::from(format!("{name}: '{id}' is no token id"))))
        .collect()
}
