//! The models that `llem exec` grants, by name.

use super::{ModelArgs, parse, positive};
use crate::untrusted::line;
use llem_engine::{DType, Device, ModelSource};
use llem_runtime::{
    Error,
    grants::{AdapterGrant, DEFAULT, ModelGrant, Models, named},
};
use std::{fmt::Display, str::FromStr};

/// Which models an experiment may load, and as what.
#[derive(clap::Args)]
pub struct GrantArgs {
    /// A model that may be loaded: a folder, a .gguf file, a Hub id (org/name[@revision]) or synthetic:PRESET. May be
    /// given several times with names of their own (`big=SOURCE`, kebab case), of which the first is loaded unless the
    /// experiment names another; without a name it is `default`. A source with `=` after plain letters is written
    /// with its name, or as ./SOURCE
    #[arg(long = "model", value_name = "[NAME=]SOURCE", default_value = "synthetic:tiny", value_parser = read::<ModelSource>)]
    models: Vec<Named<ModelSource>>,
    /// Number format of weights and activations: f32, bf16, f16; NAME=DTYPE for one model, otherwise for all that have
    /// none of their own [default: the checkpoint's own]
    #[arg(long = "dtype", value_name = "[NAME=]DTYPE", value_parser = read::<DType>)]
    dtypes: Vec<Named<DType>>,
    /// Device that models run on: cpu, cuda:N; NAME=DEVICE for one model, otherwise for all that have none of their own
    /// [default: cpu]
    #[arg(long = "device", value_name = "[NAME=]DEVICE", value_parser = read::<Device>)]
    devices: Vec<Named<Device>>,
    /// Ranks that the experiment may split a model over [default: those of --tp, --pp and --dp]
    #[arg(long, value_name = "COUNT", value_parser = positive, help_heading = "Parallelism")]
    max_ranks: Option<usize>,
    /// A LoRA adapter: a folder as PEFT saves it, a Hub id, or synthetic:rank=8; may be given several times, and
    /// requests run with the first unless they name another. It is the default model's unless it begins with
    /// another's name and a colon: big:NAME=SOURCE
    #[arg(long = "adapter", value_name = "[MODEL:][NAME=]SOURCE", value_parser = parse::<AdapterGrant>, help_heading = "Adapters")]
    adapters: Vec<AdapterGrant>,
    /// Merge each model's first adapter into its weights, after loading
    #[arg(long, requires = "adapters", help_heading = "Adapters")]
    merge: bool,
}

/// A value, and the name of the model that it is for.
#[derive(Clone, Debug)]
struct Named<T> {
    name: Option<String>,
    value: T,
}

impl GrantArgs {
    /// The models, all with the same split.
    ///
    /// # Errors
    /// A name is given twice or is not kebab case, or something is for a model that was not given.
    pub fn models(self, shared: &ModelArgs) -> anyhow::Result<Models> {
        let names: Vec<_> = self.models.iter().map(|model| name_of(&model.name)).collect();
        for (what, given) in [
            ("dtype", names_of(&self.dtypes)),
            ("device", names_of(&self.devices)),
            ("adapter", self.adapters.iter().map(|grant| grant.model.clone()).collect()),
        ] {
            if let Some(name) = given.iter().flatten().find(|name| !names.contains(name)) {
                return Err(Error::Input(format!(
                    "--{what} is for a model '{name}' that is not given: add --model {name}=SOURCE"
                ))
                .into());
            }
        }
        once("dtype", &self.dtypes)?;
        once("device", &self.devices)?;
        let device = |name: &str| of_model(&self.devices, name).unwrap_or(Device::Cpu);
        let world = shared.world(device(&names[0]))?;
        let split = shared.split.split();
        let grant = |(name, model): (&String, &Named<ModelSource>)| ModelGrant {
            source: model.value.clone(),
            dtype: of_model(&self.dtypes, name),
            device: device(name),
            split,
            max_ranks: self.max_ranks.unwrap_or(split.ranks()),
            rank_timeout: shared.split.rank_timeout(),
            world: world.clone(),
            digests: shared.digests(),
            adapters: self
                .adapters
                .iter()
                .filter(|adapter| adapter.model.as_ref().unwrap_or(&names[0]) == name)
                .cloned()
                .collect(),
            merge: self.merge,
            name: name.clone(),
        };
        Ok(Models::new(names.iter().zip(&self.models).map(grant).collect())?)
    }
}

fn name_of(name: &Option<String>) -> String {
    name.clone().unwrap_or_else(|| DEFAULT.to_owned())
}

fn names_of<T>(given: &[Named<T>]) -> Vec<Option<String>> {
    given.iter().map(|given| given.name.clone()).collect()
}

/// Refuses two values for one model, and two for all.
fn once<T>(what: &str, given: &[Named<T>]) -> Result<(), Error> {
    let names = names_of(given);
    let twice = (1..names.len()).find(|&index| names[..index].contains(&names[index]));
    twice.map_or(Ok(()), |index| {
        let whose = names[index].as_ref().map_or_else(String::new, |name| format!(" of '{name}'"));
        Err(Error::Input(format!("the {what}{whose} is given twice: give one")))
    })
}

/// What is given for a model, otherwise what is given for all.
fn of_model<T: Copy>(given: &[Named<T>], name: &str) -> Option<T> {
    let of = |name: Option<&str>| given.iter().find(|given| given.name.as_deref() == name);
    of(Some(name)).or_else(|| of(None)).map(|given| given.value)
}

/// Reads `[NAME=]VALUE`.
fn read<T: FromStr<Err: Display>>(text: &str) -> Result<Named<T>, String> {
    let (name, rest) = named(text);
    let value = rest.parse().map_err(|error: T::Err| line(&error.to_string()))?;
    Ok(Named { name, value })
}
