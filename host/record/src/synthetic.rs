//! A synthetic host in the record: the figures that it was given.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The figures of a synthetic host. Nothing of a run on it was measured: its clock is virtual, its tokens are seeded, and its
/// times and energies follow from these figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyntheticHost")]
pub struct SyntheticHostRecord {
    /// The seed of the tokens, besides the models' own seeds.
    pub seed: u64,
    /// The figures by name: `load_s`, `prefill_s_per_token`, `decode_s_per_step`, `idle_watts`,
    /// `prefill_joules_per_token` and `decode_joules_per_token`.
    pub figures: BTreeMap<String, FigureRecord>,
    /// The file on the command line. Absent if every figure is a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// SHA-256 of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The run whose mean figures are used. Absent if the file is not a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<ReplayedRun>,
}

/// A figure of a synthetic host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Figure")]
pub struct FigureRecord {
    /// The value, in `unit`.
    pub value: f64,
    /// The unit of the value, in UCUM's spelling.
    pub unit: String,
    /// Where the value comes from.
    pub origin: FigureOrigin,
}

/// Where a figure of a synthetic host comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FigureOrigin {
    /// The default of llem.
    Default,
    /// A field of the file.
    File,
    /// The mean over the run whose record the file is.
    Record,
}

/// An earlier run whose mean figures a synthetic host has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayedRun {
    /// The run's name.
    pub id: String,
    /// The sources of its models, in the order of loading.
    pub models: Vec<String>,
}
