//! An adapter's tensors, found by the module that they change and checked against its shape.

mod experts;
mod leftovers;
mod whole;

pub use leftovers::Leftovers;
pub use whole::{BaseRows, Tie, Tokens, Whole, WholeModule, is_same};

use super::synthetic;
use crate::{Error, Result, memory};
use llem_checkpoint::{
    adapters::{AdapterConfig, PREFIX, Part, Role, TensorNames},
    safetensors_files::TensorFile,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// An adapter while it is being attached.
pub struct AdapterTensors {
    /// What it is.
    pub config: AdapterConfig,
    /// Where it is, for messages.
    place: PathBuf,
    origin: Origin,
    /// Modules that were asked for, and so exist.
    asked: BTreeSet<String>,
    /// A tensor that was named for a module of another name, which is the same within another model.
    renamed: Option<String>,
}

enum Origin {
    File {
        file: Box<TensorFile>,
        /// Tensors that nothing has taken yet.
        left: TensorNames,
        /// Tensors of which several modules take their parts, once the first has.
        shared: BTreeMap<(String, Part), String>,
    },
    Synthetic {
        seed: u64,
    },
}

/// The change `scale · B A` of one weight `[outputs, inputs]`, and what goes with it.
pub struct Factors {
    /// Rows of A.
    pub rank: usize,
    /// A, `[rank, inputs]`.
    pub down: Vec<f32>,
    /// B times the scale, `[outputs, rank]`.
    pub up: Vec<f32>,
    /// Added to the outputs, scaled too.
    pub bias: Option<Vec<f32>>,
    /// DoRA's magnitudes of the outputs.
    pub magnitude: Option<Vec<f32>>,
}

/// A module with a weight, `[outputs, inputs]`.
#[derive(Clone, Copy)]
struct Weighted<'a> {
    name: &'a str,
    role: Role,
    outputs: usize,
    inputs: usize,
}

impl Weighted<'_> {
    /// Which of its sides is the vocabulary, if one is.
    fn vocabulary(&self) -> Option<usize> {
        match self.role {
            Role::Embedding => Some(self.inputs),
            Role::Head => Some(self.outputs),
            Role::Projection | Role::Expert(_) | Role::Router => None,
        }
    }
}

impl AdapterTensors {
    /// The tensors of an adapter's file.
    pub fn of_file(config: AdapterConfig, file: TensorFile) -> Result<Self> {
        let left = TensorNames::new(file.names(), &file.path)?;
        let place = file.path.clone();
        if config.names_tokens() && left.example(Part::Tokens).is_none() {
            return Err(Error::file(
                place,
                "a tensor token_adapter.trainable_tokens_delta is missing, though trainable_token_indices names tokens",
            ));
        }
        Ok(Self {
            config,
            place,
            origin: Origin::File { file: Box::new(file), left, shared: BTreeMap::new() },
            asked: BTreeSet::new(),
            renamed: None,
        })
    }

    /// Factors made from a seed.
    pub fn synthetic(config: AdapterConfig, place: PathBuf, seed: u64) -> Self {
        let origin = Origin::Synthetic { seed };
        Self { config, place, origin, asked: BTreeSet::new(), renamed: None }
    }

    /// The factors that change a module's weight `[outputs, inputs]`, if any do. An embedding is the
    /// weight `[hidden, vocabulary]` of tokens as unit vectors.
    pub fn factors(
        &mut self,
        module: &str,
        role: Role,
        outputs: usize,
        inputs: usize,
    ) -> Result<Option<Factors>> {
        self.asked.insert(module.to_owned());
        if let Origin::Synthetic { seed } = self.origin {
            if !self.config.targets(module, role) {
                return Ok(None);
            }
            let (rank, scale) = (self.config.rank(module), self.config.scale(module) as f32);
            // Once as they are made, and once more as they are kept.
            let bytes = 2 * rank * (outputs + inputs) * size_of::<f32>();
            memory::check(bytes, || format!("rank {rank} of {module}"), "ask for a lower rank")?;
            let (down, up) = synthetic::factors(seed, module, rank, outputs, inputs, scale);
            return Ok(Some(Factors { rank, down, up, bias: None, magnitude: None }));
        }
        if let (Role::Expert(part), None) = (role, self.name(module, Part::Down)) {
            return self.of_all_experts(module, part, outputs, inputs);
        }
        let (module, targeted) = self.whereabouts(module, role);
        let module = module.as_str();
        let named = self.own_name(module);
        let (rank, scale) = (self.config.rank(&named), self.config.scale(&named) as f32);
        if !targeted && !self.config.targets(&named, role) {
            return match self.name(module, Part::Down).or(self.name(module, Part::Up)) {
                Some(name) => Err(self.bad(&format!(
                    "tensor {name} is there, but adapter_config.json does not target its module: {}",
                    self.config.remedy_of_targets()
                ))),
                None => Ok(None),
            };
        }
        if self.name(module, Part::Down).is_none() && role == Role::Router {
            // A name such as `gate` means the router only where PEFT's model has a module of it.
            return Ok(None);
        }
        let site = Weighted { name: module, role, outputs, inputs };
        let down = self.required(site, Part::Down, &[rank, inputs])?;
        let mut up = self.required(site, Part::Up, &[outputs, rank])?;
        let mut bias = match (self.config.factor_biases, self.name(module, Part::UpBias)) {
            (true, _) => Some(self.required(site, Part::UpBias, &[outputs])?),
            (false, None) => None,
            (false, Some(name)) => {
                return Err(self.bad(&format!(
                    "tensor {name} is there, but lora_bias is not set, so that PEFT leaves it out: mend adapter_config.json"
                )));
            }
        };
        up.iter_mut().chain(bias.iter_mut().flatten()).for_each(|number| *number *= scale);
        let magnitude = match self.config.dora {
            true => Some(self.required(site, Part::Magnitude, &[outputs])?),
            false => None,
        };
        if magnitude.is_some() && bias.is_some() {
            return Err(self.bad(&format!(
                "{module} has both a DoRA magnitude and lora_B.bias, which this version does not combine"
            )));
        }
        Ok(Some(Factors { rank, down, up, bias, magnitude }))
    }

