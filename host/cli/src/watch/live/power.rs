//! The power of each domain over the last minutes, and the condition of each device.

use super::{
    token_rate::KEPT,
    update::{DeviceCondition, DomainPower, DomainSource},
};
use std::collections::VecDeque;

const SECOND: f64 = 1e9;

/// The domains of the machine with their power, in the order in which they were first seen.
#[derive(Debug, Default)]
pub(super) struct PowerHistory {
    domains: Vec<DomainHistory>,
    conditions: Vec<DeviceCondition>,
}

/// The power of one domain, or why nothing meters it.
#[derive(Debug)]
pub(super) struct DomainHistory {
    pub device: String,
    /// The domain's name; `all` if no domain of the device is measured.
    pub domain: String,
    pub unavailable: Option<String>,
    /// Times, ns since the run began, and mean power until then, W.
    points: VecDeque<(u64, f64)>,
}

impl PowerHistory {
    /// Notes what meters the domains.
    pub(super) fn set_sources(&mut self, sources: &[DomainSource]) {
        for source in sources {
            let found = self.domain(&source.device, &source.domain);
            found.unavailable.clone_from(&source.unavailable);
        }
    }

    /// Adds the mean power of domains over the time until `ns`, and the conditions at that time.
    pub(super) fn add(&mut self, ns: u64, power: &[DomainPower], conditions: &[DeviceCondition]) {
        for DomainPower { device, domain, watts } in power {
            let points = &mut self.domain(device, domain).points;
            points.push_back((ns, *watts));
            if points.len() as u64 > KEPT {
                points.pop_front();
            }
        }
        for condition in conditions {
            self.conditions.retain(|known| known.device != condition.device);
            self.conditions.push(condition.clone());
        }
    }

    pub(super) fn domains(&self) -> &[DomainHistory] {
        &self.domains
    }

    /// The last known condition of a device.
    pub(super) fn condition(&self, device: &str) -> Option<&DeviceCondition> {
        self.conditions.iter().find(|condition| condition.device == device)
    }

    fn domain(&mut self, device: &str, domain: &str) -> &mut DomainHistory {
        let is_it = |known: &DomainHistory| known.device == device && known.domain == domain;
        let place = self.domains.iter().position(is_it).unwrap_or_else(|| {
            let (device, domain) = (device.to_owned(), domain.to_owned());
            let points = VecDeque::new();
            self.domains.push(DomainHistory { device, domain, unavailable: None, points });
            self.domains.len() - 1
        });
        &mut self.domains[place]
    }
}

impl DomainHistory {
    /// The latest power, W.
    pub(super) fn latest(&self) -> Option<f64> {
        self.points.back().map(|&(_, watts)| watts)
    }

    /// The mean power, W, over `columns` stretches of `each` seconds until `end_ns`. `None` where there is no reading.
    pub(super) fn course(&self, end_ns: u64, columns: u64, each: u64) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0.0); columns as usize];
        for &(ns, watts) in &self.points {
            let back = (end_ns.saturating_sub(ns) as f64 / SECOND / each as f64) as usize;
            if let Some((sum, count)) = sums.iter_mut().rev().nth(back) {
                *sum += watts;
                *count += 1.0;
            }
        }
        sums.iter().map(|&(sum, count)| (count > 0.0).then_some(sum / count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_course_has_the_mean_of_each_stretch_and_gaps() {
        let mut history = PowerHistory::default();
        let watts =
            |watts| [DomainPower { device: "cpu".to_owned(), domain: "all".to_owned(), watts }];
        for (second, power) in [(1, 10.0), (2, 20.0), (7, 40.0), (8, 60.0)] {
            history.add(second * 1_000_000_000, &watts(power), &[]);
        }
        let [cpu] = history.domains() else { panic!("one domain") };
        let course = cpu.course(8_500_000_000, 4, 2);
        assert_eq!(course, [Some(15.0), None, None, Some(50.0)]);
        assert_eq!(cpu.latest(), Some(60.0));
    }
}
