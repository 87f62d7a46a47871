//! Compares what was measured and what the script derived, with the uncertainties of both.
//!
//! The uncertainty of a mean is its standard error, from the deviation and the number of its values. It says how well this run
//! knows its own mean, as if its values did not depend on one another. It does not hold what changes from one run to the
//! next, such as temperature or memory layout, so repeated runs differ by more than it says. The uncertainty of any other
//! quantity is its own: for an energy, what the counters leave open.

use crate::{
    generated::is_warmup,
    run::ComparedRun,
    significance::{COVERAGE_FACTOR, beyond_by_chance, degrees_of_freedom},
};
use llem_quantity::{Quantity, ReadingRecord, Source};
use llem_record::{Distribution, Metric, RequestGroup, ScoreGroup};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The numbers of two runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct NumberComparison {
    /// The numbers that at least one run has. Those of warm-ups are left out.
    pub numbers: Vec<NumberDifference>,
    /// Number of numbers that can be judged, because their difference has an uncertainty.
    pub judged: u64,
    /// How many of those lie within two standard uncertainties of their difference.
    pub within: u64,
    /// How many of those would lie beyond by chance, if both runs measured equal quantities.
    pub expected_beyond: f64,
    /// Number of numbers without an uncertainty that are equal.
    pub equal: u64,
    /// Number of numbers without an uncertainty that differ. They are not judged.
    pub undecided: u64,
    /// Number of numbers that only one run has.
    pub in_one: u64,
}

/// A number of two runs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NumberDifference {
    /// What it is a number of: a group of requests with its phase, or a metric of the script with its labels.
    pub of: String,
    /// The name of the number.
    pub name: String,
    /// The unit, in UCUM's spelling.
    pub unit: String,
    /// The number of the first run. Absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<NumberSide>,
    /// The number of the second run. Absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<NumberSide>,
    /// The second less the first, in `unit`. Absent if one is missing or has another unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
    /// The standard uncertainty of the difference, in `unit`. Absent if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<f64>,
    /// Which uncertainty it is.
    pub uncertainty_kind: UncertaintyKind,
    /// The degrees of freedom of the uncertainty. Absent if it is not of the deviations of two means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degrees_of_freedom: Option<f64>,
    /// The difference as a share of the first number, %. Absent if that is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_percent: Option<f64>,
    /// Whether the two agree.
    pub agreement: Agreement,
}

/// A number of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NumberSide {
    /// The value, in the unit that both runs share.
    pub value: f64,
    /// Its standard uncertainty. Absent if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<f64>,
    /// Where the value came from.
    pub source: Source,
    /// Number of values of a mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// Which uncertainty a number has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UncertaintyKind {
    /// The standard error of a mean, from the deviation and the number of the run's own values.
    StandardError,
    /// The quantity's own, as the meter or the script gave it.
    Own,
}

/// Whether two numbers agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// The difference is at most two standard uncertainties.
    Within,
    /// The difference is more than two standard uncertainties.
    Beyond,
    /// The values have no uncertainty, and are equal.
    Equal,
    /// The values have no uncertainty, and differ.
    Undecided,
    /// Only one run has the number, or the units differ.
    InOne,
}

/// A number of one run before it is compared.
struct Number {
    unit: String,
    side: NumberSide,
    kind: UncertaintyKind,
}

/// The numbers of one run, by what they are of and their name, in their order.
#[derive(Default)]
struct Numbers {
    order: Vec<(String, String)>,
    by_name: BTreeMap<(String, String), Number>,
}

impl NumberComparison {
    pub(crate) fn new(first: &ComparedRun, second: &ComparedRun) -> Self {
        let [first, mut second] = [first, second].map(Numbers::from_run);
        let mut comparison = Self::default();
        let Numbers { order, mut by_name } = first;
        for name in order {
            let one = by_name.remove(&name);
            let other = second.by_name.remove(&name);
            comparison.add(name, one, other);
        }
        for name in second.order {
            if let Some(other) = second.by_name.remove(&name) {
                comparison.add(name, None, Some(other));
            }
        }
        comparison
    }