    /// Under which name a module's factors are kept, and whether the config asks for them. What the
    /// checkpoint of Mixtral calls `block_sparse_moe.gate` is `mlp.gate` in transformers 5.
    fn whereabouts(&self, module: &str, role: Role) -> (String, bool) {
        if role == Role::Router
            && let Some(layer) = layer_of(module)
        {
            let router = format!("{layer}.mlp.gate");
            if self.config.targets_parameter(&format!("{router}.weight")) {
                return (router, true);
            }
        }
        (module.to_owned(), self.config.targets(module, role))
    }

    /// A refusal that names the adapter.
    pub fn bad(&self, reason: &str) -> Error {
        Error::file(&self.place, reason)
    }

    /// What the adapter's file calls a module, if it holds factors for it: the config speaks of the same name.
    fn own_name(&self, module: &str) -> String {
        let name = match &self.origin {
            Origin::File { left, .. } => left.get(module, Part::Down),
            Origin::Synthetic { .. } => None,
        };
        name.map_or_else(|| module.to_owned(), |name| name.module.clone())
    }

    /// The name in the file of a tensor that nothing has taken.
    fn name(&self, module: &str, part: Part) -> Option<&str> {
        match &self.origin {
            Origin::File { left, .. } => left.get(module, part).map(|name| &*name.name),
            Origin::Synthetic { .. } => None,
        }
    }

    /// Takes that name.
    fn take_name(&mut self, module: &str, part: Part) -> Option<String> {
        let Origin::File { left, .. } = &mut self.origin else { return None };
        let found = left.take(module, part)?;
        if found.module != module {
            self.renamed.get_or_insert_with(|| {
                format!(
                    "PEFT finds no module {}: it and its like are taken for {module}",
                    found.module
                )
            });
        }
        Some(found.name)
    }

    fn required(&mut self, module: Weighted<'_>, part: Part, dims: &[usize]) -> Result<Vec<f32>> {
        self.take(module, part, dims)?.ok_or_else(|| {
            let ending = part.ending(module.role == Role::Embedding);
            let example = match &self.origin {
                Origin::File { left, .. } => left.example(part).or(left.iter().next()),
                Origin::Synthetic { .. } => None,
            };
            let example = example.map_or_else(
                || "no such tensor is left".to_owned(),
                |name| format!("one that is there is {}", name.name),
            );
            self.bad(&format!(
                "tensor {PREFIX}{}{ending} is missing, though adapter_config.json asks for it; {example}",
                module.name
            ))
        })
    }

    fn take(
        &mut self,
        module: Weighted<'_>,
        part: Part,
        dims: &[usize],
    ) -> Result<Option<Vec<f32>>> {
        let Some(name) = self.take_name(module.name, part) else { return Ok(None) };
        if let Some(vocabulary) = module.vocabulary() {
            self.check_vocabulary(&name, vocabulary, dims)?;
        }
        let Origin::File { file, .. } = &self.origin else { return Ok(None) };
        let raw = file.find(&name, dims, "its config and the base model imply")?;
        let numbers = raw.vector(dims.iter().product());
        self.check_finite(&name, &numbers)?;
        Ok(Some(numbers))
    }

    /// Refuses a tensor that has another number of tokens than the base model, and is else as it should be.
    fn check_vocabulary(&self, name: &str, vocabulary: usize, dims: &[usize]) -> Result<()> {
        let Origin::File { file, .. } = &self.origin else { return Ok(()) };
        let shape = file.shape(name).unwrap_or_default();
        let sides = shape.iter().zip(dims);
        let others: Vec<_> = sides.filter(|(found, wanted)| found != wanted).collect();
        match others[..] {
            [(found, wanted)] if *wanted == vocabulary && shape.len() == dims.len() => {
                Err(self.bad(&format!(
                    "tensor {name} is for {found} tokens, but the base model has {wanted}: the vocabulary was resized in training; resize the base model alike (resize_token_embeddings), or merge the adapter there with PEFT's merge_and_unload, and load the model that is saved then"
                )))
            }
            _ => Ok(()),
        }
    }

    fn check_finite(&self, name: &str, numbers: &[f32]) -> Result<()> {
        match numbers.iter().all(|number| number.is_finite()) {
            true => Ok(()),
            false => Err(self.bad(&format!(
                "tensor {name} holds NaN or infinity: the adapter is damaged, fetch it again"
            ))),
        }
    }
}

/// `model.layers.0` of `model.layers.0.mlp.experts.3.up_proj`.
fn layer_of(module: &str) -> Option<&str> {
    let start = module.find(".layers.")? + ".layers.".len();
    let end = start + module[start..].find('.')?;
    Some(&module[..end])
}
