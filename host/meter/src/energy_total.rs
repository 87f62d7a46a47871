//! Sums of energy over devices, which say what they cover so that nothing is left out silently.

use crate::{
    baseline::IdlePower,
    domain::DomainId,
    window::{ClosedWindow, DeviceEnergy},
};
use llem_quantity::{Cause, Quantity, Reading, Source, Unavailable};

/// The id of the processor, which feeds every other device.
const CPU: &str = "cpu";

/// The energy of the devices that did a window's work, and of the processor that feeds them.
#[derive(Clone, Debug)]
pub struct EnergyTotal {
    /// The sum, J. Unavailable if a device that did the work was not measured, because a sum without that device would
    /// look complete.
    pub energy: Reading,
    /// The domains in the sum.
    pub covers: Vec<DomainId>,
    /// The domains of these devices that are not in the sum, with the reasons.
    pub lacks: Vec<(DomainId, Unavailable)>,
    /// The energy of the processor, J.
    pub cpu: Reading,
    /// The energy of the accelerators that did the work, J.
    pub accelerators: Reading,
}

impl ClosedWindow {
    /// Returns the sum over all domains of `devices`, J. It is unavailable if any of the domains is.
    pub fn sum(&self, devices: &[String]) -> Reading {
        let mut sum: Option<Quantity> = None;
        for device in devices {
            let mut parts = self.parts(device).peekable();
            if parts.peek().is_none() {
                let detail = format!("{device}: nothing here measures it");
                return Err(Unavailable::new(Cause::NotSupported, detail));
            }
            for part in parts {
                let energy = part.energy.as_ref().map_err(|reason| reason.prefixed(&part.id))?;
                sum = Some(match sum {
                    None => energy.clone(),
                    Some(sum) => sum.plus(energy).ok_or_else(different_units)?,
                });
            }
        }
        sum.ok_or_else(|| Unavailable::new(Cause::NoWork, "no device"))
    }

    /// Returns the energy of the work: of all devices `workers` that did it, each of which must be measured, and of the
    /// processor as far as it is measured. An idle GPU beside them is measured, but is not part of the total.
    pub fn total(&self, workers: &[String]) -> EnergyTotal {
        let accelerators: Vec<String> =
            workers.iter().filter(|worker| *worker != CPU).cloned().collect();
        let cpu = self.sum(&[CPU.to_owned()]);
        let of_accelerators = match accelerators.is_empty() {
            true => Err(Unavailable::new(Cause::NoWork, "no accelerator did the work")),
            false => self.sum(&accelerators),
        };
        let has_cpu_worked = accelerators.is_empty() || workers.iter().any(|worker| worker == CPU);
        let cpu_alone = [CPU.to_owned()];
        let all = || cpu_alone.iter().chain(&accelerators);
        let parts = || all().flat_map(|device| self.parts(device));
        let lacks =
            parts().filter_map(|part| Some((part.id.clone(), part.energy.as_ref().err()?.clone())));
        let measured = parts().filter(|part| part.energy.is_ok());
        let covers: Vec<DomainId> = measured.map(|part| part.id.clone()).collect();
        let energy = match has_cpu_worked {
            true => self.sum(&all().cloned().collect::<Vec<_>>()),
            // A processor that only feeds the accelerators may be missing, and then `covers` does not name it.
            false => of_accelerators.clone().and_then(|sum| self.with_cpu(sum)),
        };
        EnergyTotal {
            covers: if energy.is_ok() { covers } else { Vec::new() },
            lacks: lacks.collect(),
            energy,
            cpu,
            accelerators: of_accelerators,
        }
    }

    /// Adds all of the processor's domains that are measured to `sum`.
    fn with_cpu(&self, sum: Quantity) -> Reading {
        let mut parts = self.parts(CPU).filter_map(|part| part.energy.as_ref().ok());
        let all = parts.try_fold(sum, |sum, part| sum.plus(part));
        all.ok_or_else(different_units)
    }

