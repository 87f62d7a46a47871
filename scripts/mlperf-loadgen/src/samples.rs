//! The sample library: the prompts of the granted dataset, or random ones, as tokens.

use llem_sdk::{inputs::texts_if_granted, prelude::*};

/// What is asked of random prompts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RandomPrompts {
    /// The number of prompts.
    pub(crate) count: u32,
    /// The length of each, in tokens.
    pub(crate) length: u32,
}

/// Returns the prompts of the dataset `samples`, encoded with the tokens that the tokenizer adds, or random ones if there is
/// no dataset.
pub(crate) fn read(model: &Model, random: RandomPrompts) -> Result<Vec<Vec<u32>>> {
    let Some(texts) = texts_if_granted("samples", "prompt-column")? else {
        let (stream, vocabulary) = (Random::new("samples"), model.info().vocab_size);
        return (0..random.count).map(|_| stream.tokens(random.length, vocabulary)).collect();
    };
    let tokenizer = model.tokenizer()?;
    texts.map(|text| tokenizer.encode(&text?, true)).collect()
}