    fn add(&mut self, name: (String, String), first: Option<Number>, second: Option<Number>) {
        let number = compare(name, first, second);
        match number.agreement {
            Agreement::Within | Agreement::Beyond => {
                self.judged += 1;
                self.within += u64::from(number.agreement == Agreement::Within);
                self.expected_beyond += beyond_by_chance(number.degrees_of_freedom);
            }
            Agreement::Equal => self.equal += 1,
            Agreement::Undecided => self.undecided += 1,
            Agreement::InOne => self.in_one += 1,
        }
        self.numbers.push(number);
    }
}

fn compare(
    (of, name): (String, String),
    first: Option<Number>,
    second: Option<Number>,
) -> NumberDifference {
    let known = first.as_ref().or(second.as_ref());
    let unit = known.map(|number| number.unit.clone()).unwrap_or_default();
    let kind = known.map_or(UncertaintyKind::Own, |number| number.kind);
    let has_one_unit =
        first.as_ref().zip(second.as_ref()).is_some_and(|(one, other)| one.unit == other.unit);
    let [first, second] = [first, second].map(|number| number.map(|number| number.side));
    let both = first.as_ref().zip(second.as_ref()).filter(|_| has_one_unit);
    let difference = both.map(|(one, other)| other.value - one.value);
    let uncertainty = both.and_then(|(one, other)| uncertainty(&unit, one, other));
    let degrees = both.filter(|_| kind == UncertaintyKind::StandardError).and_then(degrees);
    let agreement = match (difference, uncertainty) {
        (None, _) => Agreement::InOne,
        (Some(difference), Some(uncertainty)) => {
            match difference.abs() <= COVERAGE_FACTOR * uncertainty {
                true => Agreement::Within,
                false => Agreement::Beyond,
            }
        }
        (Some(0.0), None) => Agreement::Equal,
        (Some(_), None) => Agreement::Undecided,
    };
    let effect_percent = both
        .filter(|(one, _)| one.value != 0.0)
        .map(|(one, other)| 100.0 * (other.value - one.value) / one.value.abs());
    NumberDifference {
        of,
        name,
        unit,
        first,
        second,
        difference,
        uncertainty,
        uncertainty_kind: kind,
        degrees_of_freedom: degrees.filter(|_| uncertainty.is_some()),
        effect_percent,
        agreement,
    }
}

/// Returns the standard uncertainty of a difference, or `None` if one of the two is not known or both are exact.
fn uncertainty(unit: &str, first: &NumberSide, second: &NumberSide) -> Option<f64> {
    let quantity =
        |side: &NumberSide| Some(Quantity::new(side.value, side.uncertainty?, unit, side.source));
    let difference = quantity(second)?.minus(&quantity(first)?)?;
    (difference.uncertainty > 0.0).then_some(difference.uncertainty)
}

fn degrees((first, second): (&NumberSide, &NumberSide)) -> Option<f64> {
    let mean = |side: &NumberSide| Some((side.uncertainty?, side.count?));
    degrees_of_freedom([mean(first)?, mean(second)?])
}

impl Numbers {
    fn from_run(run: &ComparedRun) -> Self {
        let mut numbers = Self::default();
        let record = run.record();
        let measured = record.groups.iter().filter(|group| !is_warmup(&group.phase));
        measured.for_each(|group| numbers.add_group(group));
        let scored = record.score_groups.iter().filter(|group| !is_warmup(&group.phase));
        scored.for_each(|group| numbers.add_score_group(group));
        record.metrics.iter().for_each(|metric| numbers.add_metric(metric));
        numbers
    }

    fn add(&mut self, of: &str, name: &str, number: Number) {
        let key = (of.to_owned(), name.to_owned());
        self.order.push(key.clone());
        self.by_name.insert(key, number);
    }

