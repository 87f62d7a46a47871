//! Runs every case of `guest-sdk/numbers.json`, which all SDKs share. Its results come from numpy, scipy, mpmath and
//! uncertainties.

use crate::{
    Result,
    arrivals::{Arrivals, in_nanoseconds},
    lengths::Lengths,
    quantity::{Quantity, Reading, Source},
    random::UniformSource,
    reading, shuffle, statistics,
};
use serde_json::{Value, json};
use std::fs;

/// How far a number may be from the expected one, relative to it.
const TOLERANCE: f64 = 1e-12;

/// The given uniform numbers, in order.
struct Given(std::vec::IntoIter<f64>);

impl UniformSource for Given {
    fn next_uniform(&mut self) -> f64 {
        self.0.next().expect("a case has as many uniform numbers as are taken")
    }
}

/// Reads a number, which is a text if JSON has no spelling for it.
fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).expect("a number")
}

/// Returns a number as numbers.json has it.
fn spelled(number: f64) -> Value {
    if number.is_nan() { json!("NaN") } else { json!(number) }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

fn quantity(value: &Value) -> Quantity {
    let text = |key: &str| value[key].as_str().expect("a text").to_owned();
    let source = Source::from(text("source"));
    Quantity::new(number(&value["value"]), number(&value["uncertainty"]), &text("unit"), source)
}

fn result_of(quantity: Option<Quantity>) -> Value {
    quantity.map_or(Value::Null, |Quantity { value, uncertainty, unit, source }| {
        json!({ "value": value, "uncertainty": uncertainty, "unit": unit, "source": source.to_string() })
    })
}

fn reading(value: &Value) -> Reading {
    match value["unavailable"].as_str() {
        Some(reason) => Err(reason.to_owned()),
        None => Ok(quantity(value)),
    }
}

fn result_of_reading(reading: Reading) -> Value {
    match reading {
        Ok(quantity) => result_of(Some(quantity)),
        Err(reason) => json!({ "unavailable": reason }),
    }
}

/// Calls a function of readings.
fn call_of_readings(function: &str, arguments: &Value) -> Value {
    let [first, second] = ["first", "second"].map(|key| move || reading(&arguments[key]));
    let unit = || arguments["unit"].as_str().expect("a unit");
    let otherwise = || arguments["otherwise"].as_str().expect("a reason");
    let all = || -> Vec<Reading> {
        arguments["readings"].as_array().expect("a list").iter().map(reading).collect()
    };
    result_of_reading(match function {
        "plus" => reading::plus(&first(), &second()),
        "minus" => reading::minus(&first(), &second()),
        "times" => reading::times(&first(), &second(), unit()),
        "over" => reading::over(&first(), &second(), unit()),
        "per" => reading::per(&first(), number(&arguments["divisor"]), unit()),
        "scaled" => reading::scaled(&first(), number(&arguments["factor"]), unit()),
        "total" => reading::total(&all(), otherwise()),
        "mean" => reading::mean(&all(), otherwise()),
        _ => panic!("no function reading.{function}"),
    })
}

/// Returns what a draw from the uniform numbers of a case gives, or null if it fails. They are all taken.
fn drawn(
    arguments: &Value,
    draw: impl FnOnce(&mut dyn UniformSource) -> Result<Vec<u32>>,
) -> Value {
    let mut given = Given(numbers(&arguments["uniforms"]).into_iter());
    let result = draw(&mut given);
    assert_eq!(given.0.len(), 0, "all uniform numbers are taken");
    result.map_or(Value::Null, |numbers| json!(numbers))
}

fn lengths(shape: &str, arguments: &Value) -> Value {
    let at = |key: &str| number(&arguments[key]);
    let whole = |key: &str| arguments[key].as_u64().expect("a whole number") as u32;
    let mut lengths = match shape {
        "fixed" => Lengths::fixed(whole("length")),
        "uniform" => Lengths::uniform(whole("low"), whole("high")),
        "normal" => Lengths::normal(at("mean"), at("deviation")),
        "exponential" => Lengths::exponential(at("mean")),
        "pareto" => Lengths::pareto(at("mean"), at("shape")),
        "lognormal" => Lengths::lognormal(at("mean"), at("deviation")),
        _ => panic!("no lengths {shape}"),
    };
    if arguments.get("minimum").is_some() {
        lengths = lengths.within(whole("minimum"), whole("maximum"));
    }
    drawn(arguments, |uniform| lengths.draw(6, uniform))
}

/// Calls a function of random numbers.
fn call_of_random(function: &str, arguments: &Value) -> Value {
    let whole = |key: &str| arguments[key].as_u64().expect("a whole number") as u32;
    let mut items: Vec<u32> = arguments["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| item.as_u64().expect("a whole number") as u32)
        .collect();
    drawn(arguments, |uniform| match function {
        "shuffle" => {
            shuffle::shuffle(&mut items, uniform);
            Ok(items)
        }
        "sample" => shuffle::sample(whole("count"), whole("population"), uniform),
        "pick" => shuffle::pick(whole("count"), &items, uniform),
        _ => panic!("no function random.{function}"),
    })
}

/// Calls the function of a case.
fn call(function: &str, arguments: &Value) -> Value {
    let at = |key: &str| number(&arguments[key]);
    let values = || numbers(&arguments["values"]);
    let weights = || numbers(&arguments["weights"]);
    let [first, second] = ["first", "second"].map(|key| move || quantity(&arguments[key]));
    let unit = || arguments["unit"].as_str().expect("a unit");
    let some = |number: Option<f64>| number.map_or(Value::Null, spelled);
    let requests = || arguments["requests"].as_u64().expect("a count") as u32;
    match function {
        "mean" => some(statistics::mean(&values())),
        "median" => some(statistics::median(&values())),
        "standard_deviation" => some(statistics::standard_deviation(&values())),
        "standard_error" => some(statistics::standard_error(&values())),
        "population_standard_deviation" => {
            some(statistics::population_standard_deviation(&values()))
        }
        "weighted_mean" => some(statistics::weighted_mean(&values(), &weights())),
        "weighted_percentile" => {
            some(statistics::weighted_percentile(&values(), &weights(), at("p")))
        }
        "coefficient_of_variation" => some(statistics::coefficient_of_variation(&values())),
        "percentile" => some(statistics::percentile(&values(), at("p"))),
        "t_quantile" => some(statistics::t_quantile(at("probability"), at("freedom"))),
        "interval" => {
            let interval = statistics::interval(&values(), at("confidence"));
            interval.map_or(Value::Null, |interval| {
                let [mean, low, high] = [interval.mean, interval.low, interval.high].map(spelled);
                json!({ "mean": mean, "low": low, "high": high })
            })
        }
        "arrivals.poisson" => offsets(Arrivals::poisson(at("rate")), arguments),
        "arrivals.constant" => offsets(Arrivals::constant(at("rate")), arguments),
        "arrivals.gamma" => offsets(Arrivals::gamma(at("rate"), at("burstiness")), arguments),
        "arrivals.linear_ramp" => {
            offsets(Arrivals::linear_ramp(at("from"), at("to"), requests()), arguments)
        }
        "arrivals.exponential_ramp" => {
            offsets(Arrivals::exponential_ramp(at("from"), at("to"), requests()), arguments)
        }
        "arrivals.nanoseconds" => json!(in_nanoseconds(at("seconds")).as_nanos() as u64),
        "quantity.mean" => result_of(Quantity::mean(&values(), unit())),
        "quantity.mean_of" => {
            let quantities = arguments["quantities"].as_array().expect("a list");
            result_of(Quantity::mean_of(quantities.iter().map(quantity)))
        }
        "quantity.plus" => result_of(first().plus(&second())),
        "quantity.minus" => result_of(first().minus(&second())),
        "quantity.times" => result_of(Some(first().times(&second(), unit()))),
        "quantity.over" => result_of(first().over(&second(), unit())),
        "quantity.per" => result_of(first().per(at("divisor"), unit())),
        _ => match function.split_once('.') {
            Some(("reading", function)) => call_of_readings(function, arguments),
            Some(("lengths", shape)) => lengths(shape, arguments),
            Some(("random", function)) => call_of_random(function, arguments),
            _ => panic!("no function {function}"),
        },
    }
}

/// Draws the offsets of a case until its uniform numbers are used up. Processes that take none are drawn six times.
fn offsets(arrivals: Arrivals, arguments: &Value) -> Value {
    let mut given = Given(numbers(&arguments["uniforms"]).into_iter());
    let mut times = arrivals.times().expect("the process is valid");
    let mut offsets = Vec::new();
    while offsets.len() < 6 {
        times.draw(&mut given).flatten().expect("the process has times");
        offsets.push(times.seconds());
    }
    assert_eq!(given.0.len(), 0, "all uniform numbers are taken");
    json!(offsets)
}

fn is_equal(result: &Value, expected: &Value) -> bool {
    match (result, expected) {
        (Value::Array(result), Value::Array(expected)) => {
            result.len() == expected.len()
                && result.iter().zip(expected).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(result), Value::Object(expected)) => {
            result.len() == expected.len()
                && expected.iter().all(|(key, value)| is_equal(&result[key], value))
        }
        (Value::Number(result), Value::Number(expected)) if expected.is_f64() => {
            let [result, expected] =
                [result, expected].map(|number| number.as_f64().expect("a number"));
            (result - expected).abs() <= TOLERANCE * expected.abs()
        }
        (result, expected) => result == expected,
    }
}

#[test]
fn every_case_of_the_shared_table_agrees() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../numbers.json");
    let table: Value =
        serde_json::from_str(&fs::read_to_string(path).expect(path)).expect("it is JSON");
    let cases = table["cases"].as_array().expect("a list of cases");
    let wrong: Vec<String> = cases
        .iter()
        .map(|case| (call(case["function"].as_str().expect("a name"), &case["arguments"]), case))
        .filter(|(result, case)| !is_equal(result, &case["result"]))
        .map(|(result, case)| format!("{case}: {result}"))
        .collect();
    assert!(wrong.is_empty() && cases.len() > 200, "{}", wrong.join("\n"));
}