    /// Returns a total less what its domains would have used at rest, J. A GPU that holds a model rests at a higher power
    /// than an empty one, so only a baseline from the same condition counts. This does not matter for a processor.
    pub fn above_idle(
        &self,
        total: &EnergyTotal,
        workers: &[String],
        idle: &[IdlePower],
    ) -> Reading {
        let wall = Quantity::exact(self.wall.as_secs_f64(), "s", Source::Clock);
        let energy = total.energy.clone()?;
        total.covers.iter().try_fold(energy, |rest, id| {
            let power = power_at_rest(id, workers.contains(&id.device), idle)
                .map_err(|reason| reason.prefixed(format_args!("{id} at rest")))?;
            let rest = rest.minus(&power.times(&wall, "J"));
            rest.ok_or_else(different_units)
        })
    }

    /// Returns how much more energy the device with the highest energy used than the mean of `devices`, as a share of
    /// that mean.
    pub fn imbalance(&self, devices: &[String]) -> Reading {
        let no_work = |detail: &str| Err(Unavailable::new(Cause::NoWork, detail));
        let each: Vec<Quantity> = devices
            .iter()
            .map(|device| self.sum(std::slice::from_ref(device)))
            .collect::<Result<_, _>>()?;
        let most = each.iter().max_by(|a, b| a.value.total_cmp(&b.value));
        let (Some(most), true) = (most, each.len() > 1) else {
            return no_work("fewer than two devices hold a model");
        };
        let count = each.len() as f64;
        let mean = each.iter().map(|energy| energy.value).sum::<f64>() / count;
        if mean <= 0.0 {
            return no_work("the devices used no energy that was measured");
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
        self.energy.iter().filter(move |part| part.id.device == device)
    }
}

fn different_units() -> Unavailable {
    Unavailable::new(Cause::Other, "energies are in different units")
}

/// Returns the idle power of a domain from the baseline that was taken in the same condition, W.
fn power_at_rest(id: &DomainId, holds_model: bool, idle: &[IdlePower]) -> Reading {
    let not_measured = |detail: String| Unavailable::new(Cause::NotAsked, detail);
    let mut known = idle.iter().filter(|idle| idle.id == *id);
    let any = known.clone().next().ok_or_else(|| not_measured("no baseline".to_owned()))?;
    let alike = known.find(|idle| id.device == CPU || idle.holds_model == holds_model);
    let alike = alike.ok_or_else(|| {
        let [then, now] = match any.holds_model {
            true => ["with", "without"],
            false => ["without", "with"],
        };
        not_measured(format!(
            "its baseline was taken {then} a model on it: measure one {now} a model loaded"
        ))
    })?;
    alike.power.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::UNMEASURED, domain_curves::DomainCurves};
    use std::time::{Duration, Instant};

