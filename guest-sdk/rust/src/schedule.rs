//! How a workload is run, and the measurement of all its requests together.

use crate::{
    batch::BatchOptions, bindings::batches, bindings::trials, measurement::Measurement,
    wait::nanoseconds,
};
use std::{rc::Rc, time::Duration};

/// How the runner runs the requests of a workload: one after another, or in a continuous batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// The options of the continuous batch that all requests run in. `None` means that each request runs alone, in
    /// order; the other fields then have no effect.
    pub batch: Option<BatchOptions>,
    /// The maximum number of submitted requests that have not ended (a closed loop). `None` means that every request is
    /// submitted at its arrival, or at once.
    pub concurrency: Option<u32>,
    /// How long requests are sent. `None` means until the workload ends.
    pub length: Option<Duration>,
}

impl Schedule {
    /// Creates a schedule that runs one request after another, each alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a schedule that runs all requests in a continuous batch.
    pub fn with_batch(options: BatchOptions) -> Self {
        Self { batch: Some(options), ..Self::default() }
    }

    /// Limits the number of submitted requests that have not ended. At least 1.
    pub fn concurrency(mut self, requests: u32) -> Self {
        self.concurrency = Some(requests);
        self
    }

    /// Sets how long requests are sent.
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

/// The measurement of all requests of a workload together.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The time and energy of all measured requests and of the time between them. `None` if each request ran alone.
    pub measurement: Option<Measurement>,
    /// The host's resource of this session, if there is one.
    resource: Option<Rc<trials::Session>>,
}

impl Session {
    /// Creates a session from the measurement of the window around all requests, if there was one.
    pub fn new(measurement: Option<Measurement>) -> Self {
        Self { measurement, resource: None }
    }

    /// Returns the host's resource of this session. Only the standard runner has it, to pass it to policies that are
    /// components.
    pub fn resource(&self) -> Option<&trials::Session> {
        self.resource.as_deref()
    }
}

impl From<trials::Session> for Session {
    fn from(session: trials::Session) -> Self {
        let measurement = session.measurement().as_ref().map(Measurement::from);
        Self { measurement, resource: Some(Rc::new(session)) }
    }
}

impl From<&trials::Session> for Session {
    fn from(session: &trials::Session) -> Self {
        Self::new(session.measurement().as_ref().map(Measurement::from))
    }
}
