//! Results, curves, tables and files that a script reports. The host cannot check them.

use llem_quantity::{Quantity, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A result that the script reported.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// Name, in snake case.
    pub name: String,
    /// The number. Its source is `script`, because the host cannot check it. In records before schema 3.0, it is the source
    /// that the script claims.
    pub quantity: Quantity,
    /// The source that the script claims for the number. Absent in records before schema 3.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_source: Option<Source>,
    /// Labels that distinguish this result from others with the same name.
    pub labels: BTreeMap<String, String>,
}

impl Metric {
    /// Converts a metric of an older journal to schema 3.0: the number's source becomes the claimed source.
    pub fn into_current(self) -> Self {
        match self.claimed_source {
            Some(_) => self,
            None => Self {
                claimed_source: Some(self.quantity.source),
                quantity: Quantity { source: Source::Script, ..self.quantity },
                ..self
            },
        }
    }

    /// Returns the source for people: `script`, followed by the claimed source if it is another one.
    pub fn source(&self) -> String {
        match self.claimed_source {
            Some(claimed) if claimed != self.quantity.source => {
                format!("{}: {claimed}", self.quantity.source)
            }
            _ => self.quantity.source.to_string(),
        }
    }
}

/// Returns the source of curves and tables in older records, which do not name it.
fn script() -> Source {
    Source::Script
}

/// A curve that the script reported.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Name, in snake case.
    pub name: String,
    /// Name and unit of x.
    pub x: (String, String),
    /// Name and unit of y.
    pub y: (String, String),
    /// The points, in order.
    pub points: Vec<(f64, f64)>,
    /// The source of the points: always `script`, because the host cannot check them.
    #[serde(default = "script")]
    pub source: Source,
}

/// A table of text cells that the script reported.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// Name, in snake case.
    pub name: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<String>>,
    /// The source of the cells: always `script`, because the host cannot check them.
    #[serde(default = "script")]
    pub source: Source,
}

/// A file that the script wrote.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// The path within the run's folder.
    pub path: String,
    /// Size, bytes.
    pub bytes: u64,
    /// SHA-256 of the file's content.
    pub digest: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(claimed_source: Option<Source>, source: Source) -> Metric {
        let quantity = Quantity::exact(42.0, "J", source);
        Metric { name: "energy".to_owned(), quantity, claimed_source, labels: BTreeMap::new() }
    }

    #[test]
    fn a_metric_says_script_before_what_the_script_claims() {
        let shown = |claimed| metric(Some(claimed), Source::Script).source();
        assert_eq!(shown(Source::NvmlCounter), "script: nvml-counter");
        assert_eq!(shown(Source::Script), "script");
    }

    #[test]
    fn curves_and_tables_of_an_older_record_are_the_scripts() {
        let series = r#"{"name":"s","x":["t","s"],"y":["p","W"],"points":[[0.0,1.0]]}"#;
        let series: Series = serde_json::from_str(series).expect("a curve of schema 2.0");
        let table = r#"{"name":"t","columns":["c"],"rows":[["1"]]}"#;
        let table: Table = serde_json::from_str(table).expect("a table of schema 2.0");
        assert_eq!([series.source, table.source], [Source::Script; 2]);
    }

    #[test]
    fn a_metric_of_an_older_record_has_its_source_alone() {
        let old = r#"{"name":"energy","quantity":{"value":42.0,"uncertainty":0.0,"unit":"J","source":"rapl"},"labels":{}}"#;
        let old: Metric = serde_json::from_str(old).expect("a metric of schema 2.0");
        assert_eq!(old.claimed_source, None);
        assert_eq!(old.source(), "rapl");
        let current = old.into_current();
        assert_eq!(current.source(), "script: rapl");
        assert_eq!(current.clone().into_current().source(), "script: rapl");
    }
}
