//! Passes NaN, the infinities and negative numbers for every number in the contract. Each must be refused.

use llem_sdk::{
    prelude::*, report::Series, wait_until_power_steady, wait_until_temperature_steady,
};
use std::time::Duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hostile-floats", "0.1.0", "Gives no number for every number.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let mut accepted = Vec::new();
    let mut expect = |what: String, is_accepted: bool| {
        if is_accepted {
            accepted.push(what);
        }
    };
    let sampling = || Sampling::with_temperature(1.0);
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        let small = number as f32;
        for (name, sampling) in [
            ("temperature", Sampling::with_temperature(small)),
            ("top-p", Sampling { top_p: Some(small), ..sampling() }),
            ("min-p", Sampling { min_p: Some(small), ..sampling() }),
            ("repetition-penalty", Sampling { repetition_penalty: small, ..sampling() }),
        ] {
            let request = Request::from_tokens([1]).max_new_tokens(1).sampling(sampling);
            expect(format!("{name} {number}"), model.generate(&request).is_ok());
        }
        let mut quantity = Quantity::exact(1.0, "J", Source::Derived);
        quantity.uncertainty = number;
        expect(
            format!("uncertainty {number}"),
            report::add_metric(&quantity.clone().into_metric("u")).is_ok(),
        );
        for wait in [wait_until_power_steady, wait_until_temperature_steady] {
            let waited = wait(None, number, Duration::from_millis(1));
            expect(format!("within {number}"), waited.is_ok());
        }
        if number.is_finite() {
            continue;
        }
        for (name, sampling) in [
            ("frequency-penalty", Sampling { frequency_penalty: small, ..sampling() }),
            ("presence-penalty", Sampling { presence_penalty: small, ..sampling() }),
            ("logit-bias", Sampling { logit_bias: vec![(1, small)], ..sampling() }),
        ] {
            // Minus infinity is valid: it excludes a token.
            if name == "logit-bias" && small == f32::NEG_INFINITY {
                continue;
            }
            let request = Request::from_tokens([1]).max_new_tokens(1).sampling(sampling);
            expect(format!("{name} {number}"), model.generate(&request).is_ok());
        }
        quantity.uncertainty = 0.0;
        quantity.value = number;
        expect(format!("value {number}"), report::add_metric(&quantity.into_metric("v")).is_ok());
        for point in [(number, 1.0), (1.0, number)] {
            let axis = || ("axis".to_owned(), "s".to_owned());
            let series = Series { name: "s".into(), x: axis(), y: axis(), points: vec![point] };
            expect(format!("point {point:?}"), report::add_series(&series).is_ok());
        }
    }
    match accepted.is_empty() {
        true => Ok(()),
        false => Err(Error::from(format!("accepted: {}", accepted.join(", ")))),
    }
}
