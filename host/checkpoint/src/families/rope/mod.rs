//! Rotary position embeddings (arXiv 2104.09864): the frequencies that a config asks for, and how they depend on a
//! sequence's length.
//!
//! Formulas are those of transformers' `modeling_rope_utils.py`, version 5.24. Start at [`Rope::new`] and
//! [`Rope::frequencies_at`].

mod scaling;

use crate::{Error, Result, config::RopeParameters};
use scaling::{Llama3, Rotated, Yarn};
use std::borrow::Cow;

/// Inverse frequencies of the rotated part of a head, radians per position.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// `[rotated / 2]`, of sequences within the context that the model was first trained for.
    pub inverse_frequencies: Vec<f32>,
    /// Cosines and sines are multiplied by this (YaRN's and LongRoPE's attention factor).
    pub factor: f32,
    /// What longer sequences are rotated with, where that differs.
    longer: Option<Longer>,
}

/// Frequencies of sequences beyond the context that the model was first trained for.
#[derive(Clone, Debug, PartialEq)]
enum Longer {
    /// LongRoPE (arXiv 2402.13753): one other set.
    Set {
        /// The most positions of a sequence that does not have it.
        original: usize,
        /// `[rotated / 2]`
        inverse_frequencies: Vec<f32>,
    },
    /// Dynamic NTK: a base that grows with each position.
    Dynamic {
        /// The most positions that leave the base as it is.
        original: usize,
        factor: f64,
        theta: f64,
        rotated: Rotated,
    },
}

/// Which frequencies the keys of a sequence are rotated with, as far as they can serve another sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RopeRange {
    /// Those of the context that the model was first trained for.
    Original,
    /// Those of longer sequences.
    Longer,
    /// Others at each length, so that no two sequences share theirs.
    OwnAtEachLength,
}

impl RopeRange {
    /// Whether keys of a sequence in this range serve one in another.
    pub fn serves(self, other: Self) -> bool {
        self == other && self != Self::OwnAtEachLength
    }
}

impl Rope {
    /// Computes the frequencies that a config asks for, of heads `head_dim` wide.
    ///
    /// # Errors
    /// A field that the type needs is missing, the type is unknown, or the frequencies are not finite numbers.
    pub fn new(parameters: &RopeParameters, head_dim: usize) -> Result<Self> {
        let theta = parameters.rope_theta.unwrap_or(10_000.0);
        let rotated = Rotated::of(head_dim, parameters.partial_rotary_factor.unwrap_or(1.0))?;
        let kind = parameters.rope_type.as_deref().unwrap_or("default");
        let asked = Asked { parameters, kind };
        let (mut factor, mut longer) = (1.0, None);
        let frequencies: Vec<f64> = match kind {
            "default" => rotated.frequencies(theta),
            "linear" => {
                let factor = asked.number(parameters.factor, "factor")?;
                rotated.frequencies(theta).into_iter().map(|it| it / factor).collect()
            }
            "dynamic" => {
                longer = Some(Longer::Dynamic {
                    original: asked
                        .positions(parameters.max_position_embeddings, "max_position_embeddings")?,
                    factor: asked.number(parameters.factor, "factor")?,
                    theta,
                    rotated: rotated.with_growing_base()?,
                });
                rotated.frequencies(theta)
            }
            "llama3" => {
                let scaling = Llama3 {
                    factor: asked.number(parameters.factor, "factor")?,
                    low: asked.number(parameters.low_freq_factor, "low_freq_factor")?,
                    high: asked.number(parameters.high_freq_factor, "high_freq_factor")?,
                    original: asked.original()?,
                };
                rotated.frequencies(theta).into_iter().map(|it| scaling.scale(it)).collect()
            }
            "yarn" => {
                let scaling = Yarn { factor: asked.stretch()?, original: asked.original()? };
                factor = scaling.attention_factor(parameters);
                scaling.frequencies(parameters, theta, rotated)
            }
            "longrope" => {
                let (stretch, original) = (asked.stretch()?, asked.original()?);
                let divided = |divisors: &Option<Vec<f64>>, field: &str| {
                    let divisors = asked.divisors(divisors.as_ref(), field, rotated)?;
                    let frequencies = rotated.frequencies(theta).into_iter();
                    Ok(frequencies.zip(divisors).map(|(it, divisor)| it / divisor).collect())
                };
                let ratio = if stretch <= 1.0 { 0.0 } else { stretch.ln() / original.ln() };
                factor = parameters.attention_factor.unwrap_or_else(|| (1.0 + ratio).sqrt());
                let long: Vec<f64> = divided(&parameters.long_factor, "long_factor")?;
                longer = Some(Longer::Set {
                    original: original as usize,
                    inverse_frequencies: narrowed(&long),
                });
                divided(&parameters.short_factor, "short_factor")?
            }
            other => {
                return Err(Error::Unsupported(format!(
                    "rope_type '{other}' is not supported; this version has default, linear, dynamic, llama3, yarn and longrope"
                )));
            }
        };
        let inverse_frequencies = narrowed(&frequencies);
        let rope = Self { inverse_frequencies, factor: factor as f32, longer };
        match rope.is_finite() {
            true => Ok(rope),
            false => Err(Error::Invalid(format!(
                "rope_theta {theta} and rope_type '{kind}' with its factors give frequencies that are not finite numbers"
            ))),
        }
    }

