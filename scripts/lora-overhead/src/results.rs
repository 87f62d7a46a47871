//! The measurements of all settings. Overheads are computed within each round and then averaged, so that drift between
//! rounds cancels out.

use llem_sdk::prelude::*;

/// The adapters that a batch runs with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// The base weights, whichever adapters are attached.
    Base,
    /// One adapter, unmerged.
    Attached,
    /// The same adapter, merged into the weights.
    Merged,
    /// Another adapter for each sequence, unmerged.
    Several,
}

impl Setting {
    /// Returns the name of the setting in labels.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Attached => "attached",
            Self::Merged => "merged",
            Self::Several => "several",
        }
    }
}

/// The measurement of one batch.
struct BatchResult {
    setting: Setting,
    batch: usize,
    /// The prefill rate, in {token}/s.
    prefill: f64,
    /// The decode rate, in {token}/s. The first token of each sequence is not included.
    decode: f64,
    /// The energy per generated token, in J/{token}.
    energy: Option<Quantity>,
}

/// The measurements of all rounds, in order.
#[derive(Default)]
pub(crate) struct Results(Vec<BatchResult>);

/// Computes the overhead of a setting over the base weights in the same round, in %.
type Overhead = fn(&BatchResult, &BatchResult) -> Option<f64>;

/// The overheads by name. Rates are inverted, so that each overhead is more time or energy for the same tokens.
const OVERHEADS: [(&str, Overhead); 3] = [
    ("prefill_overhead", |row, base| Some(percent(base.prefill / row.prefill - 1.0))),
    ("decode_overhead", |row, base| Some(percent(base.decode / row.decode - 1.0))),
    ("energy_overhead", |row, base| {
        Some(percent(row.energy.as_ref()?.value / base.energy.as_ref()?.value - 1.0))
    }),
];

fn percent(share: f64) -> f64 {
    100.0 * share
}

impl Results {
    /// Adds the measurement of a batch.
    pub(crate) fn add(&mut self, setting: Setting, batch: usize, generation: &Generation) {
        let activity = &generation.measurement.activity;
        let seconds = |time: u64| time as f64 * 1e-9;
        let decoded = activity.output_tokens.saturating_sub(generation.completions.len() as u64);
        let per_token = |energy: &Quantity| energy.per(activity.output_tokens as f64, "J/{token}");
        self.0.push(BatchResult {
            setting,
            batch,
            prefill: activity.prompt_tokens as f64 / seconds(generation.prefill_time),
            decode: decoded as f64 / seconds(generation.decode_time),
            energy: generation.measurement.energy_total.as_ref().ok().and_then(per_token),
        });
    }

    /// Reports rates, energies and overheads, as metrics and as a table.
    pub(crate) fn report(&self, sizes: &[usize], settings: &[Setting]) -> Result<()> {
        let mut table = report::Table {
            name: "lora_overhead".to_owned(),
            columns: ["batch", "setting", "prefill tok/s", "decode tok/s", "J/token"]
                .iter()
                .chain(&["prefill overhead %", "decode overhead %", "energy overhead %"])
                .map(|&name| name.to_owned())
                .collect(),
            rows: Vec::new(),
        };
        for &batch in sizes {
            for &setting in settings {
                let rows: Vec<&BatchResult> = self.rounds(setting, batch).collect();
                if rows.is_empty() {
                    continue;
                }
                let labels = |metric: Metric| {
                    metric.label("batch", batch.to_string()).label("setting", setting.name())
                };
                let rate = |read: fn(&BatchResult) -> f64| {
                    let values: Vec<f64> = rows.iter().map(|row| read(row)).collect();
                    Quantity::mean(&values, "{token}/s")
                };
                let quantities = [
                    ("prefill_rate", rate(|row| row.prefill)),
                    ("decode_rate", rate(|row| row.decode)),
                    (
                        "joules_per_output_token",
                        Quantity::mean_of(rows.iter().filter_map(|row| row.energy.clone())),
                    ),
                ];
                let mut cells = vec![batch.to_string(), setting.name().to_owned()];
                for (name, quantity) in quantities {
                    cells.push(
                        quantity.as_ref().map_or_else(|| "-".to_owned(), Quantity::in_two_digits),
                    );
                    if let Some(quantity) = quantity {
                        report::add_metric(&labels(quantity.into_metric(name)))?;
                    }
                }
                for (name, overhead) in OVERHEADS {
                    let overheads = self.overheads(setting, batch, overhead);
                    cells.push(
                        match Interval::from_values(&overheads).filter(|_| setting != Setting::Base)
                        {
                            Some(interval) => {
                                let Interval { mean, low, high } = interval;
                                format!("{mean:+.1} [{low:+.1}, {high:+.1}]")
                            }
                            None => "-".to_owned(),
                        },
                    );
                    let mean = Quantity::mean(&overheads, "%").filter(|_| setting != Setting::Base);
                    if let Some(mean) = mean {
                        report::add_metric(&labels(mean.into_metric(name)))?;
                    }
                }
                table.rows.push(cells);
            }
        }
        report::add_table(&table)?;
        Ok(())
    }

    /// Returns the measurements of a setting and batch size, round by round.
    fn rounds(&self, setting: Setting, batch: usize) -> impl Iterator<Item = &BatchResult> {
        self.0.iter().filter(move |row| row.setting == setting && row.batch == batch)
    }

    /// Returns the overheads of a setting and batch size, round by round.
    fn overheads(&self, setting: Setting, batch: usize, overhead: Overhead) -> Vec<f64> {
        let pairs = self.rounds(setting, batch).zip(self.rounds(Setting::Base, batch));
        pairs.filter_map(|(row, base)| overhead(row, base)).collect()
    }
}
