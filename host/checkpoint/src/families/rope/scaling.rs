//! The methods by which published models stretch the frequencies of their rotary embeddings.

use crate::{Error, Result, config::RopeParameters};
use std::f64::consts::PI;

/// The number of dimensions of a head that are rotated. It is even and above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RotatedWidth(usize);

impl RotatedWidth {
    /// Takes a share, from 0 to 1, of a head with `width` dimensions.
    ///
    /// # Errors
    /// Returns an error if the result is 0, odd, or larger than `width`.
    pub(super) fn new(width: usize, share: f64) -> Result<Self> {
        let rotated = (width as f64 * share) as usize;
        if rotated == 0 || rotated > width || !rotated.is_multiple_of(2) {
            return Err(Error::Invalid(format!(
                "{rotated} of {width} dimensions of a head are to be rotated: RoPE needs an even number of those there are; check partial_rotary_factor"
            )));
        }
        Ok(Self(rotated))
    }

    /// Refuses 2 rotated dimensions, for which [`Self::exponent`] is not finite.
    pub(super) fn with_growing_base(self) -> Result<Self> {
        match self.0 {
            2 => Err(Error::Invalid(
                "rope_type 'dynamic' needs more than 2 rotated dimensions of a head".to_owned(),
            )),
            _ => Ok(self),
        }
    }

    /// Returns the number of pairs of dimensions.
    pub(super) fn pairs(self) -> usize {
        self.0 / 2
    }

    /// Returns `theta^(-2i / rotated)` for each pair i, in radians per position, `[rotated / 2]`.
    pub(super) fn frequencies(self, theta: f64) -> Vec<f64> {
        let exponent = |pair: usize| -2.0 * pair as f64 / self.0 as f64;
        (0..self.pairs()).map(|pair| theta.powf(exponent(pair))).collect()
    }

    /// Returns the exponent of dynamic NTK: the base is multiplied by the growth of the context to this power.
    pub(super) fn exponent(self) -> f64 {
        self.0 as f64 / (self.0 as f64 - 2.0)
    }
}

/// The scaling of Llama 3.1: long wavelengths are stretched, short ones are unchanged, and those between are
/// interpolated (`apply_scaling` in Meta's `llama_models`).
pub(super) struct Llama3Scaling {
    pub factor: f64,
    pub low: f64,
    pub high: f64,
    pub original: f64,
}

impl Llama3Scaling {
    /// Returns the scaled value of a frequency.
    pub(super) fn scale(&self, frequency: f64) -> f64 {
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

/// The scaling of YaRN (arXiv 2309.00071).
pub(super) struct YarnScaling {
    pub factor: f64,
    pub original: f64,
}

impl YarnScaling {
    /// Returns the number by which cosines and sines are multiplied.
    pub(super) fn attention_factor(&self, parameters: &RopeParameters) -> f64 {
        if let Some(given) = parameters.attention_factor {
            return given;
        }
        let factor_of = |scale: f64| 0.1 * scale * self.factor.max(1.0).ln() + 1.0;
        // transformers treats 0 as absent.
        let given = |value: Option<f64>| value.filter(|&value| value != 0.0);
        match (given(parameters.mscale), given(parameters.mscale_all_dim)) {
            (Some(scale), Some(scale_all)) => factor_of(scale) / factor_of(scale_all),
            _ => factor_of(1.0),
        }
    }

    /// Returns the scaled frequency of each pair, `[rotated / 2]`. Pairs with many rotations over the original
    /// context are unchanged, pairs with few rotations are stretched, and those between are blended.
    pub(super) fn frequencies(
        &self,
        parameters: &RopeParameters,
        theta: f64,
        rotated: RotatedWidth,
    ) -> Vec<f64> {
        let width = rotated.0 as f64;
        // The pair that makes this many rotations over the original context.
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
