//! An adapter's tensors, found by the modules that they change and checked against the modules' shapes.

mod all_experts;
mod leftovers;
mod whole_weights;

pub(crate) use leftovers::Leftovers;
pub(crate) use whole_weights::{BaseRows, Tie, WholeModule, WholeWeight, is_same};

use super::synthetic_adapter;
use crate::{Error, Result, memory};
use llem_checkpoint::{
    AdapterConfig, ModuleKind, PEFT_PREFIX, TensorFile, TensorKind, TensorNames,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// The tensors of an adapter while it is being attached.
pub(crate) struct AdapterTensors {
    pub config: AdapterConfig,
    /// The file or source, for messages.
    place: PathBuf,
    origin: TensorOrigin,
    /// Modules that have asked for tensors, and therefore exist in the model.
    asked: BTreeSet<String>,
    /// A warning about a tensor that was found under another module name.
    renamed: Option<String>,
}

enum TensorOrigin {
    File {
        file: Box<TensorFile>,
        /// Tensors that no module has taken yet.
        left: TensorNames,
        /// Tensors that several modules take parts of. They are added when the first module takes its part.
        shared: BTreeMap<(String, TensorKind), String>,
    },
    Synthetic {
        seed: u64,
    },
}

/// The change `scale · B A` of one weight `[outputs, inputs]`, with its bias and magnitude.
pub(crate) struct Factors {
    /// The rank: the number of rows of A.
    pub rank: usize,
    /// A, `[rank, inputs]`.
    pub down: Vec<f32>,
    /// B times the scale, `[outputs, rank]`.
    pub up: Vec<f32>,
    /// A bias `[outputs]` of the factors, times the scale.
    pub bias: Option<Vec<f32>>,
    /// DoRA's magnitudes, `[outputs]`.
    pub magnitude: Option<Vec<f32>>,
}

/// A module with a weight `[outputs, inputs]`.
#[derive(Clone, Copy)]
struct WeightModule<'a> {
    name: &'a str,
    role: ModuleKind,
    outputs: usize,
    inputs: usize,
}

impl WeightModule<'_> {
    /// Returns the vocabulary size if one side of the weight is the vocabulary.
    fn vocabulary(&self) -> Option<usize> {
        match self.role {
            ModuleKind::Embedding => Some(self.inputs),
            ModuleKind::Head => Some(self.outputs),
            ModuleKind::Projection | ModuleKind::Expert(_) | ModuleKind::Router => None,
        }
    }
}

impl AdapterTensors {
    /// Creates the tensors of an adapter's file.
    ///
    /// # Errors
    /// A tensor is of an unknown kind, two tensors are the same, or the trained tokens that the config names are missing.
    pub(crate) fn from_file(config: AdapterConfig, file: TensorFile) -> Result<Self> {
        let left = TensorNames::new(file.names(), &file.path)?;
        let place = file.path.clone();
        if config.has_trained_tokens() && left.example(TensorKind::Tokens).is_none() {
            return Err(Error::file(
                place,
                "a tensor token_adapter.trainable_tokens_delta is missing, though trainable_token_indices names tokens",
            ));
        }
        Ok(Self {
            config,
            place,
            origin: TensorOrigin::File { file: Box::new(file), left, shared: BTreeMap::new() },
            asked: BTreeSet::new(),
            renamed: None,
        })
    }

    /// Creates the tensors of a synthetic adapter, whose factors are made from `seed`.
    pub(crate) fn synthetic(config: AdapterConfig, place: PathBuf, seed: u64) -> Self {
        let origin = TensorOrigin::Synthetic { seed };
        Self { config, place, origin, asked: BTreeSet::new(), renamed: None }
    }

