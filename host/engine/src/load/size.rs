//! How much memory a model's weights take, from its shape alone, before any of them is loaded or made.

use super::Weights;
use crate::{Result, Split, memory, parallel::split::part};
use llem_checkpoint::families::Shape;

/// Refuses weights that this machine's memory cannot hold. `ranks` of the split keep theirs in it; `name` is for
/// messages.
///
/// # Errors
/// [`crate::Error::OutOfMemory`]
pub fn check(
    weights: &Weights,
    shape: &Shape,
    split: &Split,
    ranks: impl Iterator<Item = usize>,
    name: &str,
) -> Result<()> {
    let whole: u128 = (0..split.ranks_of_replica()).map(|rank| numbers(shape, split, rank)).sum();
    let here: u128 = ranks.map(|rank| numbers(shape, split, rank % split.ranks_of_replica())).sum();
    let size = weights.dtype().size() as u128;
    // What the shape implies, or as much as the files have: quantised weights stay so.
    let bytes = match weights.bytes_of_files() {
        Some(files) if (files as u128) < whole * size => files as u128 * here / whole.max(1),
        _ => here * size,
    };
    memory::check(
        usize::try_from(bytes).unwrap_or(usize::MAX),
        || format!("the weights of {name} in {} ({split})", weights.dtype()),
        "use a format of fewer bits (--dtype bf16), fewer replicas or a smaller model",
    )
}

/// Numbers of the matrices that a rank of a replica has; its vectors are less than a thousandth of them.
fn numbers(shape: &Shape, split: &Split, rank: usize) -> u128 {
    let (stage, index) = (rank / split.tensor, rank % split.tensor);
    let own = |total: usize| part(total, index, split.tensor).len() as u128;
    let (is_first, is_last) = (stage == 0, stage + 1 == split.pipeline);
    let [hidden, dim] = [shape.hidden, shape.head_dim].map(|width| width as u128);
    let table = own(shape.vocab) * hidden;
    let mut sum = 0;
    if is_first || (is_last && shape.tied_head) {
        sum += table;
    }
    if is_last && !shape.tied_head {
        sum += table;
    }
    if is_first && shape.names.positions.is_some() {
        sum += shape.context as u128 * hidden;
    }
    // A key head that several ranks need is with each of them.
    let keys = own(shape.kv_heads).max(1);
    let attention = 2 * (own(shape.heads) + keys) * dim * hidden;
    for kind in &shape.layer_kinds[split.layers_of(stage, shape.layers)] {
        let mlp = match shape.experts.filter(|_| kind.experts) {
            Some(experts) => {
                let (count, width) = (experts.count, experts.intermediate);
                let cut = match split.experts {
                    true => own(count) * width as u128,
                    false => count as u128 * own(width),
                };
                (3 * cut + count as u128) * hidden
            }
            None => (2 + u128::from(shape.is_gated())) * own(shape.intermediate) * hidden,
        };
        sum += attention + mlp;
    }
    sum
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::{LoadOptions, Model, ModelSource};
    use llem_checkpoint::presets::Preset;
    use std::{fs, path::Path};

    #[test]
    fn what_a_shape_is_said_to_take_is_what_loading_it_takes() {
        let fixtures =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/families"));
        let mut checked = 0;
        for folder in fs::read_dir(fixtures).unwrap().flatten() {
            let preset = Preset::ConfigFile(folder.path().join("config.json"));
            let (_, shape) = preset.config().unwrap();
            for split in [(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 1, 2)] {
                let split = Split::of(split.0, split.1, split.2);
                if split.check(&shape, 1).is_err() {
                    continue;
                }
                let mut options = LoadOptions::new(ModelSource::Synthetic(preset.clone()));
                options.split = split;
                let model = Model::load(&options).unwrap();
                let ranks = split.ranks_of_replica();
                let size = model.info().dtype.size() as u128;
                let said: u128 = (0..split.ranks())
                    .map(|rank| size * numbers(&shape, &split, rank % ranks))
                    .sum();
                // These models are so small that vectors show.
                let ratio = model.info().weight_bytes as f64 / said as f64;
                assert!(
                    (0.999..1.12).contains(&ratio),
                    "{}, {split}: {ratio}",
                    folder.path().display()
                );
                checked += 1;
            }
        }
        assert!(checked > 20, "{checked}");
    }
}
