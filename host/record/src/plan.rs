//! What is known of a run before it begins: all that is needed to run it again.

use crate::environment::{Build, Host, MeteringRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of a run before it begins. Its fields stand beside the others in `run.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Version of this program.
    pub llem_version: String,
    /// The command line; `(not recorded)` stands where it may hold a secret.
    pub command: Vec<String>,
    /// The components that held the method.
    pub components: Vec<ComponentRecord>,
    /// Every declared parameter with the value that it had; `(not recorded)` stands where a text may be a secret.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// What was granted.
    pub grants: Grants,
    /// The seed of everything random.
    pub seed: u64,
    /// The date and time that chat templates are told if they ask, as `2026-03-05T09:07:03`: `--date`, otherwise the
    /// run's start by the machine's clock and zone. Absent in records before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Limits that were in force.
    pub limits: BTreeMap<String, u64>,
    /// How the program was built.
    #[serde(default)]
    pub build: Build,
    /// The machine, and what the process may use of it.
    pub host: Host,
    /// Environment variables that change results, or tell where ranks are, with their values; `(not recorded)` stands
    /// where a value may hold a secret.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How the run meters; absent in records before schema 3.0.
    #[serde(default)]
    pub metering: Option<MeteringRecord>,
}

/// A component.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ComponentRecord {
    /// `experiment`, `runner`, `warmup`, `workload` or `metrics`, joined by `+` where it is several.
    pub role: String,
    /// Its name in its own words.
    pub name: String,
    /// Its version in its own words.
    pub version: String,
    /// SHA-256 of the file.
    pub digest: String,
    /// The file as it was given, or the name of one that ships with llem.
    pub file: String,
    /// Whether it took part without having been given: the runner, and policies in place of those that were not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_shipped: bool,
}

/// What the component was given beyond the contract.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Grants {
    /// The source of the default model.
    pub model: String,
    /// The adapters that it may attach to the default model.
    #[serde(default)]
    pub adapters: Vec<String>,
    /// The default model's number format, where the command line gave one.
    pub dtype: Option<String>,
    /// The default model's device.
    pub device: String,
    /// All models that it may load, the default one first. Absent in records of llem 0.1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<GrantedModel>,
    /// The datasets.
    pub datasets: Vec<Dataset>,
}

/// A granted model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GrantedModel {
    /// The name that the script knows.
    pub name: String,
    /// Which.
    pub source: String,
    /// The adapters that may be attached to it.
    pub adapters: Vec<String>,
    /// The number format, where the command line gave one.
    pub dtype: Option<String>,
    /// The device.
    pub device: String,
}

/// A granted file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Dataset {
    /// The name that the script knows.
    pub name: String,
    /// The file.
    pub file: String,
    /// SHA-256 of its content.
    pub digest: String,
}
