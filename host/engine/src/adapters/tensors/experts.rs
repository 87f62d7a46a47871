//! Factors that PEFT keeps for all experts of a layer together, as transformers 5 keeps their weights.

use super::{AdapterTensors, Factors, Origin, Part, layer_of};
use crate::Result;
use llem_checkpoint::{adapters::ExpertPart, safetensors_files::Raw};

impl AdapterTensors {
    /// An expert's part of the factors that PEFT keeps for all experts together (`ParamWrapper` in
    /// `peft/tuners/lora/layer.py`): A is `[experts · rank, inputs]`, expert by expert, and B is
    /// `[outputs, rank · experts]`, rank by rank.
    pub(super) fn of_all_experts(
        &mut self,
        module: &str,
        part: ExpertPart,
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
        let Origin::File { file, left, shared } = &mut self.origin else { return Ok(None) };
        // Which of the two tensors is wrapped by the other depends on their order; shapes tell.
        let places = [format!("{experts}.base_layer"), experts];
        let dims = |place: &String, part: Part| {
            let name = left.get(place, part).map(|name| &name.name);
            file.shape(name.or_else(|| shared.get(&(place.clone(), part)))?)
        };
        let place = places.iter().find(|place| {
            dims(place, Part::Down) == Some(&[all, inputs])
                && dims(place, Part::Up) == Some(&[part.outputs, all])
        });
        let Some(place) = place else {
            return Err(self.bad(&format!(
                "no factors of {parameter} of the shapes [{all}, {inputs}] and [{}, {all}], though target_parameters names it",
                part.outputs
            )));
        };
        let mut read = |kind: Part, dims: [usize; 2]| -> Result<Raw> {
            let key = (place.clone(), kind);
            let name = left.take(place, kind).map(|name| name.name);
            let name = name.or_else(|| shared.get(&key).cloned()).unwrap_or_default();
            let raw = file.find(&name, &dims, "its config and the base model imply");
            shared.insert(key, name);
            Ok(raw?)
        };
        let down_of_all = read(Part::Down, [all, inputs])?;
        let up_of_all = read(Part::Up, [part.outputs, all])?;
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
