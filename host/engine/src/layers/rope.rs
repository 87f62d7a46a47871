//! Rotary position embedding (arXiv 2104.09864) with the frequency scalings of published configs.

use crate::{Error, Result, config::RopeParameters};
use candle_core::Tensor;
use std::{f64::consts::PI, sync::OnceLock};

/// Inverse frequencies of the rotated part of a head, radians per position.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// `[rotated / 2]`
    inverse_frequencies: Vec<f32>,
    /// Cosines and sines are multiplied by this (YaRN's attention factor).
    factor: f32,
}

/// Cosines and sines at some positions, both `[positions, half]`.
pub struct Angles {
    /// Pairs of dimensions that are rotated.
    pub half: usize,
    /// `[positions, half]`
    pub cos: Vec<f32>,
    /// `[positions, half]`
    pub sin: Vec<f32>,
    /// Both on a device, once a layer has asked.
    uploaded: OnceLock<(Tensor, Tensor)>,
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
                "config.json rotates {rotated} of {head_dim} dimensions of a head: RoPE needs an even number of those there are; check partial_rotary_factor"
            )));
        }
        let plain = (0..rotated / 2).map(|pair| theta.powf(-2.0 * pair as f64 / rotated as f64));
        let kind = parameters.rope_type.as_deref().unwrap_or("default");
        let required = |value: Option<f64>, field: &str| {
            value.ok_or_else(|| {
                Error::Invalid(format!("rope_type '{kind}' in config.json needs the field {field}"))
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
                    "rope_type '{other}' in config.json; this version has default, linear, llama3 and yarn"
                )));
            }
        };
        Ok(Self {
            inverse_frequencies: inverse_frequencies.iter().map(|&f| f as f32).collect(),
            factor: attention_factor as f32,
        })
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

    /// Cosines and sines at each position. The angle is taken in f32, as transformers does, so
    /// that long contexts round alike.
    pub fn angles(&self, positions: &[usize]) -> Angles {
        let half = self.inverse_frequencies.len();
        let mut cos = Vec::with_capacity(positions.len() * half);
        let mut sin = Vec::with_capacity(positions.len() * half);
        for &position in positions {
            for frequency in &self.inverse_frequencies {
                let (sine, cosine) = (position as f32 * frequency).sin_cos();
                cos.push(cosine * self.factor);
                sin.push(sine * self.factor);
            }
        }
        Angles { half, cos, sin, uploaded: OnceLock::new() }
    }
}

impl Angles {
    /// Cosines and sines on a device, in the number format of what they rotate. They are uploaded once
    /// a forward pass, not once a layer.
    pub fn on_device(&self, like: &Tensor) -> Result<(Tensor, Tensor)> {
        if let Some(uploaded) = self.uploaded.get() {
            return Ok(uploaded.clone());
        }
        let upload = |numbers: &Vec<f32>| -> Result<Tensor> {
            let shape = (numbers.len() / self.half, self.half);
            Ok(Tensor::from_slice(numbers, shape, like.device())?.to_dtype(like.dtype())?)
        };
        let both = (upload(&self.cos)?, upload(&self.sin)?);
        Ok(self.uploaded.get_or_init(|| both).clone())
    }

    /// Rotates one head in place: dimension i with dimension i + half.
    #[inline]
    pub fn rotate(&self, position: usize, head: &mut [f32]) {
        let cos = &self.cos[position * self.half..][..self.half];
        let sin = &self.sin[position * self.half..][..self.half];
        let (first, rest) = head.split_at_mut(self.half);
        for (((a, b), cos), sin) in first.iter_mut().zip(rest).zip(cos).zip(sin) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
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
