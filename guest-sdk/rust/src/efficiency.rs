//! How much of a device's peak a trial reached.
//!
//! MFU: model FLOP utilisation (Chowdhery et al., arXiv 2204.02311, appendix B), here of prefill or decode by the operations
//! that are needed. MBU: model bandwidth utilisation, bytes of weights and KV cache over the time per output token, over the
//! peak bandwidth (Databricks, "LLM Inference Performance Engineering: Best Practices", 2023).

use crate::{
    completion::Completion,
    devices::{self, Device, Dtype, Peaks},
    measurement::Measurement,
    model_info::ModelInfo,
    quantity::{Quantity, Reading, Source},
    trial::Trial,
};

const NS: f64 = 1e-9;

/// The device that holds a model's first rank. None where it is not among this machine's.
pub fn device_of(model: &ModelInfo) -> Option<Device> {
    devices::list_devices().into_iter().find(|device| device.id == model.device)
}

/// The peak rate of matrix products in a number format, FLOP/s, or why it is not known.
pub fn peak_rate(peaks: &Peaks, dtype: &Dtype) -> Reading {
    let peak = peaks.products.iter().find(|peak| peak.dtype == *dtype);
    peak.map_or_else(
        || Err(format!("{} has no peak in {dtype}", peaks.origin)),
        |peak| peak.rate.clone(),
    )
}

impl Measurement {
    /// Share of the peak rate that prefill reached, in steps that ran prompts only. `ranks` devices took part, each with
    /// this peak.
    pub fn prefill_mfu(&self, peak: &Quantity, ranks: usize) -> Option<Quantity> {
        mfu(self.activity.flops_prefill, self.activity.prefill_time, peak, ranks)
    }

    /// The same of decode, in steps in which sequences only generated.
    pub fn decode_mfu(&self, peak: &Quantity, ranks: usize) -> Option<Quantity> {
        mfu(self.activity.flops_decode, self.activity.decode_time, peak, ranks)
    }

    /// The same of steps of continuous batches that held both.
    pub fn mixed_mfu(&self, peak: &Quantity, ranks: usize) -> Option<Quantity> {
        mfu(self.activity.flops_mixed, self.activity.mixed_time, peak, ranks)
    }
}

impl Trial {
    /// Share of the peak rate that prefill reached. `ranks` devices took part, each with this peak.
    pub fn prefill_mfu(&self, peak: &Quantity, ranks: usize) -> Option<Quantity> {
        self.generation().ok()?.measurement.prefill_mfu(peak, ranks)
    }

    /// The same of decode.
    pub fn decode_mfu(&self, peak: &Quantity, ranks: usize) -> Option<Quantity> {
        self.generation().ok()?.measurement.decode_mfu(peak, ranks)
    }

    /// Share of the peak bandwidth, bytes/s, that decode reached. A step reads the weights but for tables of which it
    /// takes a row, and the keys and values of all tokens before it; of layers with a sliding window that is more than it
    /// reads once sequences are longer. None for a mixture of experts, of whose weights a step reads what its tokens
    /// choose, and where there was no decode.
    pub fn decode_mbu(&self, model: &ModelInfo, bandwidth: &Quantity) -> Option<Quantity> {
        let generation = self.generation().ok()?;
        let completions = &generation.completions;
        let steps = completions.iter().map(|one| one.tokens.len()).max()?.checked_sub(1)?;
        if model.experts > 0 || steps == 0 {
            return None;
        }
        // Each decode step of a sequence reads the keys and values of all before it.
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
        request::Request,
        warmup::fixtures::{completion, generation, model},
    };

    fn trial(generation: crate::completion::Generation) -> Trial {
        Trial::alone(0, Request::tokens([0]), generation)
    }

    #[test]
    fn half_the_peak_is_half() {
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
