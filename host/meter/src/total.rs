//! Sums over devices: what is in them, and that nothing is left out of them in silence.

use crate::{
    baseline::IdlePower,
    sources::UNMEASURED,
    window::{DeviceEnergy, Domain, Span},
};
use llem_quantity::{Quantity, Reading, Source};

/// The device that feeds every other.
const CPU: &str = "cpu";

/// The energy of the devices that a span's work was on, and of the processor that feeds them.
#[derive(Clone, Debug)]
pub struct Total {
    /// Their sum, J; none where a device that did the work was not measured, for a sum without it would pass for
    /// the whole.
    pub energy: Reading,
    /// What it is the sum of.
    pub covers: Vec<Domain>,
    /// Devices and domains that were on and are not in it, with the reasons.
    pub lacks: Vec<(Domain, String)>,
    /// The processor's part, J.
    pub cpu: Reading,
    /// That of the accelerators which did the work, J.
    pub accelerators: Reading,
}

impl Span {
    /// The sum over all domains of `devices`: none where a part of it is not known.
    pub fn sum(&self, devices: &[String]) -> Reading {
        let mut sum: Option<Quantity> = None;
        for device in devices {
            let mut parts = self.parts(device).peekable();
            if parts.peek().is_none() {
                return Err(format!("{device}: nothing here measures it"));
            }
            for part in parts {
                let energy = part.energy.as_ref().map_err(|reason| reason_of(part, reason))?;
                sum = Some(match sum {
                    None => energy.clone(),
                    Some(sum) => sum.plus(energy).ok_or("energies are in different units")?,
                });
            }
        }
        sum.ok_or_else(|| "no device".to_owned())
    }

    /// The energy of the work: of the devices `workers` that it was on, all of which must be measured, and of the
    /// processor as far as it is. An idle GPU beside them is measured, but is not part of it.
    pub fn total(&self, workers: &[String]) -> Total {
        let accelerators: Vec<String> =
            workers.iter().filter(|worker| *worker != CPU).cloned().collect();
        let cpu = self.sum(&[CPU.to_owned()]);
        let of_accelerators = match accelerators.is_empty() {
            true => Err("no accelerator did the work".to_owned()),
            false => self.sum(&accelerators),
        };
        let has_cpu_worked = accelerators.is_empty() || workers.iter().any(|worker| worker == CPU);
        let cpu_alone = [CPU.to_owned()];
        let all = || cpu_alone.iter().chain(&accelerators);
        let parts = || all().flat_map(|device| self.parts(device));
        let lacks =
            parts().filter_map(|part| Some((part.of(), part.energy.as_ref().err()?.clone())));
        let covers: Vec<Domain> =
            parts().filter(|part| part.energy.is_ok()).map(DeviceEnergy::of).collect();
        let energy = match has_cpu_worked {
            true => self.sum(&all().cloned().collect::<Vec<_>>()),
            // A processor that only feeds the others may be left out, and then `covers` says so.
            false => of_accelerators.clone().and_then(|sum| self.with_cpu(sum)),
        };
        Total {
            covers: if energy.is_ok() { covers } else { Vec::new() },
            lacks: lacks.collect(),
            energy,
            cpu,
            accelerators: of_accelerators,
        }
    }

    /// A sum with all of the processor's domains that are known.
    fn with_cpu(&self, sum: Quantity) -> Reading {
        let mut parts = self.parts(CPU).filter_map(|part| part.energy.as_ref().ok());
        let all = parts.try_fold(sum, |sum, part| sum.plus(part));
        all.ok_or_else(|| "energies are in different units".to_owned())
    }

    /// A total less what its parts would have used at rest. A GPU that holds a model rests at more power than one that
    /// holds none, so that only a baseline which was taken in the same condition counts; a processor does not.
    pub fn above_idle(&self, total: &Total, workers: &[String], idle: &[IdlePower]) -> Reading {
        let wall = Quantity::exact(self.wall.as_secs_f64(), "s", Source::Clock);
        let energy = total.energy.clone()?;
        total.covers.iter().try_fold(energy, |rest, part| {
            let power = power_at_rest(part, workers.contains(&part.device), idle)
                .map_err(|reason| format!("{} {} at rest: {reason}", part.device, part.domain))?;
            let rest = rest.minus(&power.times(&wall, "J"));
            rest.ok_or_else(|| "energies are in different units".to_owned())
        })
    }

