//! How much memory a model's weights need, computed from its shape before any weight is loaded.

use super::Weights;
use crate::{Result, Split, memory, parallel::split::part_range};
use llem_checkpoint::Shape;

/// Refuses weights that do not fit into this machine's memory. `ranks` are the ranks whose weights are in it, and
/// `name` is the model's name for messages.
///
/// # Errors
/// [`crate::Error::OutOfMemory`] if the weights do not fit.
pub(crate) fn check(
    weights: &Weights,
    shape: &Shape,
    split: &Split,
    ranks: impl Iterator<Item = usize>,
    name: &str,
) -> Result<()> {
    let whole: u128 = (0..split.ranks_of_replica()).map(|rank| numbers(shape, split, rank)).sum();
    let here: u128 = ranks.map(|rank| numbers(shape, split, rank % split.ranks_of_replica())).sum();
    let size = weights.dtype().size() as u128;
    // Quantised weights stay quantised, so the size of the files counts if it is smaller than what the shape implies.
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

/// Returns the number of matrix elements that a rank of a replica has. Its vectors have less than a thousandth of
/// that.
fn numbers(shape: &Shape, split: &Split, rank: usize) -> u128 {
    let (stage, index) = (rank / split.tensor, rank % split.tensor);
    let own = |total: usize| part_range(total, index, split.tensor).len() as u128;
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
    // If several ranks need the same key head, each of them has a copy.
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
    use llem_checkpoint::Preset;
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
                let split = Split::new(split.0, split.1, split.2);
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
                // These models are so small that their vectors make a visible difference.
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
