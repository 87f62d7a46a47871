//! Adapters made in memory with seeded random factors, of any rank and on any modules. They serve to measure what an
//! adapter costs without downloading one.

use crate::{
    Error, Result,
    load::synthetic_weights::{fill, key},
};
use llem_checkpoint::{AdapterConfig, check_alpha, check_rank};
use std::{fmt, str::FromStr};

/// A synthetic adapter, written as `rank=8,targets=q_proj+v_proj,alpha=16,seed=3`. Only the rank is required.
#[derive(Clone, Debug, PartialEq)]
pub struct SyntheticAdapter {
    pub rank: usize,
    /// Ends of the target modules' names. `None` means all linear layers except the head.
    pub targets: Option<Vec<String>>,
    /// LoRA's alpha. `None` means the rank, so that the factors are not scaled.
    pub alpha: Option<f64>,
    /// Seed of the factors. `None` means the seed that the caller gives.
    pub seed: Option<u64>,
}

impl SyntheticAdapter {
    /// Returns the config of this adapter.
    pub fn config(&self) -> AdapterConfig {
        let alpha = self.alpha.unwrap_or(self.rank as f64);
        AdapterConfig::new(self.rank, alpha, self.targets.clone())
    }
}

impl FromStr for SyntheticAdapter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |reason: String| Error::Invalid(format!("adapter synthetic:{text}: {reason}"));
        let mut adapter = Self { rank: 0, targets: None, alpha: None, seed: None };
        for part in text.split(',') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let number = || bad(format!("{key} needs a number, not '{value}'"));
            match key {
                "rank" => adapter.rank = value.parse().map_err(|_| number())?,
                "alpha" => adapter.alpha = Some(value.parse().map_err(|_| number())?),
                "seed" => adapter.seed = Some(value.parse().map_err(|_| number())?),
                "targets" if value == "all-linear" => adapter.targets = None,
                "targets" => {
                    adapter.targets = Some(value.split('+').map(ToOwned::to_owned).collect());
                }
                _ => {
                    return Err(bad(format!(
                        "'{key}' is none of rank, targets, alpha and seed (rank=8,targets=q_proj+v_proj)"
                    )));
                }
            }
        }
        if adapter.rank == 0 {
            return Err(bad("rank must be given (synthetic:rank=8)".to_owned()));
        }
        check_rank(adapter.rank).map_err(|reason| bad(format!("rank {reason}")))?;
        let alpha = adapter.alpha.unwrap_or_default();
        check_alpha(alpha).map_err(|reason| bad(format!("alpha {reason}")))?;
        Ok(adapter)
    }
}

impl fmt::Display for SyntheticAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank={}", self.rank)?;
        match &self.targets {
            Some(targets) => write!(f, ",targets={}", targets.join("+"))?,
            None => write!(f, ",targets=all-linear")?,
        }
        if let Some(alpha) = self.alpha {
            write!(f, ",alpha={alpha}")?;
        }
        self.seed.map_or(Ok(()), |seed| write!(f, ",seed={seed}"))
    }
}

/// Makes A `[rank, inputs]`, and B times the scale, `[outputs, rank]`. The numbers have the same spread as synthetic
/// weights. B is not zero, as it would be before training, so that the adapter changes what is generated.
pub(crate) fn factors(
    seed: u64,
    module: &str,
    rank: usize,
    outputs: usize,
    inputs: usize,
    scale: f32,
) -> (Vec<f32>, Vec<f32>) {
    let (mut down, mut up) = (vec![0f32; rank * inputs], vec![0f32; outputs * rank]);
    fill(key(seed, &format!("{module}.lora_A.weight")), 0, &mut down);
    fill(key(seed, &format!("{module}.lora_B.weight")), 0, &mut up);
    up.iter_mut().for_each(|number| *number *= scale);
    (down, up)
}
