//! Factors that PEFT stores for all experts of a layer in one tensor, as transformers 5 stores their weights.

use super::{AdapterTensors, Factors, TensorKind, TensorOrigin, layer_of};
use crate::Result;
use llem_checkpoint::{ExpertSlice, TensorData};

impl AdapterTensors {
    /// Reads one expert's part of the factors that PEFT stores for all experts together (`ParamWrapper` in
    /// `peft/tuners/lora/layer.py`). Returns `None` if the adapter does not target the experts.
    ///
    /// # Shapes
    /// - A of all experts: `[experts · rank, inputs]`, expert by expert
    /// - B of all experts: `[outputs, rank · experts]`, rank by rank
    /// - returns: A `[rank, inputs]` and B `[outputs, rank]` of this expert
    pub(super) fn expert_factors(
        &mut self,
        module: &str,
        part: ExpertSlice,
        outputs: usize,
        inputs: usize,
    ) -> Result<Option<Factors>> {
        let Some(layer) = layer_of(module) else { return Ok(None) };
        let experts = format!("{layer}.mlp.experts");
        let parameter = format!("{experts}.{}", part.parameter);
        if !self.config.targets_parameter(&parameter) {
            return Ok(None);
        }
        let (rank, scale) = (self.config.rank(&parameter), self.config.scale(&parameter) as f32);
        let all = part.count * rank;
        let TensorOrigin::File { file, left, shared } = &mut self.origin else { return Ok(None) };
        // Which of the two modules wraps the other depends on their order, so the right one is found by its shapes.
        let places = [format!("{experts}.base_layer"), experts];
        let dims = |place: &String, part: TensorKind| {
            let name = left.get(place, part).map(|name| &name.name);
            file.shape(name.or_else(|| shared.get(&(place.clone(), part)))?)
        };
        let place = places.iter().find(|place| {
            dims(place, TensorKind::Down) == Some(&[all, inputs])
                && dims(place, TensorKind::Up) == Some(&[part.outputs, all])
        });
        let Some(place) = place else {
            return Err(self.file_error(&format!(
                "no factors of {parameter} of the shapes [{all}, {inputs}] and [{}, {all}], though target_parameters names it",
                part.outputs
            )));
        };
        let mut read = |kind: TensorKind, dims: [usize; 2]| -> Result<TensorData> {
            let key = (place.clone(), kind);
            let name = left.take(place, kind).map(|name| name.name);
            let name = name.or_else(|| shared.get(&key).cloned()).unwrap_or_default();
            let raw = file.find(&name, &dims, "its config and the base model imply");
            shared.insert(key, name);
            Ok(raw?)
        };
        let down_of_all = read(TensorKind::Down, [all, inputs])?;
        let up_of_all = read(TensorKind::Up, [part.outputs, all])?;
        let mut down = vec![0f32; rank * inputs];
        down_of_all.read(part.index * rank * inputs, 1, &mut down);
        let mut up = vec![0f32; outputs * rank];
        for (row, up) in up.chunks_exact_mut(rank).enumerate() {
            up_of_all.read((part.start + row) * all + part.index, part.count, up);
            up.iter_mut().for_each(|number| *number *= scale);
        }
        Ok(Some(Factors { rank, down, up, bias: None, magnitude: None }))
    }
}
