//! Decodes a million tokens to text, again and again without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-tokens", "0.1.0", "Turns a million tokens into text.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let tokens: Vec<u32> = (0..1_000_000).map(|token| token % 200).collect();
    loop {
        model.detokenize(&tokens)?;
    }
}
