//! Which devices held models, and which batches were open, at which times.
//!
//! A window covers all that happened in it. A model that is loaded and dropped within the window has worked on its
//! devices, even if they hold nothing when the window closes.

use llem_meter::{ClosedWindow, EnergyTotal};
use llem_quantity::Unavailable;
use std::{collections::BTreeSet, time::Instant};

#[derive(Default)]
pub(crate) struct UsageHistory {
    models: Vec<UsageInterval<ModelUse>>,
    batches: Vec<UsageInterval<u64>>,
}

/// Something that is in use from one moment to another.
struct UsageInterval<T> {
    what: T,
    from: Instant,
    /// `None` while it is in use.
    until: Option<Instant>,
}

/// A model on its devices.
struct ModelUse {
    /// The model's number. `None` while it is being loaded, and if loading failed.
    number: Option<u64>,
    devices: Vec<String>,
    /// Why not all of its devices can be measured from here.
    unmeasured: Option<Unavailable>,
}

/// What was in use at some time between two moments.
#[derive(Clone, Default)]
pub(crate) struct Usage {
    pub models: Vec<u64>,
    pub devices: Vec<String>,
    /// The numbers of the open batches.
    pub batches: Vec<u64>,
    /// Why not all devices can be measured from here.
    pub unmeasured: Option<Unavailable>,
    /// Whether a model was loaded or dropped between the two moments.
    pub has_changed: bool,
}

impl Usage {
    /// The energy of a span in which these devices worked. If another machine took part, there is no total, because its
    /// energy cannot be read here, and a sum without it would look complete.
    pub(crate) fn total(&self, span: &ClosedWindow) -> EnergyTotal {
        let mut total = span.total(&self.devices);
        if let Some(reason) = &self.unmeasured {
            total.energy = Err(reason.clone());
            total.covers.clear();
            total.cpu = Err(reason.clone());
            if self.has_accelerators() {
                total.accelerators = Err(reason.clone());
            }
        }
        total
    }

    /// Returns true if a device other than a processor took part.
    pub(crate) fn has_accelerators(&self) -> bool {
        self.devices.iter().any(|device| device.rsplit('/').next() != Some("cpu"))
    }
}

impl<T> UsageInterval<T> {
    fn from_now(what: T) -> Self {
        Self { what, from: llem_clock::now(), until: None }
    }

    fn is_in(&self, from: Instant, to: Instant) -> bool {
        self.from <= to && self.until.is_none_or(|until| until >= from)
    }

    fn changes_in(&self, from: Instant, to: Instant) -> bool {
        let is_in = |moment: Instant| moment > from && moment < to;
        is_in(self.from) || self.until.is_some_and(is_in)
    }

    fn end(&mut self) {
        self.until.get_or_insert_with(llem_clock::now);
    }
}

impl UsageHistory {
    /// Notes that a model is being loaded onto these devices. Returns the index for [`UsageHistory::finish_loading`].
    pub(crate) fn begin_loading(&mut self, devices: Vec<String>) -> usize {
        self.models.push(UsageInterval::from_now(ModelUse {
            number: None,
            devices,
            unmeasured: None,
        }));
        self.models.len() - 1
    }

    /// Notes that the model is loaded on these devices.
    pub(crate) fn finish_loading(
        &mut self,
        loading: usize,
        number: u64,
        devices: Vec<String>,
        unmeasured: Option<Unavailable>,
    ) {
        if let Some(held) = self.models.get_mut(loading) {
            held.what = ModelUse { number: Some(number), devices, unmeasured };
        }
    }

    /// Notes that the model could not be loaded.
    pub(crate) fn fail_loading(&mut self, loading: usize) {
        self.models.get_mut(loading).into_iter().for_each(UsageInterval::end);
    }

    /// Notes that a model was freed.
    pub(crate) fn drop_model(&mut self, number: u64) {
        let models = self.models.iter_mut().filter(|held| held.what.number == Some(number));
        models.for_each(UsageInterval::end);
    }

    pub(crate) fn open_batch(&mut self, batch: u64) {
        self.batches.push(UsageInterval::from_now(batch));
    }

    pub(crate) fn close_batch(&mut self, batch: u64) {
        self.batches.iter_mut().filter(|held| held.what == batch).for_each(UsageInterval::end);
    }

    /// What was in use at some time between two moments.
    pub(crate) fn during(&self, from: Instant, to: Instant) -> Usage {
        let models: Vec<&ModelUse> =
            self.models.iter().filter(|held| held.is_in(from, to)).map(|held| &held.what).collect();
        let devices: BTreeSet<&String> = models.iter().flat_map(|model| &model.devices).collect();
        let batches = self.batches.iter().filter(|held| held.is_in(from, to));
        Usage {
            models: models.iter().filter_map(|model| model.number).collect(),
            devices: devices.into_iter().cloned().collect(),
            batches: batches.map(|held| held.what).collect(),
            unmeasured: models.iter().find_map(|model| model.unmeasured.clone()),
            has_changed: self.models.iter().any(|held| held.changes_in(from, to)),
        }
    }

    /// What is in use now.
    pub(crate) fn now(&self) -> Usage {
        let now = llem_clock::now();
        self.during(now, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_at_any_time_of_a_span_counts() {
        let mut usage = UsageHistory::default();
        let began = Instant::now();
        let first = usage.begin_loading(vec!["cuda:0".to_owned()]);
        usage.finish_loading(first, 0, vec!["cuda:1".to_owned(), "cuda:0".to_owned()], None);
        usage.open_batch(0);
        let [middle, later] = [(); 2].map(|()| Instant::now());
        usage.drop_model(0);
        usage.close_batch(0);
        let failed = usage.begin_loading(vec!["cuda:2".to_owned()]);
        usage.fail_loading(failed);
        let after = Instant::now();
        let all = usage.during(began, after);
        assert_eq!((all.models, all.batches), (vec![0], vec![0]));
        assert_eq!(all.devices, ["cuda:0", "cuda:1", "cuda:2"]);
        assert_eq!(usage.during(middle, later).devices, ["cuda:0", "cuda:1"]);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(usage.now().devices.is_empty());
    }
}
