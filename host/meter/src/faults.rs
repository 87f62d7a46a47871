//! The failed readings of an instrument.

use llem_quantity::Unavailable;

/// The readings of one instrument that have failed. A window has no energy if a reading failed within it or at one of
/// its ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    count: u64,
    /// Why the latest reading failed; `None` if it succeeded.
    now: Option<Unavailable>,
    /// Why the last failed reading failed.
    last: Option<Unavailable>,
}

impl Faults {
    /// Returns true if the latest reading succeeded.
    pub(crate) fn is_ok(&self) -> bool {
        self.now.is_none()
    }

    /// Notes the outcome of a reading.
    pub(crate) fn note(&mut self, outcome: Result<(), Unavailable>) {
        self.now = outcome.err();
        if self.now.is_some() {
            self.count += 1;
            self.last.clone_from(&self.now);
        }
    }

    /// Fails if a reading has failed since `before`, which is a copy of these faults from when a window opened, or if
    /// the last reading before that moment had failed.
    pub(crate) fn since(&self, before: &Self) -> Result<(), Unavailable> {
        match (&before.now, &self.last) {
            (Some(reason), _) => Err(reason.clone()),
            (None, Some(reason)) if self.count > before.count => Err(reason.clone()),
            _ => Ok(()),
        }
    }
}
