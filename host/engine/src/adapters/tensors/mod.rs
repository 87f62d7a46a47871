//! An adapter's tensors, found by the module that they change and checked against its shape.

mod experts;

use super::synthetic;
use crate::{Error, Result, layers::features::Order, load::matrix::Matrix, memory};
use llem_checkpoint::{
    adapters::{AdapterConfig, Role},
    safetensors_files::TensorFile,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

/// The largest relative error of rounding to bf16, which has 8 bits of significand.
const BF16_ROUNDING: f32 = 1.0 / 256.0;

/// What PEFT puts before a module's name.
const PREFIX: &str = "base_model.model.";

/// An adapter while it is being attached.
pub struct AdapterTensors {
    /// What it is.
    pub config: AdapterConfig,
    /// Where it is, for messages.
    place: PathBuf,
    origin: Origin,
    /// Modules that were asked for, and so exist.
    asked: BTreeSet<String>,
}

/// What is left of an adapter once the parts of a model, or of a rank, have taken what is theirs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Leftovers {
    /// Modules that were asked for.
    pub asked: BTreeSet<String>,
    /// Tensors that nothing has taken, with their modules.
    pub left: BTreeMap<String, String>,
}

impl Leftovers {
    /// What is left where another rank has taken what is its.
    pub fn and(&mut self, other: Self) {
        self.asked.extend(other.asked);
        self.left.retain(|name, _| other.left.contains_key(name));
    }
}

enum Origin {
    File {
        file: TensorFile,
        /// Tensors that nothing has taken yet.
        left: BTreeMap<(String, Part), String>,
        /// Tensors of which several modules take their parts, once the first has.
        shared: BTreeMap<(String, Part), String>,
    },
    Synthetic {
        seed: u64,
    },
}

/// What a tensor is to its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// `[rank, inputs]`
    Down,
    /// `[outputs, rank]`
    Up,
    /// `[outputs]`, added with what `Up` gives.
    UpBias,
    /// DoRA's, `[outputs]`.
    Magnitude,
    /// A whole weight in place of the base model's.
    Weight,
    /// A whole bias in place of the base model's.
    Bias,
    /// The base model's own weight, which PEFT saves beside the factors of an embedding.
    Base,
}

/// How tensors' names end. The first that fits counts.
const ENDINGS: &[(&str, Part)] = &[
    (".lora_A.weight", Part::Down),
    (".lora_B.weight", Part::Up),
    (".lora_B.bias", Part::UpBias),
    (".lora_embedding_A", Part::Down),
    (".lora_embedding_B", Part::Up),
    (".lora_magnitude_vector", Part::Magnitude),
    (".lora_magnitude_vector.weight", Part::Magnitude),
    (".base_layer.weight", Part::Base),
    (".base_layer.bias", Part::Bias),
    (".modules_to_save.weight", Part::Weight),
    (".modules_to_save.bias", Part::Bias),
    (".weight", Part::Weight),
    (".bias", Part::Bias),
];

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

impl AdapterTensors {
    /// The tensors of an adapter's file.
    pub fn of_file(config: AdapterConfig, file: TensorFile) -> Result<Self> {
        let mut left = BTreeMap::new();
        for name in file.names() {
            let bad = |reason: &str| Error::file(&file.path, format!("tensor {name} {reason}"));
            let plain = name.strip_prefix(PREFIX).unwrap_or(&name);
            let (ending, part) = ENDINGS
                .iter()
                .find(|(ending, _)| plain.ends_with(ending))
                .ok_or_else(|| bad("is of a kind that this version does not support"))?;
            let module = plain[..plain.len() - ending.len()].to_owned();
            if left.insert((module, *part), name.clone()).is_some() {
                return Err(bad("is there twice, under two spellings of its name"));
            }
        }
        let place = file.path.clone();
        Ok(Self {
            config,
            place,
            origin: Origin::File { file, left, shared: BTreeMap::new() },
            asked: BTreeSet::new(),
        })
    }