    fn window(energy: Vec<DeviceEnergy>) -> ClosedWindow {
        ClosedWindow {
            started: Instant::now(),
            wall: Duration::from_secs(1),
            energy,
            curves: DomainCurves::default(),
            devices: Vec::new(),
            memory: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn part(device: &str, domain: &str, energy: Reading) -> DeviceEnergy {
        DeviceEnergy { id: DomainId::new(device, domain), energy }
    }

    fn joules(value: f64) -> Reading {
        Ok(Quantity::new(value, 1.0, "J", Source::NvmlCounter))
    }

    fn lost() -> Reading {
        Err(Unavailable::new(Cause::NoPermission, "root only"))
    }

    /// The reason of [`lost`], with the name of a domain before it.
    fn because(sentence: &str) -> Unavailable {
        Unavailable::new(Cause::NoPermission, sentence)
    }

    fn devices<const N: usize>(ids: [&str; N]) -> [String; N] {
        ids.map(str::to_owned)
    }

    #[test]
    fn imbalance_is_the_excess_of_the_most_over_the_mean() {
        let window =
            window(vec![part("cuda:0", "gpu", joules(90.0)), part("cuda:1", "gpu", joules(110.0))]);
        let two = devices(["cuda:0", "cuda:1"]);
        let imbalance = window.imbalance(&two).expect("both are measured");
        assert!((imbalance.value - 0.1).abs() < 1e-12);
        // r = 2 b / (a + b): u² = (2 a u / 200²)² + (2 b u / 200²)²
        let expected = (180f64.powi(2) + 220f64.powi(2)).sqrt() / 40_000.0;
        assert!((imbalance.uncertainty - expected).abs() < 1e-12);
        assert!(window.imbalance(&two[..1]).is_err());
        assert!(window.imbalance(&devices(["cuda:0", "cuda:7"])).is_err());
    }

    #[test]
    fn a_processors_total_never_leaves_a_domain_out() {
        let cpu = devices(["cpu"]);
        let whole =
            window(vec![part("cpu", "package-0", joules(5.0)), part("cpu", "dram-0", joules(6.0))]);
        let total = whole.total(&cpu);
        assert_eq!(total.energy.map(|sum| sum.value), Ok(11.0));
        assert_eq!((total.covers.len(), total.lacks.len()), (2, 0));
        let cut =
            window(vec![part("cpu", "package-0", joules(5.0)), part("cpu", "dram-0", lost())]);
        assert_eq!(cut.total(&cpu).energy, Err(because("cpu dram-0: root only")));
        let none = window(vec![part("cpu", UNMEASURED, lost())]);
        assert_eq!(none.total(&cpu).energy, Err(because("cpu: root only")));
        assert_eq!(none.total(&[]).energy, Err(because("cpu: root only")));
    }

    #[test]
    fn an_accelerator_that_worked_unmeasured_is_never_made_up_for_by_another() {
        let window = window(vec![
            part("cpu", "package-0", joules(50.0)),
            part("cuda:0", "gpu", joules(300.0)),
            part("cuda:1", UNMEASURED, lost()),
        ]);
        let one = window.total(&devices(["cuda:0"]));
        assert_eq!(one.energy.map(|sum| sum.value), Ok(350.0));
        assert_eq!(one.cpu.map(|sum| sum.value), Ok(50.0));
        assert_eq!(one.accelerators.map(|sum| sum.value), Ok(300.0));
        let both = window.total(&devices(["cuda:0", "cuda:1"]));
        assert_eq!(both.energy, Err(because("cuda:1: root only")));
        assert!(both.covers.is_empty());
        let absent = window.total(&devices(["cuda:0", "cuda:2"]));
        assert_eq!(
            absent.energy,
            Err(Unavailable::new(Cause::NotSupported, "cuda:2: nothing here measures it"))
        );
    }

    #[test]
    fn a_total_without_the_processor_says_so() {
        let window = window(vec![
            part("cpu", UNMEASURED, lost()),
            part("cuda:0", "gpu", joules(300.0)),
            part("cuda:1", "gpu", joules(40.0)),
        ]);
        let total = window.total(&devices(["cuda:0"]));
        assert_eq!(total.energy.map(|sum| sum.value), Ok(300.0));
        let gpu = DomainId::new("cuda:0", "gpu");
        assert_eq!(total.covers, [gpu]);
        assert_eq!(total.lacks[0].0.device, "cpu");
        // If a model is on both, the processor did work, too.
        assert!(window.total(&devices(["cpu", "cuda:0"])).energy.is_err());
    }

    #[test]
    fn what_is_above_idle_takes_the_baseline_of_every_part_in_the_same_condition() {
        let known =
            |value: f64, u: f64, unit: &str| Ok(Quantity::new(value, u, unit, Source::Rapl));
        let window = window(vec![
            part("cpu", "package-0", known(50.0, 0.3, "J")),
            part("cuda:0", "gpu", known(300.0, 0.0, "J")),
        ]);
        let idle = |device: &str, domain: &str, watts: f64, holds_model| IdlePower {
            id: DomainId::new(device, domain),
            power: known(watts, 0.4, "W"),
            unsteady: None,
            holds_model,
        };
        let cpu = devices(["cpu"]);
        let above = |idle: &[IdlePower], workers: &[String]| {
            window.above_idle(&window.total(workers), workers, idle)
        };
        let rest = above(&[idle("cpu", "package-0", 20.0, false)], &cpu).expect("both are known");
        assert!((rest.value - 30.0).abs() < 1e-9 && (rest.uncertainty - 0.5).abs() < 1e-9);
        assert!(above(&[], &cpu).is_err());
        let gpu = devices(["cuda:0"]);
        let mut all =
            vec![idle("cpu", "package-0", 20.0, false), idle("cuda:0", "gpu", 30.0, false)];
        let refused = above(&all, &gpu).expect_err("it was taken before a model was on it");
        assert!(refused.detail.contains("without a model"), "{refused}");
        all.push(idle("cuda:0", "gpu", 90.0, true));
        assert_eq!(above(&all, &gpu).map(|rest| rest.value.round()), Ok(240.0));
    }
}
