//! Rotary position embedding (arXiv 2104.09864) with the frequency scalings of Llama configs.

use crate::{Error, Result, config::RopeParameters};
use candle_core::{DType, Device, Tensor};
use std::f64::consts::PI;

/// Inverse frequencies of one head, `[head_dim / 2]`, radians per position.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    inverse_frequencies: Vec<f32>,
}

impl Rope {
    /// Computes the frequencies that a config asks for. Formulas: transformers'
    /// `modeling_rope_utils.py`; `llama3` is from Meta's `llama_models`, `apply_scaling`.
    pub fn new(parameters: &RopeParameters, head_dim: usize) -> Result<Self> {
        let theta = parameters.rope_theta.unwrap_or(10_000.0);
        let plain =
            (0..head_dim / 2).map(|pair| 1.0 / theta.powf(2.0 * pair as f64 / head_dim as f64));
        let kind = parameters.rope_type.as_deref().unwrap_or("default");
        let inverse_frequencies: Vec<f64> = match kind {
            "default" => plain.collect(),
            "linear" => {
                let factor = required(parameters.factor, kind, "factor")?;
                plain.map(|frequency| frequency / factor).collect()
            }
            "llama3" => {
                let scaling = Llama3 {
                    factor: required(parameters.factor, kind, "factor")?,
                    low: required(parameters.low_freq_factor, kind, "low_freq_factor")?,
                    high: required(parameters.high_freq_factor, kind, "high_freq_factor")?,
                    original: required(
                        parameters.original_max_position_embeddings,
                        kind,
                        "original_max_position_embeddings",
                    )?,
                };
                plain.map(|frequency| scaling.scale(frequency)).collect()
            }
            other => {
                return Err(Error::Unsupported(format!(
                    "rope_type '{other}' in config.json; this version has default, linear and llama3"
                )));
            }
        };
        Ok(Self { inverse_frequencies: inverse_frequencies.iter().map(|&f| f as f32).collect() })
    }

    /// Cosines and sines at each position, both `[positions, head_dim / 2]`. The angle is taken
    /// in f32, as transformers does, so that long contexts round alike.
    pub fn angles(
        &self,
        positions: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<(Tensor, Tensor)> {
        let angles: Vec<f32> = positions
            .iter()
            .flat_map(|&position| self.inverse_frequencies.iter().map(move |f| position as f32 * f))
            .collect();
        let dims = (positions.len(), self.inverse_frequencies.len());
        let table = |function: fn(f32) -> f32| -> Result<Tensor> {
            let values: Vec<f32> = angles.iter().map(|&angle| function(angle)).collect();
            Ok(Tensor::from_vec(values, dims, device)?.to_dtype(dtype)?)
        };
        Ok((table(f32::cos)?, table(f32::sin)?))
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

fn required(value: Option<f64>, kind: &str, field: &str) -> Result<f64> {
    value.ok_or_else(|| {
        Error::Invalid(format!("rope_type '{kind}' in config.json needs the field {field}"))
    })
}
