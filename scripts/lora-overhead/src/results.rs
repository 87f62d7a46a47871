//! What was measured, setting beside setting. Overheads are taken within each round and then averaged, so
//! that what changes from round to round cancels out.

use llem_sdk::prelude::*;

/// What a batch runs with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The base weights, whatever is attached.
    Base,
    /// One adapter, unmerged.
    Attached,
    /// The same adapter, merged into the weights.
    Merged,
    /// Another adapter for each sequence, unmerged.
    Several,
}

impl Setting {
    /// As labels have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Attached => "attached",
            Self::Merged => "merged",
            Self::Several => "several",
        }
    }
}

/// One measurement.
struct Row {
    setting: Setting,
    batch: usize,
    /// Prompt tokens a second.
    prefill: f64,
    /// Tokens after each sequence's first a second.
    decode: f64,
    /// Joules for each generated token.
    energy: Option<Quantity>,
}

/// All measurements, round after round.
#[derive(Default)]
pub struct Results(Vec<Row>);

/// How much more a setting costs than the base weights in the same round, %.
type Cost = fn(&Row, &Row) -> Option<f64>;

/// Costs by name: less of a rate, or more of an energy.
const COSTS: [(&str, Cost); 3] = [
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
    /// Adds a measurement.
    pub fn add(&mut self, setting: Setting, batch: usize, generation: &Generation) {
        let activity = &generation.measurement.activity;
        let seconds = |time: u64| time as f64 * 1e-9;
        let decoded = activity.output_tokens.saturating_sub(generation.completions.len() as u64);
        let per_token = |energy: &Quantity| energy.per(activity.output_tokens as f64, "J/{token}");
        self.0.push(Row {
            setting,
            batch,
            prefill: activity.prompt_tokens as f64 / seconds(generation.prefill_time),
            decode: decoded as f64 / seconds(generation.decode_time),
            energy: generation.measurement.energy_total.as_ref().ok().and_then(per_token),
        });
    }

    /// Reports rates, energies and overheads, as metrics and as a table.
    pub fn report(&self, sizes: &[usize], settings: &[Setting]) -> Result<()> {
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
                let rows: Vec<&Row> = self.of(setting, batch).collect();
                if rows.is_empty() {
                    continue;
                }
                let labels = |metric: Metric| {
                    metric.label("batch", batch.to_string()).label("setting", setting.name())
                };
                let rate = |read: fn(&Row) -> f64| {
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
                        report::add_metric(&labels(quantity.named(name)))?;
                    }
                }
                for (name, cost) in COSTS {
                    let costs = self.costs(setting, batch, cost);
                    cells.push(
                        match Interval::of_mean(&costs).filter(|_| setting != Setting::Base) {
                            Some(interval) => {
                                let Interval { mean, low, high } = interval;
                                format!("{mean:+.1} [{low:+.1}, {high:+.1}]")
                            }
                            None => "-".to_owned(),
                        },
                    );
                    let mean = Quantity::mean(&costs, "%").filter(|_| setting != Setting::Base);
                    if let Some(mean) = mean {
                        report::add_metric(&labels(mean.named(name)))?;
                    }
                }
                table.rows.push(cells);
            }
        }
        report::add_table(&table)?;
        Ok(())
    }

    fn of(&self, setting: Setting, batch: usize) -> impl Iterator<Item = &Row> {
        self.0.iter().filter(move |row| row.setting == setting && row.batch == batch)
    }

    /// A setting's costs, round by round.
    fn costs(&self, setting: Setting, batch: usize, cost: Cost) -> Vec<f64> {
        let pairs = self.of(setting, batch).zip(self.of(Setting::Base, batch));
        pairs.filter_map(|(row, base)| cost(row, base)).collect()
    }
}