    /// How much more energy the one with the most of `devices` used than their mean, as a share of it.
    pub fn imbalance(&self, devices: &[String]) -> Reading {
        let each: Vec<Quantity> = devices
            .iter()
            .map(|device| self.sum(std::slice::from_ref(device)))
            .collect::<Result<_, _>>()?;
        let most = each.iter().max_by(|a, b| a.value.total_cmp(&b.value));
        let (Some(most), true) = (most, each.len() > 1) else {
            return Err("fewer than two devices hold a model".to_owned());
        };
        let count = each.len() as f64;
        let mean = each.iter().map(|energy| energy.value).sum::<f64>() / count;
        if mean <= 0.0 {
            return Err("the devices used no energy that was measured".to_owned());
        }
        let ratio = most.value / mean;
        // r = n e_max / sum(e): dr/de_max = (n - r) / sum, dr/de_i = -r / sum for the others.
        let gradient = |energy: &Quantity| {
            let of = if std::ptr::eq(energy, most) { count - ratio } else { -ratio };
            of / (mean * count) * energy.uncertainty
        };
        let uncertainty = each.iter().map(|energy| gradient(energy).powi(2)).sum::<f64>().sqrt();
        Ok(Quantity::new(ratio - 1.0, uncertainty, "1", Source::Derived))
    }

    fn parts<'a>(&'a self, device: &'a str) -> impl Iterator<Item = &'a DeviceEnergy> {
        self.energy.iter().filter(move |part| part.device == device)
    }
}

fn reason_of(part: &DeviceEnergy, reason: &str) -> String {
    match &part.domain[..] {
        UNMEASURED => format!("{}: {reason}", part.device),
        domain => format!("{} {domain}: {reason}", part.device),
    }
}

