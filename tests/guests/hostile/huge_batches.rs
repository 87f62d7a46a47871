//! Opens batches that no machine can hold. Each must be refused.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-batches", "0.1.0", "Opens batches that no machine can hold.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let mut accepted = Vec::new();
    for (sequences, tokens) in [
        (u32::MAX, None),
        (u32::MAX, Some(2)),
        (u32::MAX, Some(u32::MAX)),
        (1 << 31, Some(8192)),
        (1 << 28, Some(1)),
        (1, Some(u32::MAX)),
        (0, None),
    ] {
        let options = BatchOptions { max_tokens: tokens, ..BatchOptions::new(sequences) };
        if model.open_batch(options).is_ok() {
            accepted.push(format!("{sequences} sequences of {tokens:?} tokens"));
        }
    }
    match accepted.is_empty() {
        true => Ok(()),
        false => Err(Error::from(format!("accepted: {}", accepted.join(", ")))),
    }
}
