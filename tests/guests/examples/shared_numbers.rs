//! Computes the cases of `guest-sdk/numbers.json` that need logarithms, powers and cosines. A component has these from its
//! compiler, the unit tests of the SDK from the system. It fails at the first result that is not the expected one.

use llem_sdk::{UniformSource, prelude::*, statistics::t_quantile};
use std::collections::HashMap;
use tinyjson::JsonValue;

llem_sdk::experiment!(about, run);

const TABLE: &str = include_str!("../../../guest-sdk/numbers.json");

/// How far a number may be from the expected one, relative to it.
const TOLERANCE: f64 = 1e-12;

fn about() -> About {
    About::new("shared-numbers", "0.1.0", "Computes the numbers that all SDKs share")
}

fn run() -> Result<()> {
    let table: JsonValue = TABLE.parse().map_err(|error| format!("{error}"))?;
    let mut checked = 0;
    for case in items(at(&table, "cases")) {
        let (arguments, expected) = (at(case, "arguments"), at(case, "result"));
        let argument = |name: &str| number(at(arguments, name));
        let is_right = match at(case, "function").get::<String>().map_or("", String::as_str) {
            "t_quantile" => match t_quantile(argument("probability"), argument("freedom")) {
                Some(quantile) => (quantile - number(expected)).abs() <= TOLERANCE * quantile.abs(),
                None => expected.is_null(),
            },
            "arrivals.poisson" => arrives(Arrivals::poisson(argument("rate")), case)?,
            "arrivals.constant" => arrives(Arrivals::constant(argument("rate")), case)?,
            "arrivals.gamma" => {
                arrives(Arrivals::gamma(argument("rate"), argument("burstiness")), case)?
            }
            "arrivals.linear_ramp" => {
                let requests = argument("requests") as u32;
                arrives(Arrivals::linear_ramp(argument("from"), argument("to"), requests), case)?
            }
            "arrivals.exponential_ramp" => {
                let requests = argument("requests") as u32;
                arrives(
                    Arrivals::exponential_ramp(argument("from"), argument("to"), requests),
                    case,
                )?
            }
            name => match name.strip_prefix("lengths.") {
                Some(shape) => has_lengths(shape, case),
                None => continue,
            },
        };
        if !is_right {
            return Err(format!("another result: {case:?}").into());
        }
        checked += 1;
    }
    let count = Quantity::exact(f64::from(checked), "{case}", Source::Counted);
    report::add_metric(&count.into_metric("checked_cases"))
}

/// Returns the field of this name, or null.
fn at<'a>(value: &'a JsonValue, name: &str) -> &'a JsonValue {
    let object = value.get::<HashMap<String, JsonValue>>();
    object.and_then(|object| object.get(name)).unwrap_or(&JsonValue::Null)
}

fn items(value: &JsonValue) -> &[JsonValue] {
    value.get::<Vec<JsonValue>>().map_or(&[], Vec::as_slice)
}

/// Reads a number, which is a text if JSON has no spelling for it.
fn number(value: &JsonValue) -> f64 {
    match value {
        JsonValue::Number(number) => *number,
        JsonValue::String(text) => text.parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

/// The given uniform numbers, in order.
struct Given(std::vec::IntoIter<f64>);

impl UniformSource for Given {
    fn next_uniform(&mut self) -> f64 {
        self.0.next().expect("a case has as many uniform numbers as are taken")
    }
}

/// Returns whether drawn lengths are those of the case. A distribution that does not exist has none.
fn has_lengths(shape: &str, case: &JsonValue) -> bool {
    let (arguments, expected) = (at(case, "arguments"), at(case, "result"));
    let argument = |name: &str| number(at(arguments, name));
    let lengths = match shape {
        "fixed" => Lengths::fixed(argument("length") as u32),
        "uniform" => Lengths::uniform(argument("low") as u32, argument("high") as u32),
        "normal" => Lengths::normal(argument("mean"), argument("deviation")),
        "exponential" => Lengths::exponential(argument("mean")),
        "pareto" => Lengths::pareto(argument("mean"), argument("shape")),
        _ => Lengths::lognormal(argument("mean"), argument("deviation")),
    };
    let (minimum, maximum) = (argument("minimum"), argument("maximum"));
    let bounded = match minimum.is_nan() {
        true => lengths,
        false => lengths.within(minimum as u32, maximum as u32),
    };
    let uniforms: Vec<f64> = items(at(arguments, "uniforms")).iter().map(number).collect();
    match bounded.draw(6, &mut Given(uniforms.into_iter())) {
        Ok(drawn) => {
            drawn.iter().map(|length| f64::from(*length)).eq(items(expected).iter().map(number))
        }
        Err(_) => expected.is_null(),
    }
}

/// Returns whether the process has the offsets of the case, to the nanosecond.
fn arrives(arrivals: Arrivals, case: &JsonValue) -> Result<bool> {
    let list = |value: &JsonValue| items(value).iter().map(number).collect::<Vec<_>>();
    let mut given = Given(list(at(at(case, "arguments"), "uniforms")).into_iter());
    let mut times = arrivals.times()?;
    Ok(list(at(case, "result")).into_iter().all(|seconds| {
        let expected = (seconds * 1e9 + 0.5).floor() as u128;
        times.draw(&mut given).flatten().is_some_and(|offset| offset.as_nanos() == expected)
    }))
}