    /// Returns the factors that change a module's weight `[outputs, inputs]`, or `None` if the adapter does not
    /// change it. The weight of an embedding counts as `[hidden, vocabulary]`.
    ///
    /// # Errors
    /// A tensor is missing, has another shape or contains NaN or infinity, or the config does not target it.
    pub(crate) fn factors(
        &mut self,
        module: &str,
        role: ModuleKind,
        outputs: usize,
        inputs: usize,
    ) -> Result<Option<Factors>> {
        self.asked.insert(module.to_owned());
        if let TensorOrigin::Synthetic { seed } = self.origin {
            if !self.config.targets(module, role) {
                return Ok(None);
            }
            let (rank, scale) = (self.config.rank(module), self.config.scale(module) as f32);
            // The factors are in memory twice: as they are made and as they are stored.
            let bytes = 2 * rank * (outputs + inputs) * size_of::<f32>();
            memory::check(bytes, || format!("rank {rank} of {module}"), "ask for a lower rank")?;
            let (down, up) = synthetic_adapter::factors(seed, module, rank, outputs, inputs, scale);
            return Ok(Some(Factors { rank, down, up, bias: None, magnitude: None }));
        }
        if let (ModuleKind::Expert(part), None) = (role, self.name(module, TensorKind::Down)) {
            return self.expert_factors(module, part, outputs, inputs);
        }
        let (module, targeted) = self.factors_module(module, role);
        let module = module.as_str();
        let named = self.name_in_file(module);
        let (rank, scale) = (self.config.rank(&named), self.config.scale(&named) as f32);
        if !targeted && !self.config.targets(&named, role) {
            return match self.name(module, TensorKind::Down).or(self.name(module, TensorKind::Up)) {
                Some(name) => Err(self.file_error(&format!(
                    "tensor {name} is there, but adapter_config.json does not target its module: {}",
                    self.config.targets_remedy()
                ))),
                None => Ok(None),
            };
        }
        if self.name(module, TensorKind::Down).is_none() && role == ModuleKind::Router {
            // The name `gate` means the router only if PEFT's model has a module of that name.
            return Ok(None);
        }
        let site = WeightModule { name: module, role, outputs, inputs };
        let down = self.take_required(site, TensorKind::Down, &[rank, inputs])?;
        let mut up = self.take_required(site, TensorKind::Up, &[outputs, rank])?;
        let mut bias = match (self.config.factor_biases, self.name(module, TensorKind::UpBias)) {
            (true, _) => Some(self.take_required(site, TensorKind::UpBias, &[outputs])?),
            (false, None) => None,
            (false, Some(name)) => {
                return Err(self.file_error(&format!(
                    "tensor {name} is there, but lora_bias is not set, so that PEFT leaves it out: mend adapter_config.json"
                )));
            }
        };
        up.iter_mut().chain(bias.iter_mut().flatten()).for_each(|number| *number *= scale);
        let magnitude = match self.config.dora {
            true => Some(self.take_required(site, TensorKind::Magnitude, &[outputs])?),
            false => None,
        };
        if magnitude.is_some() && bias.is_some() {
            return Err(self.file_error(&format!(
                "{module} has both a DoRA magnitude and lora_B.bias, which this version does not combine"
            )));
        }
        Ok(Some(Factors { rank, down, up, bias, magnitude }))
    }

    /// Returns the name under which a module's factors are stored, and whether the config targets them by their
    /// parameter. The checkpoint of Mixtral calls the router `block_sparse_moe.gate`, and transformers 5 calls it
    /// `mlp.gate`.
    fn factors_module(&self, module: &str, role: ModuleKind) -> (String, bool) {
        if role == ModuleKind::Router
            && let Some(layer) = layer_of(module)
        {
            let router = format!("{layer}.mlp.gate");
            if self.config.targets_parameter(&format!("{router}.weight")) {
                return (router, true);
            }
        }
        (module.to_owned(), self.config.targets(module, role))
    }

    /// Returns an error that names the adapter's file.
    pub(crate) fn file_error(&self, reason: &str) -> Error {
        Error::file(&self.place, reason)
    }

