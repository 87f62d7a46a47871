//! The options of `llem exec` for the models that it grants.

use super::{ModelArgs, ValueError, parse, positive};
use llem_engine::{DType, DeviceId, ModelSource};
use llem_runtime::{AdapterGrant, DEFAULT_MODEL, Error, ModelGrant, ModelGrants, split_name};
use std::{fmt::Display, str::FromStr};

/// The models and adapters that an experiment may load, and how.
#[derive(clap::Args)]
pub(super) struct GrantArgs {
    /// A model that may be loaded: a folder, a .gguf file, a Hub id (org/name[@revision]) or synthetic:PRESET. May be
    /// given several times with names of their own (`big=SOURCE`, kebab case), of which the first is loaded unless the
    /// experiment names another; without a name it is `default`. A source with `=` after plain letters is written
    /// with its name, or as ./SOURCE
    #[arg(long = "model", value_name = "[NAME=]SOURCE", default_value = "synthetic:tiny", value_parser = parse_named::<ModelSource>)]
    models: Vec<NamedValue<ModelSource>>,
    /// Number format of weights and activations: f32, bf16, f16; NAME=DTYPE for one model, otherwise for all that have
    /// none of their own [default: the checkpoint's own]
    #[arg(long = "dtype", value_name = "[NAME=]DTYPE", value_parser = parse_named::<DType>)]
    dtypes: Vec<NamedValue<DType>>,
    /// Device that models run on: cpu, cuda:N; NAME=DEVICE for one model, otherwise for all that have none of their own
    /// [default: cpu]
    #[arg(long = "device", value_name = "[NAME=]DEVICE", value_parser = parse_named::<DeviceId>)]
    devices: Vec<NamedValue<DeviceId>>,
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

/// A value with the name of the model that it is for. `None` means all models.
#[derive(Clone, Debug)]
struct NamedValue<T> {
    name: Option<String>,
    value: T,
}

impl GrantArgs {
    /// The models, all with the same split.
    ///
    /// # Errors
    /// Fails if a name is given twice or is not kebab case, or if an option names a model that was not given.
    pub(super) fn models(self, shared: &ModelArgs) -> anyhow::Result<ModelGrants> {
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
        refuse_repeated("dtype", &self.dtypes)?;
        refuse_repeated("device", &self.devices)?;
        let device = |name: &str| value_for(&self.devices, name).unwrap_or(DeviceId::Cpu);
        let world = shared.join_world(device(&names[0]))?;
        let split = shared.split.split();
        let grant = |(name, model): (&String, &NamedValue<ModelSource>)| ModelGrant {
            source: model.value.clone(),
            dtype: value_for(&self.dtypes, name),
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
        Ok(ModelGrants::new(names.iter().zip(&self.models).map(grant).collect())?)
    }
}

fn name_of(name: &Option<String>) -> String {
    name.clone().unwrap_or_else(|| DEFAULT_MODEL.to_owned())
}

fn names_of<T>(given: &[NamedValue<T>]) -> Vec<Option<String>> {
    given.iter().map(|given| given.name.clone()).collect()
}

/// Refuses two values for one model, and two values for all models.
fn refuse_repeated<T>(what: &str, given: &[NamedValue<T>]) -> Result<(), Error> {
    let names = names_of(given);
    let twice = (1..names.len()).find(|&index| names[..index].contains(&names[index]));
    twice.map_or(Ok(()), |index| {
        let whose = names[index].as_ref().map_or_else(String::new, |name| format!(" of '{name}'"));
        Err(Error::Input(format!("the {what}{whose} is given twice: give one")))
    })
}

/// The value for a model, otherwise the value for all models.
fn value_for<T: Copy>(given: &[NamedValue<T>], name: &str) -> Option<T> {
    let of = |name: Option<&str>| given.iter().find(|given| given.name.as_deref() == name);
    of(Some(name)).or_else(|| of(None)).map(|given| given.value)
}

/// Parses `[NAME=]VALUE`.
fn parse_named<T: FromStr<Err: Display>>(text: &str) -> Result<NamedValue<T>, ValueError<T::Err>> {
    let (name, rest) = split_name(text);
    let value = parse(rest)?;
    Ok(NamedValue { name, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[&str]) -> Vec<NamedValue<DeviceId>> {
        texts.iter().map(|text| parse_named(text).expect("a device")).collect()
    }

    #[test]
    fn a_value_for_one_model_comes_before_the_value_for_all() {
        let devices = values(&["cpu", "big=cuda:1"]);
        assert_eq!(value_for(&devices, "big"), Some(DeviceId::Cuda(1)));
        assert_eq!(value_for(&devices, "other"), Some(DeviceId::Cpu));
        assert_eq!(value_for(&values(&["big=cpu"]), "other"), None);
    }

    #[test]
    fn two_values_for_one_model_are_refused() {
        assert!(refuse_repeated("device", &values(&["cpu", "big=cpu"])).is_ok());
        let refusal =
            |texts| refuse_repeated("device", &values(texts)).expect_err("refused").to_string();
        assert_eq!(refusal(&["cpu", "cuda:0"]), "the device is given twice: give one");
        assert_eq!(refusal(&["a=cpu", "a=cpu"]), "the device of 'a' is given twice: give one");
    }
}
