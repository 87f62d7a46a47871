//! Scales of axes: from values to shares of a length, and the places and texts of ticks.

use super::scene::Run;

/// The scale of an axis. Its range is never empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    is_log: bool,
}

/// A place on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub value: f64,
    /// The number beside it. Empty for a smaller tick between numbers.
    pub label: Vec<Run>,
}

/// The ticks of an axis, and the power of ten by which all numbers at them are multiplied.
#[derive(Debug, PartialEq)]
pub(super) struct Ticks {
    pub ticks: Vec<Tick>,
    /// 0 if the numbers are the values.
    pub power: i32,
}

/// Powers of ten from which a linear axis divides its numbers: they would have many zeros.
const HIGHEST: i32 = 5;
const LOWEST: i32 = -4;

/// The largest size of a value that is drawn, so that the difference of two is a number.
const LARGEST: f64 = 1e300;

impl Scale {
    /// Makes a scale that holds all values. `None` if there is no finite value. A logarithmic scale holds the positive ones; if
    /// there is none, the scale is linear.
    pub(super) fn around(values: impl Iterator<Item = f64> + Clone, is_log: bool) -> Option<Self> {
        let is_log = is_log && values.clone().any(|value| value <= LARGEST && value > 0.0);
        let held = values.filter(|value| value.abs() <= LARGEST && (!is_log || *value > 0.0));
        let ends = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
        let (low, high) = held.fold((f64::INFINITY, f64::NEG_INFINITY), ends);
        (low <= high).then(|| Self::between(low, high, is_log))
    }

    /// Makes a scale with these ends. If they are equal, it reaches to both sides of them.
    pub(super) fn between(from: f64, to: f64, is_log: bool) -> Self {
        // Neighbours of a large number have the same logarithm.
        if to > from && (!is_log || to.log10() > from.log10()) {
            return Self { from, to, is_log };
        }
        if is_log {
            return Self { from: from / 2.0, to: from * 2.0, is_log };
        }
        let reach = if from == 0.0 { 1.0 } else { from.abs() * 0.1 };
        Self { from: from - reach, to: to + reach, is_log }
    }

    /// Leaves room at the ends, as a share of the range. A range that begins at or above zero does not go below it.
    pub(super) fn padded(self, share: f64) -> Self {
        let Self { from, to, is_log } = self;
        if is_log {
            let by = 10f64.powf(self.decades() * share);
            let (from, to) = ((from / by).max(f64::MIN_POSITIVE), (to * by).min(f64::MAX));
            return Self { from, to, is_log };
        }
        let by = (to - from) * share;
        let low = if from >= 0.0 { (from - by).max(0.0) } else { from - by };
        Self { from: low, to: to + by, is_log }
    }

    /// Returns where a value is: 0 at the beginning and 1 at the end. A value that a logarithmic scale does not have is before
    /// the beginning.
    pub(super) fn share(&self, value: f64) -> f64 {
        match self.is_log {
            true if value > 0.0 => (value.log10() - self.from.log10()) / self.decades(),
            true => -1.0,
            false => (value - self.from) / (self.to - self.from),
        }
    }

    /// Returns ticks of which about `count` have numbers.
    pub(super) fn ticks(&self, count: usize) -> Ticks {
        // Within less than a factor of five, equal steps have more numbers than 1, 2 and 5 times a power of ten.
        if self.is_log && self.decades() >= 0.7 {
            return Ticks { ticks: self.log_ticks(count), power: 0 };
        }
        self.linear_ticks(count)
    }

    /// The powers of ten from the beginning to the end of a logarithmic scale.
    fn decades(&self) -> f64 {
        self.to.log10() - self.from.log10()
    }

