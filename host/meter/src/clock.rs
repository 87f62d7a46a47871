//! The run's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time on a monotonic clock, s.
pub type Seconds = f64;

/// Readings of both clocks, of which the pair with the smallest gap is taken: the kernel may run something else in
/// between, but hardly each time.
const TRIES: usize = 8;

/// Monotonic nanoseconds since it was started, and what the wall clock said then.
///
/// The two are read back to back, once, so that a moment of the run is the same moment in the logs of others. From then
/// on only the monotonic clock is read: a wall clock may be set while a run goes on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
    unix_ns: i64,
}

impl Clock {
    /// Starts at 0 now.
    pub fn start() -> Self {
        let read = || {
            let (before, wall, after) = (Instant::now(), SystemTime::now(), Instant::now());
            let gap = after.duration_since(before);
            // The wall clock was read somewhere in between.
            (gap, Self { epoch: before + gap / 2, unix_ns: unix_ns(wall) })
        };
        let best = (1..TRIES).fold(read(), |best, _| {
            let next = read();
            if next.0 < best.0 { next } else { best }
        });
        best.1
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// The same of a moment read elsewhere; 0 for moments before the start.
    pub fn at(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// When it showed this many nanoseconds.
    pub fn moment(&self, ns: u64) -> Instant {
        self.epoch + Duration::from_nanos(ns)
    }

    /// When it started, in nanoseconds since 1970-01-01 UTC.
    pub fn unix_ns(&self) -> i64 {
        self.unix_ns
    }

    /// A moment of this clock on the wall clock.
    pub fn wall_time(&self, ns: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.unix_ns.max(0) as u64) + Duration::from_nanos(ns)
    }
}

/// Nanoseconds since 1970-01-01 UTC; negative before.
fn unix_ns(wall: SystemTime) -> i64 {
    match wall.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i64,
        Err(before) => -(before.duration().as_nanos() as i64),
    }
}

/// Now, seconds since 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_are_read_at_the_same_moment() {
        let before = unix_ns(SystemTime::now());
        let clock = Clock::start();
        let now = clock.now();
        let after = unix_ns(SystemTime::now());
        assert!((before..=after).contains(&clock.unix_ns()));
        assert!(clock.unix_ns() + now as i64 <= after + 1_000_000, "{now} ns after its start");
        assert_eq!(unix_ns(clock.wall_time(5)), clock.unix_ns() + 5);
    }
}
