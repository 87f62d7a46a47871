//! Copies of fixture folders with the changes that `fixtures/make-checkpoints` lists. The unit tests of `host/checkpoint` use
//! this file, too.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, View};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, fs, path::Path};

/// A tensor with its own bytes.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) type Tensors = BTreeMap<String, Tensor>;

impl View for Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Tensor {
    /// Returns a tensor whose numbers are all `value`.
    pub(crate) fn full(dtype: Dtype, shape: &[usize], value: f64) -> Self {
        let count = shape.iter().product();
        Self { dtype, shape: shape.to_vec(), bytes: number(dtype, value).repeat(count) }
    }

    fn numbers(&self) -> impl Iterator<Item = f32> {
        assert_eq!(self.dtype, Dtype::F32, "fixtures are in f32");
        self.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }

    fn map(&self, dtype: Dtype, change: impl Fn(f32) -> f64) -> Self {
        let bytes = self.numbers().flat_map(|number_| number(dtype, change(number_))).collect();
        Self { dtype, shape: self.shape.clone(), bytes }
    }
}

/// Returns a number's bytes in a format.
fn number(dtype: Dtype, value: f64) -> Vec<u8> {
    match dtype {
        Dtype::F64 => value.to_le_bytes().to_vec(),
        Dtype::F32 => (value as f32).to_le_bytes().to_vec(),
        Dtype::F16 => f16::from_f32(value as f32).to_le_bytes().to_vec(),
        Dtype::BF16 => bf16::from_f32(value as f32).to_le_bytes().to_vec(),
        Dtype::I64 => (value as i64).to_le_bytes().to_vec(),
        Dtype::U32 => (value as u32).to_le_bytes().to_vec(),
        Dtype::I8 | Dtype::U8 | Dtype::BOOL | Dtype::F8_E4M3 | Dtype::F8_E5M2 => vec![value as u8],
        other => panic!("no numbers of {other:?}"),
    }
}

/// Reads the tensors of a safetensors file.
pub(crate) fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let own = tensors.iter().map(|(name, view)| {
        let (dtype, shape, bytes) = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
        (name.to_owned(), Tensor { dtype, shape, bytes })
    });
    own.collect()
}

/// Writes tensors as one safetensors file.
pub(crate) fn write(tensors: &Tensors, path: &Path) {
    fs::write(path, safetensors::serialize(tensors.clone(), None).unwrap()).unwrap();
}

/// Makes the folder of one case of `fixtures/make-checkpoints`.
pub(crate) fn make(case: &Value, fixtures: &Path, folder: &Path) {
    let source = fixtures.join(case["from"].as_str().unwrap());
    let mut tensors = read(&source.join("model.safetensors"));
    let config = fs::read_to_string(source.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    for change in case["change"].as_array().unwrap() {
        tensors = changed(tensors, &mut config, change);
    }
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    write(&tensors, &folder.join("model.safetensors"));
}

/// Returns the strings of a JSON array.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn dtype(name: &Value) -> Dtype {
    serde_json::from_value(name.clone()).unwrap()
}

fn changed(mut tensors: Tensors, config: &mut Value, change: &Value) -> Tensors {
    let of = change["of"].as_str().unwrap_or_default();
    let renamed = |tensors: Tensors, rename: &dyn Fn(&str) -> String| -> Tensors {
        tensors.into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect()
    };
    let (kind, told) =
        change.as_object().unwrap().iter().find(|(key, _)| KINDS.contains(&&key[..])).unwrap();
    match &kind[..] {
        "prefix" => {
            let prefix = told.as_str().unwrap();
            renamed(tensors, &|name| match name.starts_with(of) {
                true => format!("{prefix}{name}"),
                false => name.to_owned(),
            })
        }
        "replace" => renamed(tensors, &|name| name.replace(texts(told)[0], texts(told)[1])),
        "drop" => {
            tensors.retain(|name, _| !name.contains(told.as_str().unwrap()));
            tensors
        }
        "copy" => {
            let times = change["times"].as_f64().unwrap();
            let [source, to] = texts(told)[..] else { panic!("{change}") };
            let copy = tensors[source].map(Dtype::F32, |number| f64::from(number) * times);
            tensors.insert(to.to_owned(), copy);
            tensors
        }
        "add" => {
            let shape: Vec<usize> = serde_json::from_value(change["shape"].clone()).unwrap();
            let value = change["value"].as_f64().unwrap();
            let full = Tensor::full(dtype(&change["dtype"]), &shape, value);
            tensors.extend(texts(told).into_iter().map(|name| (name.to_owned(), full.clone())));
            tensors
        }
        "format" => {
            for (_, tensor) in tensors.iter_mut().filter(|(name, _)| name.contains(of)) {
                *tensor = tensor.map(dtype(told), f64::from);
            }
            tensors
        }
        "stack" => stacked(tensors, &texts(told)),
        _ => {
            for (field, value) in told.as_object().unwrap() {
                match value {
                    Value::Null => drop(config.as_object_mut().unwrap().remove(field)),
                    value => config[field] = value.clone(),
                }
            }
            tensors
        }
    }
}

const KINDS: [&str; 8] = ["prefix", "replace", "drop", "copy", "add", "format", "stack", "config"];

/// Stacks the experts' tensors of each layer into two, as transformers 5 holds them in memory.
fn stacked(tensors: Tensors, names: &[&str]) -> Tensors {
    let [experts, gate, up, down] = names[..] else { panic!("{names:?}") };
    let middle = format!(".{experts}.");
    let (parts, mut kept): (Tensors, Tensors) =
        tensors.into_iter().partition(|(name, _)| name.contains(&middle));
    let layers: std::collections::BTreeSet<&str> =
        parts.keys().map(|name| name.split_once(&middle).unwrap().0).collect();
    for layer in layers {
        let place = format!("{layer}.{experts}");
        let of = |index: usize, part: &str| parts.get(&format!("{place}.{index}.{part}.weight"));
        for (name, each) in [("gate_up_proj", &[gate, up][..]), ("down_proj", &[down])] {
            let one = of(0, each[0]).unwrap();
            let all: Vec<&Tensor> = (0..)
                .map_while(|index| {
                    each.iter().map(|part| of(index, part)).collect::<Option<Vec<_>>>()
                })
                .flatten()
                .collect();
            let shape = vec![all.len() / each.len(), each.len() * one.shape[0], one.shape[1]];
            let bytes = all.iter().flat_map(|tensor| tensor.bytes.clone()).collect();
            kept.insert(format!("{place}.{name}"), Tensor { dtype: one.dtype, shape, bytes });
        }
    }
    kept
}
