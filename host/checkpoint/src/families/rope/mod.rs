//! Rotary position embeddings (arXiv 2104.09864): computes the frequencies that a config requests, some of which
//! depend on the length of the sequence.
//!
//! The formulas are from transformers' `modeling_rope_utils.py`, version 5.24.
//!
//! Start at [`Rope::new`] and [`Rope::frequencies_at`].

mod scaling;

use crate::{Error, Result, config::RopeParameters};
use scaling::{Llama3Scaling, RotatedWidth, YarnScaling};
use std::borrow::Cow;

/// The frequencies of a rotary embedding, in radians per position.
///
/// A pair of dimensions of a head is rotated by the angle `position · frequency`. transformers calls these numbers
/// inverse frequencies.
///
/// ```
/// use llem_checkpoint::{Rope, RopeParameters};
///
/// let parameters = RopeParameters { rope_theta: Some(10_000.0), ..RopeParameters::default() };
/// let rope = Rope::new(&parameters, 4)?;
/// assert_eq!(rope.inverse_frequencies, [1.0, 0.01]); // 10000^0 and 10000^(-2/4)
///
/// let linear = RopeParameters { rope_type: Some("linear".to_owned()), factor: Some(2.0), ..parameters };
/// assert_eq!(Rope::new(&linear, 4)?.inverse_frequencies, [0.5, 0.005]);
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// The frequency of each pair of dimensions, `[rotated / 2]`, for sequences within the original context, which is
    /// the context of the first training.
    pub inverse_frequencies: Vec<f32>,
    /// The number by which cosines and sines are multiplied (the attention factor of YaRN and LongRoPE).
    pub factor: f32,
    /// The frequencies of longer sequences. `None` if they are the same.
    longer: Option<LongerFrequencies>,
}

/// The frequencies of sequences beyond the original context.
#[derive(Clone, Debug, PartialEq)]
enum LongerFrequencies {
    /// LongRoPE (arXiv 2402.13753): one other set of frequencies.
    Set {
        /// The original context. Only longer sequences have this set.
        original: usize,
        /// The frequency of each pair of dimensions, `[rotated / 2]`.
        inverse_frequencies: Vec<f32>,
    },
    /// Dynamic NTK: the base grows with the length of the sequence.
    Dynamic {
        /// The original context, up to which the base does not grow.
        original: usize,
        factor: f64,
        theta: f64,
        rotated: RotatedWidth,
    },
}

/// Which frequencies rotate the keys of a sequence. Another sequence can reuse cached keys only if its frequencies
/// are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RopeRange {
    /// The frequencies of the original context.
    Original,
    /// The frequencies of sequences beyond the original context.
    Longer,
    /// Each length has its own frequencies, so no sequence can reuse the keys of another one.
    UniquePerLength,
}

/// A sequence would have keys of both sets of frequencies in its cache, because its prompt is within the original
/// context and generation goes beyond it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it would grow beyond {original} tokens, from which on rope_type 'longrope' rotates by other factors, with the keys of the first ones in its cache: generate at most {} tokens",
    original + 1 - prompt
)]
pub struct MixedFrequenciesError {
    /// The original context, in tokens.
    original: usize,
    /// The length of the prompt, in tokens. It is at most `original`.
    prompt: usize,
}

impl RopeRange {
    /// Returns `true` if a sequence in the range `other` can reuse the keys of a sequence in this range.
    pub fn is_compatible_with(self, other: Self) -> bool {
        self == other && self != Self::UniquePerLength
    }
}

