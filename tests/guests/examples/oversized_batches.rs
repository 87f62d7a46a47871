//! Opens batches that do not fit into memory, which are refused, and then one that fits.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("oversized-batches", "0.1.0", "Asks for more KV memory than there is.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    for (sequences, tokens) in
        [(u32::MAX, 2), (u32::MAX, 8192), (1 << 31, 8192), (100_000_000, 2), (1 << 30, 64)]
    {
        match model.open_batch(BatchOptions::new(sequences).max_tokens(tokens)) {
            Err(error) if error.code == ErrorCode::LimitReached => {
                if !error.message.contains(&format!("KV cache of {sequences} sequences")) {
                    return Err(error);
                }
            }
            Err(other) => return Err(Error::from(format!("{sequences} x {tokens}: {other:?}"))),
            Ok(_) => return Err(Error::from(format!("{sequences} x {tokens} were reserved"))),
        }
    }
    model.open_batch(BatchOptions::new(1).max_tokens(64))?;
    Ok(())
}
