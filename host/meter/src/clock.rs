//! The clock of a run, and the unit of time in this crate.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A time or a length of time on a monotonic clock, s.
pub type Seconds = f64;

/// How often both clocks are read. The pair with the smallest gap is used, because the kernel may run something else
/// between two readings, but hardly each time.
const TRIES: usize = 8;

/// A clock that counts monotonic nanoseconds since it was started, and knows what the wall clock showed then.
///
/// Both clocks are read once, one right after the other, so that a moment of the run can be found in the logs of other
/// programs. After that, only the monotonic clock is read, because a wall clock may be set during a run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
    unix_ns: i64,
}

impl Clock {
    /// Starts a clock, which shows 0 now.
    pub fn start() -> Self {
        let read = || {
            let (before, wall, after) = (llem_clock::now(), SystemTime::now(), llem_clock::now());
            let gap = after.duration_since(before);
            // The wall clock was read between the two monotonic readings.
            (gap, Self { epoch: before + gap / 2, unix_ns: unix_ns(wall) })
        };
        let best = (1..TRIES).fold(read(), |best, _| {
            let next = read();
            if next.0 < best.0 { next } else { best }
        });
        best.1
    }

    /// Returns the nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.at(llem_clock::now())
    }

    /// Returns the nanoseconds from the start to a moment; 0 for a moment before the start.
    pub fn at(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// Returns the moment at which the clock showed this many nanoseconds.
    pub fn moment(&self, ns: u64) -> Instant {
        self.epoch + Duration::from_nanos(ns)
    }

    /// Returns when the clock was started, in nanoseconds since 1970-01-01 UTC.
    pub fn unix_ns(&self) -> i64 {
        self.unix_ns
    }

    /// Converts a time of this clock, ns, to the wall clock.
    pub fn wall_time(&self, ns: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.unix_ns.max(0) as u64) + Duration::from_nanos(ns)
    }
}

/// Returns the nanoseconds since 1970-01-01 UTC, which are negative before that.
fn unix_ns(wall: SystemTime) -> i64 {
    match wall.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i64,
        Err(before) => -(before.duration().as_nanos() as i64),
    }
}

/// Returns the wall clock's time now, in seconds since 1970-01-01 UTC.
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