impl Rope {
    /// Computes the frequencies that a config requests, for heads with `head_dim` dimensions.
    ///
    /// # Errors
    /// Returns an error if the type is unknown, if a field that the type needs is missing, or if a frequency is not
    /// finite.
    pub fn new(parameters: &RopeParameters, head_dim: usize) -> Result<Self> {
        let theta = parameters.rope_theta.unwrap_or(10_000.0);
        let rotated = RotatedWidth::new(head_dim, parameters.partial_rotary_factor.unwrap_or(1.0))?;
        let kind = parameters.rope_type.as_deref().unwrap_or("default");
        let typed = TypedParameters { parameters, kind };
        let (mut factor, mut longer) = (1.0, None);
        let frequencies: Vec<f64> = match kind {
            "default" => rotated.frequencies(theta),
            "linear" => {
                let factor = typed.number(parameters.factor, "factor")?;
                rotated.frequencies(theta).into_iter().map(|it| it / factor).collect()
            }
            "dynamic" => {
                longer = Some(LongerFrequencies::Dynamic {
                    original: typed
                        .positions(parameters.max_position_embeddings, "max_position_embeddings")?,
                    factor: typed.number(parameters.factor, "factor")?,
                    theta,
                    rotated: rotated.with_growing_base()?,
                });
                rotated.frequencies(theta)
            }
            "llama3" => {
                let scaling = Llama3Scaling {
                    factor: typed.number(parameters.factor, "factor")?,
                    low: typed.number(parameters.low_freq_factor, "low_freq_factor")?,
                    high: typed.number(parameters.high_freq_factor, "high_freq_factor")?,
                    original: typed.original()?,
                };
                rotated.frequencies(theta).into_iter().map(|it| scaling.scale(it)).collect()
            }
            "yarn" => {
                let scaling = YarnScaling { factor: typed.stretch()?, original: typed.original()? };
                factor = scaling.attention_factor(parameters);
                scaling.frequencies(parameters, theta, rotated)
            }
            "longrope" => {
                let (stretch, original) = (typed.stretch()?, typed.original()?);
                let divided = |divisors: &Option<Vec<f64>>, field: &str| {
                    let divisors = typed.divisors(divisors.as_ref(), field, rotated)?;
                    let frequencies = rotated.frequencies(theta).into_iter();
                    Ok(frequencies.zip(divisors).map(|(it, divisor)| it / divisor).collect())
                };
                let ratio = if stretch <= 1.0 { 0.0 } else { stretch.ln() / original.ln() };
                factor = parameters.attention_factor.unwrap_or_else(|| (1.0 + ratio).sqrt());
                let long: Vec<f64> = divided(&parameters.long_factor, "long_factor")?;
                longer = Some(LongerFrequencies::Set {
                    original: original as usize,
                    inverse_frequencies: to_f32(&long),
                });
                divided(&parameters.short_factor, "short_factor")?
            }
            other => {
                return Err(Error::Unsupported(format!(
                    "rope_type '{other}' is not supported; this version has default, linear, dynamic, llama3, yarn and longrope"
                )));
            }
        };
        let inverse_frequencies = to_f32(&frequencies);
        let rope = Self { inverse_frequencies, factor: factor as f32, longer };
        match rope.is_finite() {
            true => Ok(rope),
            false => Err(Error::Invalid(format!(
                "rope_theta {theta} and rope_type '{kind}' with its factors give frequencies that are not finite numbers"
            ))),
        }
    }