    /// Returns the file's name of a module if the file has factors for it. The config uses the same name.
    fn name_in_file(&self, module: &str) -> String {
        let name = match &self.origin {
            TensorOrigin::File { left, .. } => left.get(module, TensorKind::Down),
            TensorOrigin::Synthetic { .. } => None,
        };
        name.map_or_else(|| module.to_owned(), |name| name.module.clone())
    }

    /// Returns the name in the file of a tensor that no module has taken yet.
    fn name(&self, module: &str, part: TensorKind) -> Option<&str> {
        match &self.origin {
            TensorOrigin::File { left, .. } => left.get(module, part).map(|name| &*name.name),
            TensorOrigin::Synthetic { .. } => None,
        }
    }

    /// Takes a tensor and returns its name in the file.
    fn take_name(&mut self, module: &str, part: TensorKind) -> Option<String> {
        let TensorOrigin::File { left, .. } = &mut self.origin else { return None };
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

    fn take_required(
        &mut self,
        module: WeightModule<'_>,
        part: TensorKind,
        dims: &[usize],
    ) -> Result<Vec<f32>> {
        self.take(module, part, dims)?.ok_or_else(|| {
            let ending = part.ending(module.role == ModuleKind::Embedding);
            let example = match &self.origin {
                TensorOrigin::File { left, .. } => left.example(part).or(left.iter().next()),
                TensorOrigin::Synthetic { .. } => None,
            };
            let example = example.map_or_else(
                || "no such tensor is left".to_owned(),
                |name| format!("one that is there is {}", name.name),
            );
            self.file_error(&format!(
                "tensor {PEFT_PREFIX}{}{ending} is missing, though adapter_config.json asks for it; {example}",
                module.name
            ))
        })
    }

    fn take(
        &mut self,
        module: WeightModule<'_>,
        part: TensorKind,
        dims: &[usize],
    ) -> Result<Option<Vec<f32>>> {
        let Some(name) = self.take_name(module.name, part) else { return Ok(None) };
        if let Some(vocabulary) = module.vocabulary() {
            self.check_vocabulary(&name, vocabulary, dims)?;
        }
        let TensorOrigin::File { file, .. } = &self.origin else { return Ok(None) };
        let raw = file.find(&name, dims, "its config and the base model imply")?;
        let numbers = raw.vector(dims.iter().product());
        self.check_finite(&name, &numbers)?;
        Ok(Some(numbers))
    }

    /// Refuses a tensor whose shape differs from the base model's only by the number of tokens.
    fn check_vocabulary(&self, name: &str, vocabulary: usize, dims: &[usize]) -> Result<()> {
        let TensorOrigin::File { file, .. } = &self.origin else { return Ok(()) };
        let shape = file.shape(name).unwrap_or_default();
        let sides = shape.iter().zip(dims);
        let others: Vec<_> = sides.filter(|(found, wanted)| found != wanted).collect();
        match others[..] {
            [(found, wanted)] if *wanted == vocabulary && shape.len() == dims.len() => {
                Err(self.file_error(&format!(
                    "tensor {name} is for {found} tokens, but the base model has {wanted}: the vocabulary was resized in training; resize the base model alike (resize_token_embeddings), or merge the adapter there with PEFT's merge_and_unload, and load the model that is saved then"
                )))
            }
            _ => Ok(()),
        }
    }

    fn check_finite(&self, name: &str, numbers: &[f32]) -> Result<()> {
        match numbers.iter().all(|number| number.is_finite()) {
            true => Ok(()),
            false => Err(self.file_error(&format!(
                "tensor {name} holds NaN or infinity: the adapter is damaged, fetch it again"
            ))),
        }
    }
}

/// Returns the layer of a module, for example `model.layers.0` of `model.layers.0.mlp.experts.3.up_proj`.
fn layer_of(module: &str) -> Option<&str> {
    let start = module.find(".layers.")? + ".layers.".len();
    let end = start + module[start..].find('.')?;
    Some(&module[..end])
}
