//! The system under test: llem's engine, one continuous batch for all queries of a run.
//!
//! ```text
//! closed loop (SingleStream, MultiStream)   submit a query ─► run until its samples end ─► submit the next
//! open loop (Server, Offline)               submit ahead with arrivals ─► run until a sample ends ─► submit more
//! ```

use crate::{
    queries::Query,
    results::{Run, Sample},
    settings::{MS, Requested, Scenario, Settings},
};
use llem_sdk::{meter::now, prelude::*};
use std::collections::BTreeMap;

/// The time from the first submission to the start of an open loop, in ns. It holds the reading of energy counters.
const LEAD: u64 = 50 * MS;

/// The number of samples that are submitted beyond those that can run at a time.
const AHEAD: usize = 64;

/// The engine with the prompts and the options of a run.
pub(crate) struct System<'a> {
    /// The batch that all samples run in.
    pub(crate) batch: &'a Batch,
    /// The prompts by the index of their sample.
    pub(crate) prompts: &'a [Vec<u32>],
    /// A request without prompts, whose options all requests have.
    pub(crate) template: &'a Request,
    /// The maximum number of sequences that run at a time.
    pub(crate) max_sequences: usize,
}

impl System<'_> {
    /// Runs as many queries before the test, each of the first samples. Returns the latency of the last one, in ns, or
    /// `None` if there is none.
    pub(crate) fn warm_up(&self, runs: usize, samples_per_query: usize) -> Result<Option<u64>> {
        let _phase = Phase::begin("warmup")?;
        let indices = (0..self.prompts.len() as u64).cycle().take(samples_per_query);
        let request = self.request(&indices.collect::<Vec<_>>());
        let mut latency = None;
        for _ in 0..runs {
            self.batch.submit(&request, None)?;
            let ended = self.batch.drain()?;
            let submitted = ended.iter().map(|one| one.submitted).min();
            let done = ended.iter().filter_map(|one| one.token_times.last()).max();
            latency = done.zip(submitted).map(|(done, submitted)| done - submitted);
        }
        Ok(latency)
    }

    /// Issues the queries and waits for all samples. Returns them with the measurement of the whole.
    pub(crate) fn run(&self, queries: &[Query], settings: &Settings) -> Result<(Run, Measurement)> {
        match settings.scenario() {
            Scenario::SingleStream | Scenario::MultiStream => self.closed_loop(queries, settings),
            Scenario::Server | Scenario::Offline => self.open_loop(queries, settings),
        }
    }

    fn request(&self, indices: &[u64]) -> Request {
        let prompts =
            indices.iter().map(|&index| Prompt::Tokens(self.prompts[index as usize].clone()));
        Request { prompts: prompts.collect(), ..self.template.clone() }
    }

    fn closed_loop(&self, queries: &[Query], settings: &Settings) -> Result<(Run, Measurement)> {
        let requested = &settings.requested;
        let mut run = Run::default();
        let mut ended_early = Some(
            "Ending early: Ran out of generated queries to issue before the minimum query count and test duration were \
             reached. Please update the relevant expected latency or target qps in the TestSettings so they are more \
             accurate."
                .to_owned(),
        );
        let window = Window::open("queries")?;
        let start = now();
        for (number, query) in queries.iter().enumerate() {
            let sequences = self.batch.submit(&self.request(&query.samples), None)?;
            let mut completions = BTreeMap::new();
            while completions.len() < sequences.len() {
                let ended = self.batch.run_until_end()?.ended;
                if ended.is_empty() {
                    return Err(
                        "the batch has nothing to run, although samples are not done".into()
                    );
                }
                completions.extend(ended.into_iter().map(|one| (one.sequence, one)));
            }
            let issued =
                completions.values().map(|one| one.submitted).min().unwrap_or(start) - start;
            for (sequence, &index) in sequences.iter().zip(&query.samples) {
                let completion =
                    completions.get(sequence).ok_or("a sequence of another query ended")?;
                run.samples.push(sample(number, index, (issued, issued), start, completion)?);
            }
            run.queries = number + 1;
            report::show_progress(run.queries as u64, settings.min_query_count, "queries");
            let count = run.queries as u64;
            if count >= settings.min_query_count && issued >= settings.target_duration * MS {
                ended_early = None;
                break;
            }
            if let Some(error) = early_end(requested, count, issued) {
                ended_early = Some(error);
                break;
            }
        }
        run.errors.extend(ended_early);
        run.note_single_tokens();
        Ok((run, window.close()?))
    }

    fn open_loop(&self, queries: &[Query], settings: &Settings) -> Result<(Run, Measurement)> {
        let issues_early = |(at, query): (usize, &Query)| {
            let error = early_end(&settings.requested, at as u64 + 1, query.due)?;
            Some((at + 1, error))
        };
        let ended_early = queries.iter().enumerate().find_map(issues_early);
        let queries = &queries[..ended_early.as_ref().map_or(queries.len(), |(count, _)| *count)];
        let start = now() + LEAD;
        // A query of Server has one sample, and the only one of Offline has all.
        let issues = queries.iter().enumerate().flat_map(|(number, query)| {
            query.samples.iter().map(move |&index| (number, index, query.due))
        });
        let issues: Vec<(usize, u64, u64)> = match settings.scenario() {
            Scenario::Offline => issues.map(|(number, index, _)| (number, index, 0)).collect(),
            _ => issues.collect(),
        };
        let most = self.max_sequences + AHEAD;
        let mut run = Run { queries: queries.len(), ..Run::default() };
        let mut samples = vec![None; issues.len()];
        let mut open = BTreeMap::new();
        let (mut submitted, mut done) = (0, 0);
        let mut window = None;
        while done < issues.len() {
            while submitted < issues.len() && open.len() < most {
                let (_, index, due) = issues[submitted];
                let request = self.request(&[index]);
                let sequences = self.batch.submit(&request, Some(start + due))?;
                open.extend(sequences.iter().map(|&sequence| (sequence, submitted)));
                submitted += 1;
            }
            if window.is_none() {
                window = Some(Window::open("queries")?);
            }
            let ended = self.batch.run_until_end()?.ended;
            if ended.is_empty() {
                return Err("the batch has nothing to run, although samples are not done".into());
            }
            for completion in &ended {
                let at = open.remove(&completion.sequence).ok_or("an unknown sequence ended")?;
                let (number, index, due) = issues[at];
                // The host takes a sample at its arrival, whatever runs then.
                samples[at] = Some(sample(number, index, (due, due), start, completion)?);
                done += 1;
            }
            report::show_progress(done as u64, issues.len() as u64, "samples");
        }
        run.samples = samples.into_iter().flatten().collect();
        run.errors.extend(ended_early.map(|(_, error)| error));
        run.note_single_tokens();
        let window = window.ok_or("there is no query")?;
        Ok((run, window.close()?))
    }
}

