//! The phase of a run, how far the script says that it has come, and when it will be done.

/// The open phase and the script's progress in it.
#[derive(Debug, Default)]
pub(super) struct PhaseProgress {
    /// Names of the open phases, outermost first, joined by `/`; empty if none is open.
    pub path: String,
    /// When the innermost phase began, or when the one within it ended, ns.
    pub began_ns: u64,
    progress: Option<ScriptProgress>,
}

/// What the script last reported.
#[derive(Debug)]
pub(super) struct ScriptProgress {
    pub done: u64,
    /// 0 if it is unknown.
    pub total: u64,
    pub label: String,
    /// The first report in the phase: its time in ns, and what was done.
    first: (u64, u64),
    /// When `done` last grew, ns.
    grown_ns: u64,
}

impl PhaseProgress {
    pub(super) fn enter(&mut self, path: &str, now_ns: u64) {
        *self = Self { path: path.to_owned(), began_ns: now_ns, progress: None };
    }

    pub(super) fn report(&mut self, now_ns: u64, done: u64, total: u64, label: &str) {
        let before = self.progress.take().filter(|old| old.total == total && old.done <= done);
        let is_same = before.as_ref().is_some_and(|old| old.done == done);
        let grown_ns = before.as_ref().filter(|_| is_same).map_or(now_ns, |old| old.grown_ns);
        let first = before.map_or((now_ns, done), |old| old.first);
        let label = label.to_owned();
        self.progress = Some(ScriptProgress { done, total, label, first, grown_ns });
    }

    pub(super) fn script(&self) -> Option<&ScriptProgress> {
        self.progress.as_ref()
    }
}

impl ScriptProgress {
    /// The share that is done, from 0 to 1, if the total is known.
    pub(super) fn share(&self) -> Option<f64> {
        (self.total > 0).then(|| (self.done as f64 / self.total as f64).min(1.0))
    }

    /// The time that is left, s, if the rest goes as fast as what was done since the first report. `None` until
    /// something was done.
    pub(super) fn seconds_left(&self, now_ns: u64) -> Option<f64> {
        let (began_ns, before) = self.first;
        let done = self.done.checked_sub(before).filter(|&done| done > 0)?;
        let left = self.total.checked_sub(self.done)?;
        let each = (self.grown_ns - began_ns) as f64 * 1e-9 / done as f64;
        let since = now_ns.saturating_sub(self.grown_ns) as f64 * 1e-9;
        Some((each * left as f64 - since).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_expected_to_go_as_fast_as_what_was_done() {
        let second = |seconds: u64| seconds * 1_000_000_000;
        let mut phase = PhaseProgress::default();
        phase.enter("measure", second(10));
        phase.report(second(10), 0, 8, "a");
        let left = |phase: &PhaseProgress, now| phase.script().and_then(|p| p.seconds_left(now));
        assert_eq!(left(&phase, second(12)), None, "nothing is done");
        phase.report(second(13), 1, 8, "b");
        phase.report(second(16), 2, 8, "c");
        assert_eq!(left(&phase, second(16)), Some(18.0));
        assert_eq!(left(&phase, second(17)), Some(17.0));
        assert_eq!(left(&phase, second(99)), Some(0.0), "it is late");
        assert_eq!(phase.script().and_then(ScriptProgress::share), Some(0.25));
        phase.report(second(18), 5, 0, "unknown");
        assert_eq!(phase.script().and_then(ScriptProgress::share), None);
        assert_eq!(left(&phase, second(30)), None);
    }
}
