//! How published models stretch the frequencies of their rotary embeddings.

use crate::{Error, Result, config::RopeParameters};
use std::f64::consts::PI;

/// The dimensions of a head that are rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated(usize);

impl Rotated {
    /// Of a head `width` wide, a share.
    ///
    /// # Errors
    /// It is not an even number of those there are.
    pub fn of(width: usize, share: f64) -> Result<Self> {
        let rotated = (width as f64 * share) as usize;
        if rotated == 0 || rotated > width || !rotated.is_multiple_of(2) {
            return Err(Error::Invalid(format!(
                "{rotated} of {width} dimensions of a head are to be rotated: RoPE needs an even number of those there are; check partial_rotary_factor"
            )));
        }
        Ok(Self(rotated))
    }

    /// The same where [`Self::exponent`] is to be a number.
    pub fn with_growing_base(self) -> Result<Self> {
        match self.0 {
            2 => Err(Error::Invalid(
                "rope_type 'dynamic' needs more than 2 rotated dimensions of a head".to_owned(),
            )),
            _ => Ok(self),
        }
    }

    /// Pairs of dimensions.
    pub fn pairs(self) -> usize {
        self.0 / 2
    }

    /// `theta^(-2i / rotated)` of each pair i, radians per position.
    pub fn frequencies(self, theta: f64) -> Vec<f64> {
        let exponent = |pair: usize| -2.0 * pair as f64 / self.0 as f64;
        (0..self.pairs()).map(|pair| theta.powf(exponent(pair))).collect()
    }

    /// The power of the context's growth by which dynamic NTK multiplies the base.
    pub fn exponent(self) -> f64 {
        self.0 as f64 / (self.0 as f64 - 2.0)
    }
}

/// Llama 3.1's: long wavelengths are stretched, short ones kept, those between interpolated (Meta's `llama_models`,
/// `apply_scaling`).
pub struct Llama3 {
    pub factor: f64,
    pub low: f64,
    pub high: f64,
    pub original: f64,
}

impl Llama3 {
    /// Of a frequency.
    pub fn scale(&self, frequency: f64) -> f64 {
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

/// YaRN (arXiv 2309.00071).
pub struct Yarn {
    pub factor: f64,
    pub original: f64,
}

impl Yarn {
    /// What cosines and sines are multiplied by.
    pub fn attention_factor(&self, parameters: &RopeParameters) -> f64 {
        if let Some(given) = parameters.attention_factor {
            return given;
        }
        let of = |scale: f64| 0.1 * scale * self.factor.max(1.0).ln() + 1.0;
        // transformers takes 0 for absent.
        let given = |value: Option<f64>| value.filter(|&value| value != 0.0);
        match (given(parameters.mscale), given(parameters.mscale_all_dim)) {
            (Some(scale), Some(of_all)) => of(scale) / of(of_all),
            _ => of(1.0),
        }
    }

    /// Pairs that turn often over the original context keep their frequency, those that turn seldom are stretched, and those
    /// between are blended.
    pub fn frequencies(
        &self,
        parameters: &RopeParameters,
        theta: f64,
        rotated: Rotated,
    ) -> Vec<f64> {
        let width = rotated.0 as f64;
        // The pair that turns so many times over the original context.
        let pair_of = |rotations: f64| {
            width * (self.original / (rotations * 2.0 * PI)).ln() / (2.0 * theta.ln())
        };
        let (mut low, mut high) = (
            pair_of(parameters.beta_fast.unwrap_or(32.0)),
            pair_of(parameters.beta_slow.unwrap_or(1.0)),
        );
        if parameters.truncate.unwrap_or(true) {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, mut high) = (low.max(0.0), high.min(width - 1.0));
        if low == high {
            high += 1e-3;
        }
        let frequencies = rotated.frequencies(theta).into_iter().enumerate();
        frequencies
            .map(|(pair, frequency)| {
                let share = ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0);
                frequency / self.factor * share + frequency * (1.0 - share)
            })
            .collect()
    }
}
