//! Experts whose weights are stacked in one tensor, as transformers 5 has them in memory and as sharded saves (FSDP,
//! DeepSpeed) write them:
//!
//! ```text
//! mlp.experts.gate_up_proj   [experts, 2 · intermediate, hidden]   gates, then what they multiply
//! mlp.experts.down_proj      [experts, hidden, intermediate]
//! ```

use super::{Place, SafetensorsFiles};
use crate::families::{Experts, Shape};

impl SafetensorsFiles {
    /// Names each expert's part of such tensors as if it were a tensor by itself, and the router as the family does.
    pub(super) fn part_stacked_experts(&mut self, shape: &Shape) {
        let Some(Experts { count, intermediate, .. }) = shape.mixture() else { return };
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
                let Some(whole) = self.places.remove(&format!("{stacked}.{ending}")) else {
                    continue;
                };
                let dims = vec![count, rows[0], rows[1]];
                for index in 0..count * parts.len() {
                    let (expert, part) = (index / parts.len(), parts[index % parts.len()]);
                    let numbers = index * matrix..(index + 1) * matrix;
                    let place = Place { part: Some((dims.clone(), numbers)), ..whole.clone() };
                    self.places.insert(format!("{own}.{expert}.{part}.weight"), place);
                }
            }
            let routers =
                [modules.router, names.router].map(|name| format!("{layer}.{name}.weight"));
            if routers[0] != routers[1]
                && let Some(router) = self.places.remove(&routers[0])
            {
                self.places.insert(routers[1].clone(), router);
            }
        }
    }
}
