//! Tokens per second while a run goes on.
//!
//! Tokens are counted by the second in which they were on the host. Of a request that still runs, only their number is
//! known; once it has ended, the exact times of its tokens replace what was counted meanwhile.

use std::collections::BTreeMap;

/// How many seconds are kept, which also is the longest stretch that a chart shows.
pub(super) const KEPT: u64 = 600;

/// The number of whole seconds that the current rate is the mean of.
pub(super) const RATE_SECONDS: u64 = 5;

const SECOND: u64 = 1_000_000_000;

/// Counts tokens by seconds of the run.
#[derive(Debug, Default)]
pub(super) struct TokenRate {
    /// Tokens whose times are known, by second.
    known: BTreeMap<u64, u64>,
    /// Tokens of the running request, by the second in which they were noticed.
    running: BTreeMap<u64, u64>,
    /// The highest number of tokens that the running request was seen with.
    counted: u64,
    /// The number of tokens in `running`, also of those seconds that are not kept any more.
    running_total: u64,
    /// The time of the first token, ns.
    first_ns: Option<u64>,
    /// The time of the latest token, ns.
    last_ns: Option<u64>,
    total: u64,
}

impl TokenRate {
    /// Adds a token that was on the host at this time.
    pub(super) fn add(&mut self, ns: u64) {
        add(&mut self.known, ns, 1);
        self.total += 1;
        self.note(ns);
    }

    /// Begins a request whose tokens are counted from zero.
    pub(super) fn begin_request(&mut self) {
        self.counted = 0;
    }

    /// Notes that the running request has this many tokens now.
    pub(super) fn set_running(&mut self, now_ns: u64, tokens: u64) {
        let more = tokens.saturating_sub(self.counted);
        if more > 0 {
            self.counted = tokens;
            add(&mut self.running, now_ns, more);
            self.running_total += more;
            self.note(now_ns);
        }
    }

    /// Ends the running request. The exact times of its tokens are added after this call.
    pub(super) fn replace_running(&mut self) {
        self.running.clear();
        self.running_total = 0;
    }

    /// Ends the running request, whose tokens have no times of their own.
    pub(super) fn keep_running(&mut self) {
        for (second, tokens) in std::mem::take(&mut self.running) {
            add(&mut self.known, second * SECOND, tokens);
        }
        self.total += std::mem::take(&mut self.running_total);
    }

    fn note(&mut self, ns: u64) {
        self.first_ns = Some(self.first_ns.map_or(ns, |first| first.min(ns)));
        self.last_ns = Some(self.last_ns.map_or(ns, |last| last.max(ns)));
    }

    /// The number of tokens so far.
    pub(super) fn total(&self) -> u64 {
        self.total + self.running_total
    }

    /// The time of the latest token, ns.
    pub(super) fn last_ns(&self) -> Option<u64> {
        self.last_ns
    }

    /// The mean rate over the last whole seconds before `end_ns`, in tokens per second. In the run's first second of
    /// tokens, it is the mean since the first token.
    pub(super) fn per_second(&self, end_ns: u64) -> Option<f64> {
        let first_ns = self.first_ns?;
        let (first, end) = (first_ns / SECOND, end_ns / SECOND);
        if end <= first {
            let seconds = end_ns.checked_sub(first_ns)? as f64 / SECOND as f64;
            return (seconds > 0.1).then(|| self.total() as f64 / seconds);
        }
        // The second of the first token was not full, unless it is the only one.
        let start = if end - first > 1 { first + 1 } else { first };
        let start = start.max(end.saturating_sub(RATE_SECONDS));
        let tokens: u64 = (start..end).map(|second| self.tokens_in(second)).sum();
        Some(tokens as f64 / (end - start) as f64)
    }

    /// The median over the whole seconds in which there were tokens, in tokens per second.
    pub(super) fn median(&self, end_ns: u64) -> Option<f64> {
        let end = end_ns / SECOND;
        let mut all: Vec<u64> = (end.saturating_sub(KEPT)..end)
            .map(|second| self.tokens_in(second))
            .filter(|&tokens| tokens > 0)
            .collect();
        all.sort_unstable();
        let middle = all.len() / 2;
        match all.len() {
            0 => None,
            count if count % 2 == 1 => Some(all[middle] as f64),
            _ => Some((all[middle - 1] + all[middle]) as f64 / 2.0),
        }
    }

    /// The mean rates of `columns` stretches of `each` seconds, the last of which ends at the last whole second before
    /// `end_ns`. `None` for times before the first token.
    pub(super) fn course(&self, end_ns: u64, columns: u64, each: u64) -> Vec<Option<f64>> {
        let (end, first) = (end_ns / SECOND, self.first_ns.map(|first| first / SECOND));
        let column = |back: u64| {
            let until = end.checked_sub(back * each)?;
            let from = until.checked_sub(each)?;
            (until > first?).then(|| {
                (from..until).map(|second| self.tokens_in(second)).sum::<u64>() as f64 / each as f64
            })
        };
        (0..columns).rev().map(column).collect()
    }

    fn tokens_in(&self, second: u64) -> u64 {
        [&self.known, &self.running].iter().filter_map(|all| all.get(&second)).sum()
    }
}

fn add(seconds: &mut BTreeMap<u64, u64>, ns: u64, tokens: u64) {
    *seconds.entry(ns / SECOND).or_default() += tokens;
    while seconds.len() as u64 > KEPT {
        seconds.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_steady_rate_is_told_as_it_is() {
        let mut rate = TokenRate::default();
        // Ten tokens a second, from 2.55 s to 12.45 s.
        (0..100).for_each(|token| rate.add((2_550 + token * 100) * MS));
        assert_eq!(rate.total(), 100);
        assert_eq!(rate.per_second(10_300 * MS), Some(10.0));
        assert_eq!(rate.median(10_300 * MS), Some(10.0));
        // The last tokens are half a second into the twelfth second.
        assert_eq!(rate.per_second(13_000 * MS), Some(9.0));
        let course = rate.course(10_000 * MS, 5, 2);
        assert_eq!(course, [None, Some(7.5), Some(10.0), Some(10.0), Some(10.0)]);
    }

    #[test]
    fn exact_times_replace_what_was_counted_meanwhile() {
        let mut rate = TokenRate::default();
        rate.begin_request();
        rate.set_running(1_200 * MS, 8);
        rate.set_running(2_100 * MS, 20);
        rate.set_running(2_100 * MS, 3);
        assert_eq!(rate.total(), 20);
        rate.replace_running();
        (0..20).for_each(|token| rate.add((1_000 + token * 50) * MS));
        assert_eq!(rate.total(), 20);
        assert_eq!(rate.median(4_000 * MS), Some(20.0), "all were in second 1");
        rate.begin_request();
        rate.set_running(3_500 * MS, 6);
        rate.keep_running();
        assert_eq!(rate.total(), 26);
    }

    #[test]
    fn without_tokens_there_is_no_rate() {
        let rate = TokenRate::default();
        assert_eq!((rate.per_second(9_000 * MS), rate.median(9_000 * MS)), (None, None));
        assert_eq!(rate.course(9_000 * MS, 2, 1), [None, None]);
    }
}
