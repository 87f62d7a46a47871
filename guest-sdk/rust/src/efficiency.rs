//! The share of a device's peak rate that a trial reached.
//!
//! - MFU, model FLOP utilisation (Chowdhery et al., arXiv 2204.02311, appendix B): here for prefill or decode, from the
//!   operations that are needed.
//! - MBU, model bandwidth utilisation: bytes of weights and KV cache per time per output token, divided by the peak
//!   bandwidth (Databricks, "LLM Inference Performance Engineering: Best Practices", 2023).

use crate::{
    completion::Completion,
    devices::{self, Device, Dtype, Peaks},
    measurement::Measurement,
    model_info::ModelInfo,
    quantity::{Quantity, Reading, Source},
    trial::Trial,
};

/// One nanosecond, in seconds.
const NS: f64 = 1e-9;

/// Returns the device that holds the model's first rank, or `None` if it is not a device of this machine.
pub fn find_model_device(model: &ModelInfo) -> Option<Device> {
    devices::list_devices().into_iter().find(|device| device.id == model.device)
}

/// Returns the peak rate of matrix products in a number format, in FLOP/s, or the reason why it is not known.
///
/// ```
/// use llem_sdk::{Quantity, Source, devices::{Dtype, Peak, Peaks}, efficiency::peak_rate};
///
/// let rate = Quantity::exact(1e12, "FLOP/s", Source::Datasheet);
/// let peaks = Peaks {
///     origin: "a datasheet".to_owned(),
///     products: vec![Peak { dtype: Dtype::Bf16, rate: Ok(rate.clone()) }],
///     bandwidth: Err("not in the datasheet".to_owned()),
/// };
/// assert_eq!(peak_rate(&peaks, &Dtype::Bf16), Ok(rate));
/// assert_eq!(peak_rate(&peaks, &Dtype::F32), Err("a datasheet has no peak in f32".to_owned()));
/// ```
pub fn peak_rate(peaks: &Peaks, dtype: &Dtype) -> Reading {
    let peak = peaks.products.iter().find(|peak| peak.dtype == *dtype);
    peak.map_or_else(
        || Err(format!("{} has no peak in {dtype}", peaks.origin)),
        |peak| peak.rate.clone(),
    )
}

impl Measurement {
    /// Returns the MFU of prefill: the share of the peak rate that steps with prompts only reached. `peak` is the rate
    /// of one device in FLOP/s, and `ranks` devices took part. Returns `None` if there was no prefill.
    pub fn prefill_mfu(&self, peak: &Quantity, ranks: usize) -> Option<Quantity> {
        mfu(self.activity.flops_prefill, self.activity.prefill_time, peak, ranks)
    }

    /// Returns the MFU of decode: the share of the peak rate that steps without prompts reached. `peak` is the rate of
    /// one device in FLOP/s, and `ranks` devices took part. Returns `None` if there was no decode.
    pub fn decode_mfu(&self, peak: &Quantity, ranks: usize) -> Option<Quantity> {
        mfu(self.activity.flops_decode, self.activity.decode_time, peak, ranks)
    }

    /// Returns the MFU of mixed steps of continuous batches, which run prompts and decode together. `peak` is the rate
    /// of one device in FLOP/s, and `ranks` devices took part. Returns `None` if there were no such steps.
    pub fn mixed_mfu(&self, peak: &Quantity, ranks: usize) -> Option<Quantity> {
        mfu(self.activity.flops_mixed, self.activity.mixed_time, peak, ranks)
    }
}

impl Trial {
    /// Returns the MFU of prefill (see [`Measurement::prefill_mfu`]), or `None` if the trial ran in a continuous batch.
    pub fn prefill_mfu(&self, peak: &Quantity, ranks: usize) -> Option<Quantity> {
        self.generation().ok()?.measurement.prefill_mfu(peak, ranks)
    }

    /// Returns the MFU of decode (see [`Measurement::decode_mfu`]), or `None` if the trial ran in a continuous batch.
    pub fn decode_mfu(&self, peak: &Quantity, ranks: usize) -> Option<Quantity> {
        self.generation().ok()?.measurement.decode_mfu(peak, ranks)
    }