    /// Returns the frequencies for a pass after which the sequence has `length` tokens.
    ///
    /// All tokens of a prompt are rotated with the frequencies for the length of the whole prompt, also if the prompt
    /// is run in several passes.
    ///
    /// # Shapes
    /// - returns: `[rotated / 2]`, one frequency for each pair of dimensions, in radians per position
    pub fn frequencies_at(&self, length: usize) -> Cow<'_, [f32]> {
        match &self.longer {
            Some(LongerFrequencies::Set { original, inverse_frequencies })
                if length > *original =>
            {
                Cow::Borrowed(inverse_frequencies)
            }
            Some(LongerFrequencies::Dynamic { original, factor, theta, rotated })
                if length > *original =>
            {
                let grown = factor * length as f64 / *original as f64 - (factor - 1.0);
                Cow::Owned(to_f32(&rotated.frequencies(theta * grown.powf(rotated.exponent()))))
            }
            _ => Cow::Borrowed(&self.inverse_frequencies),
        }
    }

    /// Returns `true` if the frequencies depend on the length of the sequence.
    pub fn depends_on_length(&self) -> bool {
        self.longer.is_some()
    }

    /// Returns with which frequencies the keys of a sequence of `length` tokens are rotated.
    pub(super) fn range(&self, length: usize) -> RopeRange {
        match &self.longer {
            Some(LongerFrequencies::Set { original, .. }) if length > *original => {
                RopeRange::Longer
            }
            Some(LongerFrequencies::Dynamic { original, .. }) if length > *original => {
                RopeRange::UniquePerLength
            }
            _ => RopeRange::Original,
        }
    }

    /// Returns the length of the longest sequence, in tokens. It is the `context` of the config, or more with a
    /// growing base.
    pub(super) fn context(&self, context: usize) -> usize {
        match self.longer {
            Some(LongerFrequencies::Dynamic { factor, .. }) => {
                (context as f64 * factor.max(1.0)) as usize
            }
            _ => context,
        }
    }

    /// Refuses a sequence whose cache would contain keys of both sets of frequencies. This happens if the prompt is
    /// within the original context and generation goes beyond it. `prompt` is the prompt's length in tokens, and
    /// `rows` is how many tokens run in total.
    pub(super) fn check_sequence(
        &self,
        prompt: usize,
        rows: usize,
    ) -> std::result::Result<(), MixedFrequenciesError> {
        match self.longer {
            Some(LongerFrequencies::Set { original, .. })
                if prompt <= original && rows > original =>
            {
                Err(MixedFrequenciesError { original, prompt })
            }
            _ => Ok(()),
        }
    }

    /// Returns `true` if all frequencies and the factor are finite numbers.
    pub(crate) fn is_finite(&self) -> bool {
        let more = match &self.longer {
            Some(LongerFrequencies::Set { inverse_frequencies, .. }) => &inverse_frequencies[..],
            _ => &[],
        };
        let mut numbers = self.inverse_frequencies.iter().chain(more);
        self.factor.is_finite() && numbers.all(|number| number.is_finite())
    }

    /// Returns how many pairs of dimensions of a head are rotated.
    pub fn pairs(&self) -> usize {
        self.inverse_frequencies.len()
    }

    /// Divides each pair's frequency by a divisor. GGUF files store the scaling of the type llama3 as such divisors.
    pub(crate) fn divide(&mut self, divisors: &[f32]) {
        for (frequency, divisor) in self.inverse_frequencies.iter_mut().zip(divisors) {
            *frequency /= divisor;
        }
    }
}

/// The parameters of a config, with their type for messages.
struct TypedParameters<'a> {
    parameters: &'a RopeParameters,
    kind: &'a str,
}

impl TypedParameters<'_> {
    fn number(&self, value: Option<f64>, field: &str) -> Result<f64> {
        value.ok_or_else(|| {
            Error::Invalid(format!("rope_type '{}' needs the field {field}", self.kind))
        })
    }

    fn positions(&self, value: Option<f64>, field: &str) -> Result<usize> {
        Ok(self.number(value, field)? as usize)
    }

    fn original(&self) -> Result<f64> {
        let value = self.parameters.original_max_position_embeddings;
        self.number(value, "original_max_position_embeddings")
    }

    /// Returns the factor by which the context is stretched: the field `factor`, otherwise the ratio of the two
    /// contexts.
    fn stretch(&self) -> Result<f64> {
        match self.parameters.factor {
            Some(factor) => Ok(factor),
            None => {
                let context = self.parameters.max_position_embeddings;
                Ok(self.number(context, "factor")? / self.original()?)
            }
        }
    }

    fn divisors<'a>(
        &self,
        value: Option<&'a Vec<f64>>,
        field: &str,
        rotated: RotatedWidth,
    ) -> Result<&'a [f64]> {
        let pairs = rotated.pairs();
        match value {
            Some(divisors) if divisors.len() == pairs => Ok(divisors),
            Some(divisors) => Err(Error::Invalid(format!(
                "{field} holds {} numbers, and {pairs} pairs of dimensions of a head are rotated: it needs one for each",
                divisors.len()
            ))),
            None => {
                Err(Error::Invalid(format!("rope_type '{}' needs the field {field}", self.kind)))
            }
        }
    }
}

fn to_f32(frequencies: &[f64]) -> Vec<f32> {
    frequencies.iter().map(|&frequency| frequency as f32).collect()
}

#[cfg(test)]
mod tests;