    /// Factors made from a seed.
    pub fn synthetic(config: AdapterConfig, place: PathBuf, seed: u64) -> Self {
        Self { config, place, origin: Origin::Synthetic { seed }, asked: BTreeSet::new() }
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
        let (rank, scale) = (self.config.rank(module), self.config.scale(module) as f32);
        if !targeted {
            return match self.name(module, Part::Down).or(self.name(module, Part::Up)) {
                Some(name) => Err(self.bad(&format!(
                    "tensor {name} is there, but adapter_config.json does not target its module: mend target_modules"
                ))),
                None => Ok(None),
            };
        }
        if self.name(module, Part::Down).is_none() && role == Role::Router {
            // A name such as `gate` means the router only where PEFT's model has a module of it.
            return Ok(None);
        }
        let down = self.required(module, role, Part::Down, &[rank, inputs])?;
        let mut up = self.required(module, role, Part::Up, &[outputs, rank])?;
        let mut bias = self.take(module, Part::UpBias, &[outputs])?;
        up.iter_mut().chain(bias.iter_mut().flatten()).for_each(|number| *number *= scale);
        let magnitude = match self.config.dora {
            true => Some(self.required(module, role, Part::Magnitude, &[outputs])?),
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

    /// A whole weight `[rows, columns]` in place of a module's (`modules_to_save`).
    pub fn saved_matrix(
        &mut self,
        module: &str,
        rows: usize,
        columns: usize,
        transposed: bool,
    ) -> Result<Option<Matrix>> {
        self.asked.insert(module.to_owned());
        if !self.expects_saved(module)? {
            return Ok(None);
        }
        let Origin::File { file, left, .. } = &mut self.origin else { return Ok(None) };
        let Some(name) = left.remove(&(module.to_owned(), Part::Weight)) else { return Ok(None) };
        let dims = if transposed { [columns, rows] } else { [rows, columns] };
        let raw = file.find(&name, &dims, "the base model's weight there is")?;
        let read = move |row: usize, first: usize, out: &mut [f32]| {
            raw.read_row(row, first, [rows, columns], transposed, out);
        };
        let mut numbers = vec![0f32; columns];
        for row in 0..rows {
            read(row, 0, &mut numbers);
            self.check_finite(&name, &numbers)?;
        }
        Ok(Some(Matrix::of_numbers(rows, columns, Arc::new(read))))
    }

    /// A whole vector in place of a norm's gain.
    pub fn saved_gain(&mut self, module: &str, len: usize) -> Result<Option<Vec<f32>>> {
        self.asked.insert(module.to_owned());
        if !self.expects_saved(module)? {
            return Ok(None);
        }
        self.take(module, Part::Weight, &[len])
    }

    /// A whole bias in place of a module's (`bias` and `modules_to_save`).
    pub fn bias(&mut self, module: &str, len: usize) -> Result<Option<Vec<f32>>> {
        self.take(module, Part::Bias, &[len])
    }

    /// Refuses an adapter that repeats another weight than the base model's: it was made for a larger
    /// vocabulary, or for another model. Formats of fewer bits than f32 may round. Of its `whole` rows,
    /// `base` holds those that `order` names.
    pub fn check_base(
        &mut self,
        module: &str,
        base: &Matrix,
        whole: usize,
        order: Option<&Order>,
    ) -> Result<()> {
        let Origin::File { file, left, .. } = &mut self.origin else { return Ok(()) };
        let Some(name) = left.remove(&(module.to_owned(), Part::Base)) else { return Ok(()) };
        let (rows, columns) = (base.rows, base.columns);
        let raw = file.find(&name, &[whole, columns], "the base model's is")?;
        if base.is_quantised() {
            return Ok(());
        }
        let read = base.widened()?;
        let (mut ours, mut theirs) = (vec![0f32; columns], vec![0f32; columns]);
        for row in 0..rows {
            read(row, 0, &mut ours);
            raw.read(order.map_or(row, |order| order(row)) * columns, 1, &mut theirs);
            let differ = |(ours, theirs): (&f32, &f32)| {
                (ours - theirs).abs() > BF16_ROUNDING * ours.abs().max(theirs.abs())
            };
            if ours.iter().zip(&theirs).any(differ) {
                return Err(self.bad(&format!(
                    "tensor {name} is not the base model's weight: the adapter was made for another model, or for a resized vocabulary"
                )));
            }
        }
        base.release();
        Ok(())
    }

    /// What was asked for, and what nothing has taken.
    pub fn leftovers(&self) -> Leftovers {
        let left = match &self.origin {
            Origin::File { left, .. } => {
                left.iter().map(|((module, _), name)| (name.clone(), module.clone())).collect()
            }
            Origin::Synthetic { .. } => BTreeMap::new(),
        };
        Leftovers { asked: self.asked.clone(), left }
    }

    /// Refuses an adapter of which anything is left: it was made for another model.
    pub fn finish(&self, leftovers: &Leftovers) -> Result<()> {
        let Leftovers { asked, left } = leftovers;
        if let Some((name, module)) = left.iter().next() {
            let example = asked.iter().find(|asked| asked.contains('.'));
            return Err(self.bad(&match asked.contains(module) {
                true => format!("tensor {name} is of a kind that {module} cannot take"),
                false => format!(
                    "tensor {name} is for a module that the base model lacks or that cannot be changed; one that it has is {}",
                    example.map_or("none", String::as_str)
                ),
            }));
        }
        match self.config.name_without_module(asked) {
            Some(name) => Err(self.bad(&format!(
                "its config names '{name}', but the base model has no module of that name that can be changed"
            ))),
            None => Ok(()),
        }
    }

    /// A refusal that names the adapter.
    pub fn bad(&self, reason: &str) -> Error {
        Error::file(&self.place, reason)
    }

    /// Whether the config says that a module's whole weight is there. It must be, then, and only then.
    fn expects_saved(&self, module: &str) -> Result<bool> {
        let expected = self.config.saves(module);
        match (expected, self.name(module, Part::Weight)) {
            (true, None) => Err(self.bad(&format!(
                "tensor {PREFIX}{module}.weight is missing, though modules_to_save names it"
            ))),
            (false, Some(name)) => Err(self.bad(&format!(
                "tensor {name} is there, but modules_to_save does not name its module"
            ))),
            _ => Ok(expected),
        }
    }

    fn name(&self, module: &str, part: Part) -> Option<&String> {
        match &self.origin {
            Origin::File { left, .. } => left.get(&(module.to_owned(), part)),
            Origin::Synthetic { .. } => None,
        }
    }

    fn required(
        &mut self,
        module: &str,
        role: Role,
        part: Part,
        dims: &[usize],
    ) -> Result<Vec<f32>> {
        self.take(module, part, dims)?.ok_or_else(|| {
            let is_usual = |(ending, known): &&(&str, Part)| {
                *known == part && (role == Role::Embedding) == ending.contains("embedding")
            };
            let any = ENDINGS.iter().find(|(_, known)| *known == part);
            let ending = ENDINGS.iter().find(is_usual).or(any).map_or("", |(ending, _)| ending);
            self.bad(&format!(
                "tensor {PREFIX}{module}{ending} is missing, though adapter_config.json asks for it"
            ))
        })
    }

    fn take(&mut self, module: &str, part: Part, dims: &[usize]) -> Result<Option<Vec<f32>>> {
        let Origin::File { file, left, .. } = &mut self.origin else { return Ok(None) };
        let Some(name) = left.remove(&(module.to_owned(), part)) else { return Ok(None) };
        let raw = file.find(&name, dims, "its config and the base model imply")?;
        let numbers = raw.vector(dims.iter().product());
        self.check_finite(&name, &numbers)?;
        Ok(Some(numbers))
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