fn power_at_rest(part: &Domain, holds_model: bool, idle: &[IdlePower]) -> Reading {
    let mut known =
        idle.iter().filter(|idle| (&idle.device, &idle.domain) == (&part.device, &part.domain));
    let any = known.clone().next().ok_or("no baseline")?;
    let alike = known.find(|idle| part.device == CPU || idle.holds_model == holds_model);
    let alike = alike.ok_or_else(|| {
        let [then, now] = match any.holds_model {
            true => ["with", "without"],
            false => ["without", "with"],
        };
        format!("its baseline was taken {then} a model on it: measure one {now} a model loaded")
    })?;
    alike.power.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Curves;
    use std::time::{Duration, Instant};

    fn span(energy: Vec<DeviceEnergy>) -> Span {
        Span {
            started: Instant::now(),
            wall: Duration::from_secs(1),
            energy,
            curves: Curves::default(),
            devices: Vec::new(),
            memory: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn part(device: &str, domain: &str, energy: Reading) -> DeviceEnergy {
        DeviceEnergy { device: device.to_owned(), domain: domain.to_owned(), energy }
    }

    fn joules(value: f64) -> Reading {
        Ok(Quantity::new(value, 1.0, "J", Source::NvmlCounter))
    }

    fn lost() -> Reading {
        Err("root only".to_owned())
    }

    fn devices<const N: usize>(ids: [&str; N]) -> [String; N] {
        ids.map(str::to_owned)
    }

    #[test]
    fn imbalance_is_the_excess_of_the_most_over_the_mean() {
        let span =
            span(vec![part("cuda:0", "gpu", joules(90.0)), part("cuda:1", "gpu", joules(110.0))]);
        let two = devices(["cuda:0", "cuda:1"]);
        let imbalance = span.imbalance(&two).expect("both are measured");
        assert!((imbalance.value - 0.1).abs() < 1e-12);
        // r = 2 b / (a + b): u² = (2 a u / 200²)² + (2 b u / 200²)²
        let expected = (180f64.powi(2) + 220f64.powi(2)).sqrt() / 40_000.0;
        assert!((imbalance.uncertainty - expected).abs() < 1e-12);
        assert!(span.imbalance(&two[..1]).is_err());
        assert!(span.imbalance(&devices(["cuda:0", "cuda:7"])).is_err());
    }

    #[test]
    fn a_processors_total_never_leaves_a_domain_out() {
        let cpu = devices(["cpu"]);
        let whole =
            span(vec![part("cpu", "package-0", joules(5.0)), part("cpu", "dram-0", joules(6.0))]);
        let total = whole.total(&cpu);
        assert_eq!(total.energy.map(|sum| sum.value), Ok(11.0));
        assert_eq!((total.covers.len(), total.lacks.len()), (2, 0));
        let cut = span(vec![part("cpu", "package-0", joules(5.0)), part("cpu", "dram-0", lost())]);
        assert_eq!(cut.total(&cpu).energy, Err("cpu dram-0: root only".to_owned()));
        let none = span(vec![part("cpu", UNMEASURED, lost())]);
        assert_eq!(none.total(&cpu).energy, Err("cpu: root only".to_owned()));
        assert_eq!(none.total(&[]).energy, Err("cpu: root only".to_owned()));
    }

    #[test]
    fn an_accelerator_that_worked_unmeasured_is_never_made_up_for_by_another() {
        let span = span(vec![
            part("cpu", "package-0", joules(50.0)),
            part("cuda:0", "gpu", joules(300.0)),
            part("cuda:1", UNMEASURED, lost()),
        ]);
        let one = span.total(&devices(["cuda:0"]));
        assert_eq!(one.energy.map(|sum| sum.value), Ok(350.0));
        assert_eq!(one.cpu.map(|sum| sum.value), Ok(50.0));
        assert_eq!(one.accelerators.map(|sum| sum.value), Ok(300.0));
        let both = span.total(&devices(["cuda:0", "cuda:1"]));
        assert_eq!(both.energy, Err("cuda:1: root only".to_owned()));
        assert!(both.covers.is_empty());
        let absent = span.total(&devices(["cuda:0", "cuda:2"]));
        assert_eq!(absent.energy, Err("cuda:2: nothing here measures it".to_owned()));
    }

    #[test]
    fn a_total_without_the_processor_says_so() {
        let span = span(vec![
            part("cpu", UNMEASURED, lost()),
            part("cuda:0", "gpu", joules(300.0)),
            part("cuda:1", "gpu", joules(40.0)),
        ]);
        let total = span.total(&devices(["cuda:0"]));
        assert_eq!(total.energy.map(|sum| sum.value), Ok(300.0));
        let gpu = Domain { device: "cuda:0".to_owned(), domain: "gpu".to_owned() };
        assert_eq!(total.covers, [gpu]);
        assert_eq!(total.lacks[0].0.device, "cpu");
        // A model on both: the processor did work, too.
        assert!(span.total(&devices(["cpu", "cuda:0"])).energy.is_err());
    }

    #[test]
    fn what_is_above_idle_takes_the_baseline_of_every_part_in_the_same_condition() {
        let known =
            |value: f64, u: f64, unit: &str| Ok(Quantity::new(value, u, unit, Source::Rapl));
        let span = span(vec![
            part("cpu", "package-0", known(50.0, 0.3, "J")),
            part("cuda:0", "gpu", known(300.0, 0.0, "J")),
        ]);
        let idle = |device: &str, domain: &str, watts: f64, holds_model| IdlePower {
            device: device.to_owned(),
            domain: domain.to_owned(),
            power: known(watts, 0.4, "W"),
            unsteady: None,
            holds_model,
        };
        let cpu = devices(["cpu"]);
        let above = |idle: &[IdlePower], workers: &[String]| {
            span.above_idle(&span.total(workers), workers, idle)
        };
        let rest = above(&[idle("cpu", "package-0", 20.0, false)], &cpu).expect("both are known");
        assert!((rest.value - 30.0).abs() < 1e-9 && (rest.uncertainty - 0.5).abs() < 1e-9);
        assert!(above(&[], &cpu).is_err());
        let gpu = devices(["cuda:0"]);
        let mut all =
            vec![idle("cpu", "package-0", 20.0, false), idle("cuda:0", "gpu", 30.0, false)];
        let refused = above(&all, &gpu).expect_err("it was taken before a model was on it");
        assert!(refused.contains("without a model"), "{refused}");
        all.push(idle("cuda:0", "gpu", 90.0, true));
        assert_eq!(above(&all, &gpu).map(|rest| rest.value.round()), Ok(240.0));
    }
}