    fn linear_ticks(&self, count: usize) -> Ticks {
        let range = self.to - self.from;
        let steps = |step: f64| (self.to / step + 1e-9).floor() - (self.from / step - 1e-9).ceil();
        let step = nice_step(range / count.max(1) as f64);
        // Two numbers may hide how a scale goes on, and fewer do.
        let smaller = nice_step(step * 0.4);
        let step =
            if steps(step) < 2.0 && steps(smaller) <= 2.0 * count as f64 { smaller } else { step };
        let largest = self.from.abs().max(self.to.abs()).log10().floor() as i32;
        let power =
            if (LOWEST..=HIGHEST).contains(&largest) { 0 } else { largest.div_euclid(3) * 3 };
        let unit = 10f64.powi(power);
        let places = (-((step / unit).log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize;
        let first = (self.from / step - 1e-9).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        let tick = |number: i64| {
            let value = number as f64 * step;
            Tick { value, label: vec![Run::plain(signed(value / unit, places))] }
        };
        // A range of a few bits of a large number has no steps of its own.
        let last = last.min(first.saturating_add(100));
        Ticks { ticks: (first..=last).map(tick).collect(), power }
    }

    fn log_ticks(&self, count: usize) -> Vec<Tick> {
        let decades = self.decades();
        let low = self.from.log10().floor() as i32;
        let high = self.to.log10().ceil() as i32;
        let every = (decades / count.max(1) as f64).ceil().max(1.0) as i32;
        // With few powers of ten, numbers between them have labels as well.
        let factors: &[u32] = match decades {
            ..2.5 => &[1, 2, 5],
            ..4.0 => &[1, 3],
            _ => &[1],
        };
        let mut ticks = Vec::new();
        for power in low..=high {
            for factor in 1..10u32 {
                // Between far powers of ten, smaller ticks would run together.
                if factor > 1 && decades > 6.0 {
                    continue;
                }
                let value = f64::from(factor) * 10f64.powi(power);
                if value < self.from * (1.0 - 1e-9) || value > self.to * (1.0 + 1e-9) {
                    continue;
                }
                let has_number = factors.contains(&factor) && power.rem_euclid(every) == 0;
                let label = if has_number { power_of_ten(factor, power) } else { Vec::new() };
                ticks.push(Tick { value, label });
            }
        }
        ticks
    }
}

/// Returns the next step of 1, 2 or 5 times a power of ten.
fn nice_step(least: f64) -> f64 {
    let unit = 10f64.powf(least.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * unit >= least * (1.0 - 1e-9));
    times.unwrap_or(10.0) * unit
}

/// Writes a number with a minus sign, which is as long as a plus sign.
fn signed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    let is_zero = text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.'));
    match text.strip_prefix('-') {
        Some(size) if is_zero => size.to_owned(),
        Some(size) => format!("\u{2212}{size}"),
        None => text,
    }
}

/// Writes a factor times a power of ten: as digits from 0.001 to 10 000.
fn power_of_ten(factor: u32, power: i32) -> Vec<Run> {
    match power {
        0..=4 => vec![Run::plain(format!("{}", u64::from(factor) * 10u64.pow(power as u32)))],
        -3..0 => {
            let places = power.unsigned_abs() as usize;
            let value = f64::from(factor) * 10f64.powi(power);
            vec![Run::plain(format!("{value:.places$}"))]
        }
        _ => {
            let base = if factor == 1 { "10".to_owned() } else { format!("{factor}\u{00d7}10") };
            vec![Run::plain(base), Run::raised(signed(f64::from(power), 0))]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, count: usize) -> Vec<String> {
        let text = |tick: &Tick| tick.label.iter().map(|run| run.text.as_str()).collect::<String>();
        scale.ticks(count).ticks.iter().map(text).filter(|text| !text.is_empty()).collect()
    }

    #[test]
    fn linear_ticks_are_at_round_numbers() {
        assert_eq!(
            labels(Scale::between(0.0, 1.0, false), 5),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(Scale::between(-3.0, 12.0, false), 4), ["0", "5", "10"]);
        let below_zero = ["\u{2212}0.3", "\u{2212}0.2", "\u{2212}0.1", "0.0", "0.1"];
        assert_eq!(labels(Scale::between(-0.3, 0.1, false), 3), below_zero);
        let hundred = ["99.8", "100.0", "100.2", "100.4"];
        assert_eq!(labels(Scale::between(99.7, 100.4, false), 3), hundred);
    }

    #[test]
    fn long_numbers_have_a_common_power_of_ten() {
        let ticks = Scale::between(0.0, 2.5e6, false).ticks(3);
        assert_eq!(ticks.power, 6);
        assert_eq!(labels(Scale::between(0.0, 2.5e6, false), 3), ["0", "1", "2"]);
        assert_eq!(Scale::between(0.0, 3e-7, false).ticks(3).power, -9);
    }

    #[test]
    fn logarithmic_ticks_are_at_powers_of_ten() {
        assert_eq!(labels(Scale::between(0.05, 2e3, true), 5), ["0.1", "1", "10", "100", "1000"]);
        let thirds = ["1", "3", "10", "30", "100", "300", "1000"];
        assert_eq!(labels(Scale::between(0.5, 2e3, true), 5), thirds);
        assert_eq!(labels(Scale::between(1e-9, 1e9, true), 4).len(), 3);
        assert_eq!(
            labels(Scale::between(3.0, 300.0, true), 4),
            ["5", "10", "20", "50", "100", "200"]
        );
        assert_eq!(labels(Scale::between(4.0, 90.0, true), 4), ["5", "10", "20", "50"]);
        // A narrow range has equal steps, at their logarithmic places.
        assert_eq!(labels(Scale::between(2.0, 5.0, true), 4), ["2", "3", "4", "5"]);
    }

    #[test]
    fn each_range_is_a_scale() {
        let around = |values: &[f64], is_log| Scale::around(values.iter().copied(), is_log);
        assert_eq!(around(&[], false), None);
        assert_eq!(around(&[f64::NAN, f64::INFINITY], true), None);
        assert_eq!(around(&[0.0, -1.0], true), Some(Scale::between(-1.0, 0.0, false)));
        for values in [&[0.0][..], &[5.0], &[1e299, 1e-300], &[-1e-300, 0.0], &[1e16, 1e16 + 2.0]] {
            for is_log in [false, true] {
                let scale = around(values, is_log).expect("a scale").padded(0.05);
                for value in values {
                    assert!((0.0..=1.0).contains(&scale.share(*value)), "{scale:?} {value}");
                }
                assert!(scale.ticks(4).ticks.len() < 4000, "{scale:?}");
            }
        }
    }
}
