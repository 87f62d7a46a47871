//! The frequencies of rotary position embeddings (arXiv 2104.09864), with the scalings of published configs.

use crate::{Error, Result, config::RopeParameters};
use std::f64::consts::PI;

/// Inverse frequencies of the rotated part of a head, radians per position.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// `[rotated / 2]`
    pub inverse_frequencies: Vec<f32>,
    /// Cosines and sines are multiplied by this (YaRN's attention factor).
    pub factor: f32,
}

impl Rope {
    /// Computes the frequencies that a config asks for. Formulas: transformers'
    /// `modeling_rope_utils.py`; `llama3` is from Meta's `llama_models`, `apply_scaling`; `yarn` is
    /// arXiv 2309.00071.
    pub fn new(parameters: &RopeParameters, head_dim: usize) -> Result<Self> {
        let theta = parameters.rope_theta.unwrap_or(10_000.0);
        let share = parameters.partial_rotary_factor.unwrap_or(1.0);
        let rotated = (head_dim as f64 * share) as usize;
        if rotated == 0 || rotated > head_dim || !rotated.is_multiple_of(2) {
            return Err(Error::Invalid(format!(
                "{rotated} of {head_dim} dimensions of a head are to be rotated: RoPE needs an even number of those there are; check partial_rotary_factor"
            )));
        }
        let plain = (0..rotated / 2).map(|pair| theta.powf(-2.0 * pair as f64 / rotated as f64));
        let kind = parameters.rope_type.as_deref().unwrap_or("default");
        let required = |value: Option<f64>, field: &str| {
            value.ok_or_else(|| {
                Error::Invalid(format!("rope_type '{kind}' needs the field {field}"))
            })
        };
        let original = || {
            required(
                parameters.original_max_position_embeddings,
                "original_max_position_embeddings",
            )
        };
        let mut attention_factor = 1.0;
        let inverse_frequencies: Vec<f64> = match kind {
            "default" => plain.collect(),
            "linear" => {
                let factor = required(parameters.factor, "factor")?;
                plain.map(|frequency| frequency / factor).collect()
            }
            "llama3" => {
                let scaling = Llama3 {
                    factor: required(parameters.factor, "factor")?,
                    low: required(parameters.low_freq_factor, "low_freq_factor")?,
                    high: required(parameters.high_freq_factor, "high_freq_factor")?,
                    original: original()?,
                };
                plain.map(|frequency| scaling.scale(frequency)).collect()
            }
            "yarn" => {
                let factor = required(parameters.factor, "factor")?;
                attention_factor =
                    parameters.attention_factor.unwrap_or(0.1 * factor.max(1.0).ln() + 1.0);
                // The pair that turns so many times over the original context.
                let context = original()?;
                let pair_of = |rotations: f64| {
                    rotated as f64 * (context / (rotations * 2.0 * PI)).ln() / (2.0 * theta.ln())
                };
                let low = pair_of(parameters.beta_fast.unwrap_or(32.0)).floor().max(0.0);
                let high = pair_of(parameters.beta_slow.unwrap_or(1.0)).ceil();
                let high = high.min(rotated as f64 - 1.0).max(low + 1e-3);
                let stretch = |(pair, frequency): (usize, f64)| {
                    let share = ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    frequency / factor * share + frequency * (1.0 - share)
                };
                plain.enumerate().map(stretch).collect()
            }
            other => {
                return Err(Error::Unsupported(format!(
                    "rope_type '{other}' is not supported; this version has default, linear, llama3 and yarn"
                )));
            }
        };
        let rope = Self {
            inverse_frequencies: inverse_frequencies.iter().map(|&f| f as f32).collect(),
            factor: attention_factor as f32,
        };
        match rope.is_finite() {
            true => Ok(rope),
            false => Err(Error::Invalid(format!(
                "rope_theta {theta} and rope_type '{kind}' with its factors give frequencies that are not finite numbers"
            ))),
        }
    }

    /// Whether it can be computed with.
    pub fn is_finite(&self) -> bool {
        self.factor.is_finite() && self.inverse_frequencies.iter().all(|f| f.is_finite())
    }

    /// Pairs of dimensions that are rotated.
    pub fn pairs(&self) -> usize {
        self.inverse_frequencies.len()
    }

    /// Divides each pair's frequency, as GGUF files keep llama3's scaling.
    pub fn divide(&mut self, divisors: &[f32]) {
        for (frequency, divisor) in self.inverse_frequencies.iter_mut().zip(divisors) {
            *frequency /= divisor;
        }
    }
}

struct Llama3 {
    factor: f64,
    low: f64,
    high: f64,
    original: f64,
}

impl Llama3 {
    /// Long wavelengths are stretched, short ones kept, those between interpolated.
    fn scale(&self, frequency: f64) -> f64 {
        let wavelength = 2.0 * PI / frequency;
        if wavelength < self.original / self.high {
            frequency
        } else if wavelength > self.original / self.low {
            frequency / self.factor
        } else {
            let smooth = (self.original / wavelength - self.low) / (self.high - self.low);
            (1.0 - smooth) * frequency / self.factor + smooth * frequency
        }
    }
}
