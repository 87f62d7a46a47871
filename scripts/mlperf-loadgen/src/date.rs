//! Dates of the logs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in UTC. The host says when a run began in whole seconds, so there are no fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    year: u64,
    month: u64,
    day: u64,
    /// The seconds since midnight.
    seconds: u64,
}

impl Date {
    /// Returns the date of a moment after 1970.
    pub(crate) fn new(at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let (mut days, seconds) = (since / 86_400, since % 86_400);
        let is_leap = |year: u64| {
            year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
        };
        let mut year = 1970;
        while days >= 365 + u64::from(is_leap(year)) {
            days -= 365 + u64::from(is_leap(year));
            year += 1;
        }
        let february = 28 + u64::from(is_leap(year));
        let mut month = 1;
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        Self { year, month, day: days + 1, seconds }
    }

    /// Returns the date as in `test_datetime`.
    pub(crate) fn iso_8601(self) -> String {
        let Self { year, month, day, .. } = self;
        format!("{year}-{month:02}-{day:02}T{}Z", self.time())
    }

    /// Returns the date as in `power_begin`, without milliseconds.
    pub(crate) fn for_power(self) -> String {
        let Self { year, month, day, .. } = self;
        format!("{month:02}-{day:02}-{year} {}", self.time())
    }

    fn time(self) -> String {
        let (minutes, seconds) = (self.seconds / 60, self.seconds % 60);
        format!("{:02}:{:02}:{seconds:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // By `date -u -d @N`.
    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_795_901_395, "2026-11-28T21:29:55Z"),
        ] {
            let date = Date::new(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(date.iso_8601(), expected);
        }
        let date = Date::new(UNIX_EPOCH + Duration::from_secs(1_795_901_395));
        assert_eq!(date.for_power(), "11-28-2026 21:29:55");
    }
}