    /// Returns the MBU of decode: the share of the peak bandwidth that decode reached. `bandwidth` is the peak of one
    /// device in By/s.
    ///
    /// A step reads all weights except lookup tables, and the keys and values of all tokens before it. For layers with
    /// a sliding window this overestimates the bytes of sequences that are longer than the window. Returns `None` if
    /// there was no decode, if the trial ran in a continuous batch, and for a mixture of experts, because there the
    /// weights that a step reads depend on its tokens.
    pub fn decode_mbu(&self, model: &ModelInfo, bandwidth: &Quantity) -> Option<Quantity> {
        let generation = self.generation().ok()?;
        let completions = &generation.completions;
        let steps = completions.iter().map(|one| one.tokens.len()).max()?.checked_sub(1)?;
        if model.experts > 0 || steps == 0 {
            return None;
        }
        // Each decode step of a sequence reads the keys and values of all tokens before it.
        let read = |one: &Completion| {
            let (prompt, steps) =
                (f64::from(one.prompt_tokens), one.tokens.len().saturating_sub(1) as f64);
            steps * (prompt + (steps + 1.0) / 2.0)
        };
        let cached: f64 = completions.iter().map(read).sum();
        let bytes = steps as f64 * model.decode_weight_bytes as f64
            + cached * model.kv_bytes_per_token as f64;
        let rate = analytic(bytes, "By").per(generation.decode_time as f64 * NS, "By/s")?;
        let ranks = model.ranks.len().max(1) as f64;
        rate.over(&bandwidth.times(&analytic(ranks, "1"), "By/s"), "1")
    }
}

fn mfu(flops: f64, time: u64, peak: &Quantity, ranks: usize) -> Option<Quantity> {
    let rate =
        analytic(flops, "FLOP").per(time as f64 * NS, "FLOP/s").filter(|rate| rate.value > 0.0)?;
    rate.over(&peak.times(&analytic(ranks as f64, "1"), "FLOP/s"), "1")
}

fn analytic(value: f64, unit: &str) -> Quantity {
    Quantity::exact(value, unit, Source::Analytic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{completion, generation, model},
        request::Request,
    };

    fn trial(generation: crate::completion::Generation) -> Trial {
        Trial::from_generation(0, Request::from_tokens([0]), generation)
    }

    #[test]
    fn half_the_peak_rate_is_an_mfu_of_one_half() {
        let mut generation = generation(0, 2_000_000_000);
        generation.measurement.activity.flops_decode = 1e12;
        let trial = trial(generation);
        let peak = Quantity::exact(1e12, "FLOP/s", Source::Datasheet);
        let mfu = trial.decode_mfu(&peak, 1).expect("two seconds of decode");
        assert!((mfu.value - 0.5).abs() < 1e-12 && mfu.unit == "1");
        assert!((trial.decode_mfu(&peak, 2).expect("the same").value - 0.25).abs() < 1e-12);
        assert!(trial.prefill_mfu(&peak, 1).is_none());
    }

    #[test]
    fn decode_reads_its_weights_and_the_cache_at_each_step() {
        let mut generation = generation(0, 2_000_000_000);
        generation.completions.clear();
        let bandwidth = Quantity::exact(2030.0, "By/s", Source::Datasheet);
        assert!(trial(generation.clone()).decode_mbu(&model(1), &bandwidth).is_none(), "no decode");
        generation.completions.push(completion(3));
        // Two steps after prefill: the weights twice, and the keys and values of 11 and 12 tokens. 2030 bytes in 2 s.
        let trial = trial(generation);
        let mbu = |model| trial.decode_mbu(&model, &bandwidth).expect("two steps of decode").value;
        assert!((mbu(model(1)) - 0.5).abs() < 1e-12);
        assert!((mbu(model(2)) - 0.25).abs() < 1e-12, "each rank has that bandwidth");
        let mixture = ModelInfo { experts: 8, ..model(1) };
        assert!(trial.decode_mbu(&mixture, &bandwidth).is_none());
    }
}