    fn mean(&mut self, of: &str, name: &str, values: Option<&Distribution>, unit: &str) {
        let Some(values) = values else { return };
        // One value has no deviation, so that its error is not known.
        let error = values.standard_deviation / (values.count as f64).sqrt();
        let side = NumberSide {
            value: values.mean,
            uncertainty: (values.count > 1).then_some(error),
            source: if unit == "s" { Source::Clock } else { Source::Derived },
            count: Some(values.count),
        };
        let (unit, kind) = (unit.to_owned(), UncertaintyKind::StandardError);
        self.add(of, name, Number { unit, side, kind });
    }

    fn quantity(&mut self, of: &str, name: &str, quantity: Option<&Quantity>) {
        let Some(quantity) = quantity else { return };
        let Quantity { value, uncertainty, unit, source } = quantity.clone();
        let side = NumberSide { value, uncertainty: Some(uncertainty), source, count: None };
        self.add(of, name, Number { unit, side, kind: UncertaintyKind::Own });
    }

    fn reading(&mut self, of: &str, name: &str, reading: Option<&ReadingRecord>) {
        if let Some(ReadingRecord::Known(quantity)) = reading {
            self.quantity(of, name, Some(quantity));
        }
    }

    fn add_group(&mut self, group: &RequestGroup) {
        let of = &group_name("requests", &group.phase, &group.label, group.model);
        self.mean(of, "TTFT, mean", group.ttft_s.as_ref(), "s");
        self.mean(of, "ITL, mean", group.itl_s.as_ref(), "s");
        self.mean(of, "TPOT, mean", group.tpot_s.as_ref(), "s");
        self.mean(of, "E2EL, mean", group.e2el_s.as_ref(), "s");
        self.quantity(of, "prefill rate", group.prefill_rate.as_ref());
        self.quantity(of, "decode rate", group.decode_rate.as_ref());
        self.quantity(of, "operations per prompt token", group.flops_per_input_token.as_ref());
        self.quantity(of, "operations per output token", group.flops_per_output_token.as_ref());
        self.reading(of, "energy", Some(&group.energy));
        self.reading(of, "energy of the CPU", group.energy_cpu.as_ref());
        self.reading(of, "energy of accelerators", group.energy_accelerators.as_ref());
        self.reading(of, "energy of prefill", group.energy_prefill.as_ref());
        self.reading(of, "energy of decode", group.energy_decode.as_ref());
        self.reading(of, "energy per output token", Some(&group.energy_per_output_token));
        let prefill = group.prefill_energy_per_input_token.as_ref();
        self.reading(of, "energy of prefill per prompt token", prefill);
        let decode = group.decode_energy_per_output_token.as_ref();
        self.reading(of, "energy of decode per decoded token", decode);
        self.mean(of, "energy of a sequence, mean", group.energy_per_sequence_j.as_ref(), "J");
    }

    fn add_score_group(&mut self, group: &ScoreGroup) {
        let of = &group_name("scoring", &group.phase, &group.label, group.model);
        self.quantity(of, "prefill rate", group.prefill_rate.as_ref());
        self.quantity(of, "score rate", group.score_rate.as_ref());
        self.quantity(of, "operations per token", group.flops_per_token.as_ref());
        self.reading(of, "energy", Some(&group.energy));
        self.reading(of, "energy per token", Some(&group.energy_per_token));
    }

    /// Adds a metric. Several with one name and the same labels are numbered.
    fn add_metric(&mut self, metric: &Metric) {
        let labels = metric.labels.iter().map(|(name, value)| format!("{name}={value}"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let of = if labels.is_empty() { "script".to_owned() } else { format!("script, {labels}") };
        let taken = |name: &String| self.by_name.contains_key(&(of.clone(), name.clone()));
        let mut names = (1..).map(|place: u64| match place {
            1 => metric.name.clone(),
            place => format!("{} ({place})", metric.name),
        });
        if let Some(name) = names.find(|name| !taken(name)) {
            self.quantity(&of, &name, Some(&metric.quantity));
        }
    }
}

fn group_name(what: &str, phase: &str, label: &str, model: Option<u64>) -> String {
    let parts = [what, phase, label].into_iter().filter(|part| !part.is_empty());
    let name = parts.collect::<Vec<_>>().join(", ");
    match model {
        None | Some(0) => name,
        Some(model) => format!("{name}, model {model}"),
    }
}
