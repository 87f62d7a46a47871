//! Splits tensors that contain the weights of all experts of a layer. transformers 5 has such tensors in memory, and
//! sharded saves (FSDP, DeepSpeed) write them:
//!
//! ```text
//! mlp.experts.gate_up_proj   [experts, 2 · intermediate, hidden]   rows of the gate, then rows of the up projection
//! mlp.experts.down_proj      [experts, hidden, intermediate]
//! ```

use super::{SafetensorsFiles, TensorLocation};
use crate::families::{ExpertShape, Shape};

impl SafetensorsFiles {
    /// Gives each expert's part of a stacked tensor a location of its own, and renames the router to the family's name.
    pub(super) fn split_stacked_experts(&mut self, shape: &Shape) {
        let Some(ExpertShape { count, intermediate, .. }) = shape.mixture() else { return };
        let (names, modules) = (shape.names, shape.modules);
        let [gate, up, down] = names.expert;
        for layer in 0..shape.layers {
            let layer = format!("{}.{}.{layer}", names.base, names.layers);
            let stacked = format!("{layer}.{}", modules.experts);
            let own = format!("{layer}.{}", names.experts);
            let matrix = shape.hidden * intermediate;
            for (ending, rows, parts) in [
                ("gate_up_proj", [2 * intermediate, shape.hidden], &[gate, up][..]),
                ("down_proj", [shape.hidden, intermediate], &[down][..]),
            ] {
                let Some(whole) = self.locations.remove(&format!("{stacked}.{ending}")) else {
                    continue;
                };
                let dims = vec![count, rows[0], rows[1]];
                for index in 0..count * parts.len() {
                    let (expert, part) = (index / parts.len(), parts[index % parts.len()]);
                    let numbers = index * matrix..(index + 1) * matrix;
                    let place =
                        TensorLocation { part: Some((dims.clone(), numbers)), ..whole.clone() };
                    self.locations.insert(format!("{own}.{expert}.{part}.weight"), place);
                }
            }
            let routers =
                [modules.router, names.router].map(|name| format!("{layer}.{name}.weight"));
            if routers[0] != routers[1]
                && let Some(router) = self.locations.remove(&routers[0])
            {
                self.locations.insert(routers[1].clone(), router);
            }
        }
    }
}
