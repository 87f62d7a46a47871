//! `CITATION.cff`, in the Citation File Format 1.2.0 (<https://doi.org/10.5281/zenodo.5171937>).

use crate::{about_run::AboutRun, author::Author, digest, licence::Licence};
use llem_report::visible;
use serde_json::Value;

/// Returns the text of `CITATION.cff`. `record_hex` is the digest of `run.json`, which identifies the run.
///
/// Strings are written as JSON, which YAML contains, and hold no characters that YAML does not allow.
pub(crate) fn render(
    about: &AboutRun,
    authors: &[Author],
    licence: Option<&Licence>,
    record_hex: &str,
) -> String {
    let mut lines = vec![
        "cff-version: 1.2.0".to_owned(),
        "message: If you use these measurements, please cite them.".to_owned(),
        "type: dataset".to_owned(),
        format!("title: {}", quoted(&about.title())),
        format!("abstract: {}", quoted(&about.summary())),
    ];
    if !about.version.is_empty() {
        lines.push(format!("version: {}", quoted(&about.version)));
    }
    if !about.day.is_empty() {
        lines.push(format!("date-released: {}", quoted(&about.day)));
    }
    lines.extend(licence.and_then(Licence::spdx).map(|spdx| format!("license: {spdx}")));
    lines.push("authors:".to_owned());
    for author in authors {
        let mut fields = match author.family_and_given() {
            Some((family, given)) => vec![
                format!("family-names: {}", quoted(family)),
                format!("given-names: {}", quoted(given)),
            ],
            None => vec![format!("name: {}", quoted(&author.name()))],
        };
        fields.extend(author.orcid().map(|orcid| format!("orcid: {}", quoted(&orcid))));
        lines.push(format!("  - {}", fields.join("\n    ")));
    }
    lines.push("identifiers:".to_owned());
    lines.push("  - type: other".to_owned());
    lines.push(format!("    value: {}", quoted(&digest::recorded(record_hex))));
    lines.push("    description: SHA-256 of run/run.json".to_owned());
    lines.push("keywords: [large language models, inference, energy, benchmark]".to_owned());
    lines.join("\n") + "\n"
}

fn quoted(text: &str) -> String {
    Value::from(visible(text)).to_string()
}
