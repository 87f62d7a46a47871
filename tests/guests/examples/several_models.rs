//! Loads two granted models by their names, and generates with both.

use llem_sdk::prelude::*;
use test_guests::{check, is_refused};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("several-models", "0.1.0", "Generates with two models.")
        .text("first", "big", "the name of one")
        .text("second", "draft", "the name of the other")
}

fn run() -> Result<()> {
    let names: [String; 2] = [parameter("first")?, parameter("second")?];
    let mut models = Vec::new();
    for name in &names {
        models.push(Model::load_named(name)?);
    }
    check(models[0].info().digest != models[1].info().digest, "they are two models")?;
    let request =
        |name: &str| Request::from_tokens([1, 2, 3]).label(name).max_new_tokens(4).ignore_eos();
    for (model, name) in models.iter().zip(&names) {
        let tokens = model.generate(&request(name))?.completions.remove(0).tokens;
        check(tokens.len() == 4, "each generates")?;
        let info = model.info();
        let parameters = Quantity::exact(info.parameters as f64, "1", Source::Counted);
        report::add_metric(&parameters.into_metric("parameters").label("model", name.as_str()))?;
    }
    let other = Model::load_named("no-such-model");
    check(is_refused(other, ErrorCode::NotGranted), "another is not granted")
}
