//! How a workload is run, and what was measured of it as a whole.

use crate::{
    batch::BatchOptions, bindings::batches, bindings::trials, measurement::Measurement,
    rest::nanoseconds,
};
use std::{rc::Rc, time::Duration};

/// How the runner runs a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// How a continuous batch is run that all requests go into. None: each is run by itself, in order, and nothing else of a
    /// schedule counts.
    pub batch: Option<BatchOptions>,
    /// Most requests that are under way at a time: a closed loop. None: every request is submitted at its arrival, or at
    /// once.
    pub concurrency: Option<u32>,
    /// How long requests are sent. None: until the workload has no more.
    pub length: Option<Duration>,
}

impl Schedule {
    /// One request after another, each by itself.
    pub fn one_by_one() -> Self {
        Self::default()
    }

    /// All requests in a continuous batch.
    pub fn batched(options: BatchOptions) -> Self {
        Self { batch: Some(options), ..Self::default() }
    }

    /// At most so many requests are under way at a time, at least 1.
    pub fn concurrency(mut self, requests: u32) -> Self {
        self.concurrency = Some(requests);
        self
    }

    /// Sends requests for this long.
    pub fn length(mut self, length: Duration) -> Self {
        self.length = Some(length);
        self
    }
}

impl From<Schedule> for trials::Schedule {
    fn from(from: Schedule) -> Self {
        let schedule = Self::new();
        schedule.set_batch(from.batch.as_ref().map(batches::BatchOptions::from));
        schedule.set_concurrency(from.concurrency);
        schedule.set_length(from.length.map(nanoseconds));
        schedule
    }
}

impl From<&trials::Schedule> for Schedule {
    fn from(from: &trials::Schedule) -> Self {
        Self {
            batch: from.batch().as_ref().map(BatchOptions::from),
            concurrency: from.concurrency(),
            length: from.length().map(Duration::from_nanos),
        }
    }
}

/// What was measured as a whole.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Time and energy of all measured requests together, and of what was between them. None where each ran by itself.
    pub measurement: Option<Measurement>,
    on_host: Option<Rc<trials::Session>>,
}

impl Session {
    /// With a window around all measured requests, or without one.
    pub fn new(measurement: Option<Measurement>) -> Self {
        Self { measurement, on_host: None }
    }

    /// The host's own session, which the standard runner hands to policies; otherwise none.
    pub fn on_host(&self) -> Option<&trials::Session> {
        self.on_host.as_deref()
    }
}

impl From<trials::Session> for Session {
    fn from(session: trials::Session) -> Self {
        let measurement = session.measurement().as_ref().map(Measurement::from);
        Self { measurement, on_host: Some(Rc::new(session)) }
    }
}

impl From<&trials::Session> for Session {
    fn from(session: &trials::Session) -> Self {
        Self::new(session.measurement().as_ref().map(Measurement::from))
    }
}
