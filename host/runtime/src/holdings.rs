//! Which devices held models, and which batches were open, when.
//!
//! A window is about all that happened in it: a model that is loaded and dropped between its edges has worked on its
//! devices, whatever they hold when it closes.

use llem_meter::{Span, Total};
use std::{collections::BTreeSet, time::Instant};

/// All that has been held in a run.
#[derive(Default)]
pub struct Holdings {
    models: Vec<Held<Model>>,
    batches: Vec<Held<u64>>,
}

/// Something that is held for a time.
struct Held<T> {
    what: T,
    from: Instant,
    /// None while it is held.
    until: Option<Instant>,
}

/// A model on its devices.
struct Model {
    /// None while it is loaded, and of one that could not be.
    number: Option<u64>,
    devices: Vec<String>,
    /// Why not all of its devices can be measured from here.
    unmeasured: Option<String>,
}

/// What was held at some time in a span.
#[derive(Clone, Default)]
pub struct During {
    /// Models, by their numbers.
    pub models: Vec<u64>,
    /// The devices that they, or parts of them, were on; each once.
    pub devices: Vec<String>,
    /// Batches, by their numbers.
    pub batches: Vec<u64>,
    /// Why not all devices can be measured from here.
    pub unmeasured: Option<String>,
    /// Whether a model was loaded or dropped meanwhile.
    pub has_changed: bool,
}

impl During {
    /// The energy of a span whose work this did. What another machine used cannot be read here, and a sum without it would
    /// pass for the whole.
    pub fn total(&self, span: &Span) -> Total {
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

    /// Whether any of the work was on other devices than processors.
    pub fn has_accelerators(&self) -> bool {
        self.devices.iter().any(|device| device.rsplit('/').next() != Some("cpu"))
    }
}

impl<T> Held<T> {
    fn from_now(what: T) -> Self {
        Self { what, from: Instant::now(), until: None }
    }

    fn is_in(&self, from: Instant, to: Instant) -> bool {
        self.from <= to && self.until.is_none_or(|until| until >= from)
    }

    fn changes_in(&self, from: Instant, to: Instant) -> bool {
        let is_in = |moment: Instant| moment > from && moment < to;
        is_in(self.from) || self.until.is_some_and(is_in)
    }

    fn end(&mut self) {
        self.until.get_or_insert_with(Instant::now);
    }
}

impl Holdings {
    /// A model begins to be loaded onto these devices. Returns what [`Holdings::loaded`] is told.
    pub fn loading(&mut self, devices: Vec<String>) -> usize {
        self.models.push(Held::from_now(Model { number: None, devices, unmeasured: None }));
        self.models.len() - 1
    }

    /// It is loaded, and on these devices.
    pub fn loaded(
        &mut self,
        loading: usize,
        number: u64,
        devices: Vec<String>,
        unmeasured: Option<String>,
    ) {
        if let Some(held) = self.models.get_mut(loading) {
            held.what = Model { number: Some(number), devices, unmeasured };
        }
    }

    /// It could not be loaded.
    pub fn failed(&mut self, loading: usize) {
        self.models.get_mut(loading).into_iter().for_each(Held::end);
    }

    /// A model is gone.
    pub fn dropped(&mut self, number: u64) {
        let models = self.models.iter_mut().filter(|held| held.what.number == Some(number));
        models.for_each(Held::end);
    }

    /// A batch is open.
    pub fn opened(&mut self, batch: u64) {
        self.batches.push(Held::from_now(batch));
    }

    /// It is not any more.
    pub fn closed(&mut self, batch: u64) {
        self.batches.iter_mut().filter(|held| held.what == batch).for_each(Held::end);
    }

    /// What was held at some time from one moment to another.
    pub fn during(&self, from: Instant, to: Instant) -> During {
        let models: Vec<&Model> =
            self.models.iter().filter(|held| held.is_in(from, to)).map(|held| &held.what).collect();
        let devices: BTreeSet<&String> = models.iter().flat_map(|model| &model.devices).collect();
        let batches = self.batches.iter().filter(|held| held.is_in(from, to));
        During {
            models: models.iter().filter_map(|model| model.number).collect(),
            devices: devices.into_iter().cloned().collect(),
            batches: batches.map(|held| held.what).collect(),
            unmeasured: models.iter().find_map(|model| model.unmeasured.clone()),
            has_changed: self.models.iter().any(|held| held.changes_in(from, to)),
        }
    }

    /// What is held now.
    pub fn now(&self) -> During {
        let now = Instant::now();
        self.during(now, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_at_any_time_of_a_span_counts() {
        let mut holdings = Holdings::default();
        let began = Instant::now();
        let first = holdings.loading(vec!["cuda:0".to_owned()]);
        holdings.loaded(first, 0, vec!["cuda:1".to_owned(), "cuda:0".to_owned()], None);
        holdings.opened(0);
        let [middle, later] = [(); 2].map(|()| Instant::now());
        holdings.dropped(0);
        holdings.closed(0);
        let failed = holdings.loading(vec!["cuda:2".to_owned()]);
        holdings.failed(failed);
        let after = Instant::now();
        let all = holdings.during(began, after);
        assert_eq!((all.models, all.batches), (vec![0], vec![0]));
        assert_eq!(all.devices, ["cuda:0", "cuda:1", "cuda:2"]);
        assert_eq!(holdings.during(middle, later).devices, ["cuda:0", "cuda:1"]);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(holdings.now().devices.is_empty());
    }
}
