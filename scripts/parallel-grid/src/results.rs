//! The measurements of all splits.

use llem_sdk::{Parallelism, prelude::*};

/// Returns the name of a split in labels.
pub(crate) fn name(split: Parallelism) -> String {
    let Parallelism { tensor, pipeline, data } = split;
    let replicas = if data > 1 { format!(" dp{data}") } else { String::new() };
    format!("tp{tensor} pp{pipeline}{replicas}")
}

/// The measurement of one batch.
struct BatchResult {
    split: String,
    ranks: u32,
    batch: usize,
    /// The prefill rate, in {token}/s.
    prefill: f64,
    /// The decode rate, in {token}/s. The first token of each sequence is not included.
    decode: f64,
    /// The energy per generated token, in J/{token}.
    energy: Option<Quantity>,
    /// The share of the time that ranks spent in communication, including waiting, in %. The mean over ranks.
    communication: Option<f64>,
    /// The highest energy of a device minus the mean of the devices, as a share of the mean.
    imbalance: Option<Quantity>,
    /// The weights of the rank with the most, in bytes.
    weights: u64,
}

/// The measurements of all splits and batch sizes, in order.
#[derive(Default)]
pub(crate) struct Results(Vec<BatchResult>);

impl Results {
    /// Adds the measurement of a batch.
    pub(crate) fn add(
        &mut self,
        split: Parallelism,
        batch: usize,
        info: &ModelInfo,
        generation: &Generation,
    ) {
        let measured = &generation.measurement;
        let seconds = |time: u64| time as f64 * 1e-9;
        let generated = measured.activity.output_tokens;
        let decoded = generated.saturating_sub(generation.completions.len() as u64);
        let times: Option<Vec<f64>> = measured
            .ranks
            .iter()
            .map(|rank| rank.communication.as_ref().ok().map(|time| time.value))
            .collect();
        let share = |times: Vec<f64>| {
            let mean = times.iter().sum::<f64>() / times.len() as f64;
            100.0 * mean / seconds(measured.wall_time)
        };
        self.0.push(BatchResult {
            split: name(split),
            ranks: split.ranks(),
            batch,
            prefill: measured.activity.prompt_tokens as f64 / seconds(generation.prefill_time),
            decode: decoded as f64 / seconds(generation.decode_time),
            energy: measured.energy_per_output_token.clone().ok(),
            communication: times.filter(|times| !times.is_empty()).map(share),
            imbalance: measured.energy_imbalance.clone().ok(),
            weights: info.ranks.iter().map(|rank| rank.weight_bytes).max().unwrap_or_default(),
        });
    }

    /// Reports all measurements, as metrics and as a table.
    pub(crate) fn report(&self, sizes: &[usize]) -> Result<()> {
        let columns = ["split", "ranks", "batch", "prefill tok/s", "decode tok/s", "J/token"];
        let more = ["communication %", "energy imbalance %", "weights of a rank MiB"];
        let columns = columns.iter().chain(&more).map(|&name| name.to_owned()).collect();
        let mut rows = Vec::new();
        for &batch in sizes {
            for split in self.splits() {
                rows.extend(self.row(split, batch)?);
            }
        }
        report::add_table(&report::Table { name: "parallel_grid".to_owned(), columns, rows })?;
        Ok(())
    }

    /// Returns the splits in the order of their first measurement.
    fn splits(&self) -> Vec<&str> {
        let mut splits: Vec<&str> = Vec::new();
        for row in &self.0 {
            if !splits.contains(&row.split.as_str()) {
                splits.push(&row.split);
            }
        }
        splits
    }

    fn row(&self, split: &str, batch: usize) -> Result<Option<Vec<String>>> {
        let rows: Vec<&BatchResult> =
            self.0.iter().filter(|row| row.split == split && row.batch == batch).collect();
        let Some(first) = rows.first() else { return Ok(None) };
        let mean = |read: fn(&BatchResult) -> Option<f64>, unit: &str| {
            let values: Vec<f64> = rows.iter().filter_map(|row| read(row)).collect();
            Quantity::mean(&values, unit)
        };
        let percent = |share: &Quantity| {
            let (value, uncertainty) = (100.0 * share.value, 100.0 * share.uncertainty);
            Quantity { value, uncertainty, unit: "%".to_owned(), source: share.source.clone() }
        };
        let imbalances = rows.iter().filter_map(|row| row.imbalance.as_ref().map(percent));
        let quantities = [
            ("prefill_rate", mean(|row| Some(row.prefill), "{token}/s")),
            ("decode_rate", mean(|row| Some(row.decode), "{token}/s")),
            (
                "joules_per_output_token",
                Quantity::mean_of(rows.iter().filter_map(|row| row.energy.clone())),
            ),
            ("communication_share", mean(|row| row.communication, "%")),
            ("energy_imbalance", Quantity::mean_of(imbalances)),
        ];
        let mut cells = vec![split.to_owned(), first.ranks.to_string(), batch.to_string()];
        for (name, quantity) in quantities {
            cells.push(quantity.as_ref().map_or_else(|| "-".to_owned(), Quantity::in_two_digits));
            if let Some(quantity) = quantity {
                let metric = quantity.into_metric(name).label("split", split);
                report::add_metric(&metric.label("batch", batch.to_string()))?;
            }
        }
        cells.push((first.weights >> 20).to_string());
        Ok(Some(cells))
    }
}
