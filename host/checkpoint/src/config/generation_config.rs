//! The fields of `generation_config.json` that are read: the tokens that end a sequence.

use serde::{Deserialize, Serialize};

/// One token id, or a list of them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged, expecting = "a token id, or a list of them")]
pub enum TokenIds {
    /// `"eos_token_id": 2`
    One(u32),
    /// `"eos_token_id": [128001, 128009]`
    Many(Vec<u32>),
}

impl TokenIds {
    /// Returns the ids as a list.
    pub fn to_vec(&self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![*id],
            Self::Many(ids) => ids.clone(),
        }
    }
}

/// The part of `generation_config.json` that is read. Its sampling settings are ignored, because the experiment's
/// script chooses how a measurement samples.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct GenerationConfig {
    /// The tokens that end a sequence. They win over the tokens in `config.json`.
    pub eos_token_id: Option<TokenIds>,
}