    /// The inverse frequencies in a pass after which the sequence has `length` tokens, `[rotated / 2]`. All of a prompt is
    /// rotated with those of its whole length, in however many passes it is run.
    pub fn frequencies_at(&self, length: usize) -> Cow<'_, [f32]> {
        match &self.longer {
            Some(Longer::Set { original, inverse_frequencies }) if length > *original => {
                Cow::Borrowed(inverse_frequencies)
            }
            Some(Longer::Dynamic { original, factor, theta, rotated }) if length > *original => {
                let grown = factor * length as f64 / *original as f64 - (factor - 1.0);
                Cow::Owned(narrowed(&rotated.frequencies(theta * grown.powf(rotated.exponent()))))
            }
            _ => Cow::Borrowed(&self.inverse_frequencies),
        }
    }

    /// Whether they depend on the sequence's length.
    pub fn depends_on_length(&self) -> bool {
        self.longer.is_some()
    }

    /// Which frequencies the keys of a sequence of that length have.
    pub fn range(&self, length: usize) -> RopeRange {
        match &self.longer {
            Some(Longer::Set { original, .. }) if length > *original => RopeRange::Longer,
            Some(Longer::Dynamic { original, .. }) if length > *original => {
                RopeRange::OwnAtEachLength
            }
            _ => RopeRange::Original,
        }
    }

    /// The longest sequence of a model whose config says `context`: a growing base is there to go beyond it.
    pub fn context(&self, context: usize) -> usize {
        match self.longer {
            Some(Longer::Dynamic { factor, .. }) => (context as f64 * factor.max(1.0)) as usize,
            _ => context,
        }
    }

    /// Refuses a sequence that would have keys of both sets in its cache: a prompt within the original context with so much
    /// to generate that it goes beyond. `rows` are all that are run of it.
    pub fn check(&self, prompt: usize, rows: usize) -> std::result::Result<(), String> {
        match self.longer {
            Some(Longer::Set { original, .. }) if prompt <= original && rows > original => {
                Err(format!(
                    "it would grow beyond {original} tokens, from which on rope_type 'longrope' rotates by other factors, with the keys of the first ones in its cache: generate at most {} tokens",
                    original + 1 - prompt
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether it can be computed with.
    pub fn is_finite(&self) -> bool {
        let more = match &self.longer {
            Some(Longer::Set { inverse_frequencies, .. }) => &inverse_frequencies[..],
            _ => &[],
        };
        let mut numbers = self.inverse_frequencies.iter().chain(more);
        self.factor.is_finite() && numbers.all(|number| number.is_finite())
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

/// What a config asks for, with its type for messages.
struct Asked<'a> {
    parameters: &'a RopeParameters,
    kind: &'a str,
}

impl Asked<'_> {
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

    /// By how much the context is stretched: `factor`, or what the two contexts imply.
    fn stretch(&self) -> Result<f64> {
        match self.parameters.factor {
            Some(factor) => Ok(factor),
            None => {
                let reached = self.parameters.max_position_embeddings;
                Ok(self.number(reached, "factor")? / self.original()?)
            }
        }
    }

    fn divisors<'a>(
        &self,
        value: Option<&'a Vec<f64>>,
        field: &str,
        rotated: Rotated,
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

fn narrowed(frequencies: &[f64]) -> Vec<f32> {
    frequencies.iter().map(|&frequency| frequency as f32).collect()
}

#[cfg(test)]
mod tests;
