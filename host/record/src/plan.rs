//! The plan of a run: everything that is known before it begins, and all that is needed to run it again.

use crate::{
    environment::{Build, Host, MeteringRecord},
    synthetic::SyntheticHostRecord,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of a run before it begins. Its fields are at the top level of `run.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Plan")]
pub struct RunPlan {
    /// The version of llem that ran the experiment.
    pub llem_version: String,
    /// The command line. An argument that may hold a secret is replaced by `(not recorded)`.
    pub command: Vec<String>,
    /// The components that ran.
    pub components: Vec<ComponentRecord>,
    /// Every declared parameter with its value. A text that may be a secret is replaced by `(not recorded)`.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Models and files that the script was given.
    pub grants: Grants,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The date and time that chat templates see, such as `2026-03-05T09:07:03`: the value of `--date`, otherwise the start of
    /// the run in the machine's time zone. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// The limits of the run, by name.
    pub limits: BTreeMap<String, u64>,
    /// How the program was built.
    #[serde(default)]
    pub build: Build,
    /// The machine, and the part of it that the process may use.
    pub host: Host,
    /// Environment variables that change results or locate ranks, with their values. A value that may hold a secret is
    /// replaced by `(not recorded)`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The settings of the meter. Absent in records before schema 3.0.
    #[serde(default)]
    pub metering: Option<MeteringRecord>,
    /// The figures of the synthetic host that the experiment ran on. Absent if it ran on this machine. If it is there,
    /// nothing of the run was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synthetic_host: Option<SyntheticHostRecord>,
}

/// A component that took part in a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ComponentRecord {
    /// `experiment`, `runner`, `warmup`, `workload` or `metrics`, joined by `+` if it has several roles.
    pub role: String,
    /// The name that the component gives itself.
    pub name: String,
    /// The version that the component gives itself.
    pub version: String,
    /// SHA-256 of the component's file.
    pub digest: String,
    /// The file on the command line, or the name of a component that ships with llem.
    pub file: String,
    /// Whether llem added the component: the runner, and policies that the user did not give.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_shipped: bool,
    /// What llem built the component from. Absent if the file on the command line was WebAssembly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ComponentSource>,
}

/// The source code of a component that llem built, and what built it. Equal sources and equal tools give the component
/// again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentSource {
    /// `python`, `javascript`, `typescript`, `c`, `rust`, or `wat` for WebAssembly text.
    pub language: String,
    /// The script's file, or the file in the project that the component begins with.
    pub file: String,
    /// SHA-256 of that file.
    pub file_digest: String,
    /// SHA-256 over the names and contents of all files that can be a part of the component, without installed
    /// packages: those beside a script, or those of the project.
    pub digest: String,
    /// The programs that built the component, by name, with their versions.
    pub tools: BTreeMap<String, String>,
    /// SHA-256 over the files of the SDK that the component was built with. Absent for WebAssembly text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<String>,
}

/// The models and files that the script may use.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Grants {
    /// The source of the default model.
    pub model: String,
    /// The adapters that may be attached to the default model.
    #[serde(default)]
    pub adapters: Vec<String>,
    /// The default model's number format, if the command line gave one.
    pub dtype: Option<String>,
    /// The default model's device.
    pub device: String,
    /// All models that the script may load, the default one first. Absent in records of llem 0.1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<GrantedModel>,
    /// The granted datasets.
    pub datasets: Vec<GrantedDataset>,
}

/// A model that the script may load.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GrantedModel {
    /// The name that the script uses.
    pub name: String,
    /// The source of the model.
    pub source: String,
    /// The adapters that may be attached to this model.
    pub adapters: Vec<String>,
    /// The number format, if the command line gave one.
    pub dtype: Option<String>,
    /// The model's device.
    pub device: String,
}

/// A dataset that the script may read.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Dataset")]
pub struct GrantedDataset {
    /// The name that the script uses.
    pub name: String,
    /// The file on the command line.
    pub file: String,
    /// SHA-256 of the file's content.
    pub digest: String,
}