/// Returns LoadGen's error if no query follows the one that was issued now, because there are too many or it is too late.
fn early_end(requested: &Requested, count: u64, issued: u64) -> Option<String> {
    if requested.max_query_count > 0 && count >= requested.max_query_count {
        let ended = "IssueQueryThread 0 Ending early: Max query count reached.";
        return Some(format!("{ended} query_count {count}"));
    }
    if requested.max_duration > 0 && issued > requested.max_duration * MS {
        let ended = "IssueQueryThread 0 Ending early: Max test duration reached.";
        return Some(format!("{ended} duration_ns {issued}"));
    }
    None
}

/// Makes a sample of a completion. `scheduled` and `issued` are in ns since `start`.
fn sample(
    query: usize,
    index: u64,
    (scheduled, issued): (u64, u64),
    start: u64,
    completion: &Completion,
) -> Result<Sample> {
    let times = &completion.token_times;
    let [Some(first), Some(last)] = [times.first(), times.last()] else {
        return Err("a sample has no token".into());
    };
    let since = |time: u64| time.saturating_sub(start);
    Ok(Sample {
        query,
        index,
        scheduled,
        issued,
        first_token: Some(since(*first)),
        done: since(*last),
        tokens: times.len() as u64,
    })
}

impl Run {
    /// Adds LoadGen's error for each sample of one token, which has no time per output token.
    pub(crate) fn note_single_tokens(&mut self) {
        let count = self.samples.iter().filter(|sample| sample.tokens == 1).count();
        let error = "Number of tokens need to be greater than 1";
        self.errors.extend(std::iter::repeat_n(error.to_owned(), count));
    }
}
