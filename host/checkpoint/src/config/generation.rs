//! What ends a sequence.

use serde::{Deserialize, Serialize};

/// One id or several.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged, expecting = "a token id, or a list of them")]
pub enum TokenIds {
    /// `"eos_token_id": 2`
    One(u32),
    /// `"eos_token_id": [128001, 128009]`
    Many(Vec<u32>),
}

impl TokenIds {
    /// All of them.
    pub fn to_vec(&self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![*id],
            Self::Many(ids) => ids.clone(),
        }
    }
}

/// `generation_config.json`. Only what ends a sequence is taken from it: a measurement's sampling
/// is the script's to choose, never a file's.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct GenerationConfig {
    /// Tokens that end a sequence; goes before the config's.
    pub eos_token_id: Option<TokenIds>,
}
