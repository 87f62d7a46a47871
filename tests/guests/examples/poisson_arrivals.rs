//! Schedules all requests of an open loop in advance, and reports how late the host admitted each.

use llem_sdk::{meter::now, prelude::*, report::Series};
use test_guests::check;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("poisson-arrivals", "0.1.0", "Tells how late arrivals are taken up.")
        .number("rate", 50.0, "arrivals a second")
        .integer("count", 40, "how many")
        .integer("new-tokens", 4, "tokens of each")
}

/// The time from the first submission to the moment that arrivals count from, in ns.
const LEAD: u64 = 100_000_000;

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let (count, new_tokens): (u32, u32) = (parameter("count")?, parameter("new-tokens")?);
    let batch = model.open_batch(BatchOptions::new(16).max_tokens(8 + new_tokens))?;
    let request =
        Request::from_tokens([1; 8]).label("arrival").max_new_tokens(new_tokens).ignore_eos();
    let mut times = Arrivals::poisson(parameter("rate")?).times()?;
    let mut random = Random::new("arrivals");
    let began = now() + LEAD;
    let mut due = Vec::new();
    for _ in 0..count {
        let offset = times.draw(&mut random).flatten().unwrap_or_default();
        let arrival = began + offset.as_nanos() as u64;
        batch.submit(&request, Some(arrival))?;
        due.push(arrival);
    }
    // On a busy machine some arrivals lie behind by now. They run at once, and their latencies count from their times too.
    let status = batch.status();
    let taken = status.scheduled + status.waiting + status.running;
    check(taken == count, "all are scheduled or have arrived")?;
    let mut ended = batch.drain()?;
    ended.sort_by_key(|completion| completion.sequence);
    check(ended.len() == due.len(), "all have ended")?;
    let (mut idle, mut in_step) = (Vec::new(), Vec::new());
    for (completion, &due) in ended.iter().zip(&due) {
        check(completion.submitted == due, "latencies count from the arrival")?;
        let Some(admitted) = completion.admitted.filter(|&admitted| admitted >= due) else {
            return Err("an arrival was taken up before its time, or never".into());
        };
        let late = (admitted - due) as f64 * 1e-9;
        if completion.due_in_step { in_step.push(late) } else { idle.push(late) }
    }
    let at = due.iter().enumerate().map(|(index, at)| (index as f64, (at - began) as f64 * 1e-9));
    report::add_series(&Series {
        name: "arrivals".to_owned(),
        x: ("request".to_owned(), "1".to_owned()),
        y: ("offset".to_owned(), "s".to_owned()),
        points: at.collect(),
    })?;
    for (name, lates) in [("lateness", idle), ("lateness_in_step", in_step)] {
        let count = Quantity::exact(lates.len() as f64, "{request}", Source::Counted);
        report::add_metric(&count.into_metric(&format!("{name}_requests")))?;
        if let Some(mean) = Quantity::mean(&lates, "s") {
            report::add_metric(&mean.into_metric(name))?;
        }
        if let Some(median) = median(lates) {
            let median = Quantity::exact(median, "s", Source::Clock);
            report::add_metric(&median.into_metric(&format!("{name}_median")))?;
        }
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
