//! `ro-crate-metadata.json`: RO-Crate 1.1 (<https://w3id.org/ro/crate/1.1>) with the profile Process Run Crate 0.5
//! (<https://w3id.org/ro/wfrun/process/0.5>).
//!
//! ```text
//! ./  ──hasPart──► every file, with its SHA-256
//!  └──mentions──► #run (CreateAction) ──instrument──► the component that was given, or #llem
//!                     ├──object──► components, datasets, adapters, models, parameters
//!                     └──result──► run/...
//! ```

use crate::{
    about_run::AboutRun,
    author::Author,
    contents::used_adapters,
    layout::{
        ADAPTERS, CITATION, COMPONENTS, DATASETS, LICENSE, MANIFEST, METADATA, README, REPORT, RUN,
        SOURCES,
    },
    licence::Licence,
};
use jiff::Timestamp;
use llem_record::{RunRecord, RunStatus};
use llem_report::visible;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use std::time::Duration;

/// Characters that a relative URI does not contain as they are.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'|')
    .add(b'\\')
    .add(b':');
/// The profile of RO-Crate that the bundle follows.
const PROFILE: &str = "https://w3id.org/ro/wfrun/process/0.5";

/// A file of the bundle, as the metadata lists it.
pub(crate) struct ListedFile {
    /// Its name within the bundle.
    pub(crate) name: String,
    /// Its size, bytes.
    pub(crate) bytes: u64,
    /// Its SHA-256 digest as hexadecimal digits.
    pub(crate) hex: String,
}

/// Returns the text of the metadata. `files` are all files but the metadata itself and the manifest.
pub(crate) fn render(
    about: &AboutRun,
    record: &RunRecord,
    authors: &[Author],
    licence: Option<&Licence>,
    files: &[ListedFile],
) -> String {
    let (people, author_ids) = people(authors);
    let (licence, licence_value) = licence_entity(licence);
    let mut parts: Vec<Value> = files.iter().map(|file| id(&file.name)).collect();
    parts.push(id(MANIFEST));
    let mut root = json!({
        "@id": "./",
        "@type": "Dataset",
        "name": about.title(),
        "description": about.summary(),
        "identifier": about.id,
        "license": licence_value,
        "author": author_ids,
        "conformsTo": { "@id": PROFILE },
        "hasPart": parts,
        "mentions": { "@id": "#run" },
    });
    if !about.day.is_empty() {
        root["datePublished"] = about.day.clone().into();
    }
    let mut graph = vec![
        json!({
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": { "@id": "./" },
            "conformsTo": { "@id": "https://w3id.org/ro/crate/1.1" },
        }),
        root,
        json!({ "@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5" }),
        json!({
            "@id": "#llem",
            "@type": "SoftwareApplication",
            "name": "llem",
            "softwareVersion": about.llem_version,
            "description": "A WebAssembly-scripted experiment host for LLM inference",
        }),
        json!({
            "@id": MANIFEST,
            "@type": "File",
            "name": "Manifest",
            "description": "SHA-256 of every other file",
            "encodingFormat": "text/plain",
        }),
    ];
    graph.extend(people);
    graph.extend(licence);
    graph.extend(files.iter().map(file_entity));
    let inputs = inputs(record);
    graph.push(action(about, record, files, &inputs));
    graph.extend(inputs);
    let context =
        ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"];
    format!("{:#}\n", json!({ "@context": context, "@graph": graph }))
}

fn id(name: &str) -> Value {
    json!({ "@id": utf8_percent_encode(name, ENCODED).to_string() })
}

fn people(authors: &[Author]) -> (Vec<Value>, Vec<Value>) {
    let person = |(index, author): (usize, &Author)| {
        let own = author.orcid().unwrap_or_else(|| format!("#author-{}", index + 1));
        let mut entity = json!({ "@id": own, "@type": "Person", "name": visible(&author.name()) });
        if let Some((family, given)) = author.family_and_given() {
            entity["familyName"] = visible(family).into();
            entity["givenName"] = visible(given).into();
        }
        entity
    };
    let people: Vec<Value> = authors.iter().enumerate().map(person).collect();
    let ids = people.iter().map(|person| json!({ "@id": person["@id"] })).collect();
    (people, ids)
}

/// Returns the entity of the licence, and what the root says of it.
fn licence_entity(licence: Option<&Licence>) -> (Option<Value>, Value) {
    match licence.map(Licence::spdx) {
        Some(Some(spdx)) => {
            let address = format!("https://spdx.org/licenses/{spdx}");
            let entity = json!({
                "@id": address,
                "@type": "CreativeWork",
                "name": spdx,
                "description": format!("The text is in {LICENSE}."),
            });
            (Some(entity), json!({ "@id": address }))
        }
        Some(None) => (None, id(LICENSE)),
        None => {
            let none = "No licence was given: ask the authors before you reuse the files.";
            (None, none.into())
        }
    }
}

fn file_entity(file: &ListedFile) -> Value {
    let (is_software, description) = describe(&file.name);
    let mut entity = id(&file.name);
    entity["@type"] = match is_software {
        true => json!(["File", "SoftwareApplication"]),
        false => "File".into(),
    };
    let name = file.name.rsplit('/').next().unwrap_or(&file.name);
    entity["name"] = name.into();
    entity["description"] = description.into();
    entity["contentSize"] = file.bytes.to_string().into();
    entity["sha256"] = file.hex.clone().into();
    if let Some(format) = media_type(&file.name) {
        entity["encodingFormat"] = format.into();
    }
    entity
}

/// Returns whether a file is a program, and what it is.
fn describe(name: &str) -> (bool, &'static str) {
    let of_folder = [
        (COMPONENTS, "A WebAssembly component that took part in the run"),
        (SOURCES, "Source code that a component was built from"),
        (DATASETS, "A dataset that the script read"),
        (ADAPTERS, "A file of a LoRA adapter that the model ran with"),
    ];
    let of_file = [
        ("run/run.json", "The record of the run: machine, inputs, statistics"),
        ("run/events.jsonl", "The journal of the run: a line for each event"),
        (REPORT, "The report of the run, for a browser"),
        (README, "How to verify and to repeat the run"),
        (CITATION, "How to cite the bundle"),
        (LICENSE, "The licence of the bundle"),
    ];
    let found = of_file.into_iter().find(|(own, _)| *own == name);
    let found =
        found.or_else(|| of_folder.into_iter().find(|(folder, _)| name.starts_with(folder)));
    let description = match found {
        Some((_, description)) => description,
        None if name.starts_with("run/timeline/") => {
            "Samples of the devices: power, clocks, temperatures"
        }
        None => "A file that the script wrote",
    };
    (name.starts_with(COMPONENTS), description)
}

fn media_type(name: &str) -> Option<&'static str> {
    let ending = name.rsplit_once('.')?.1;
    Some(match ending {
        "json" => "application/json",
        "jsonl" => "application/x-ndjson",
        "parquet" => "application/vnd.apache.parquet",
        "wasm" => "application/wasm",
        "html" => "text/html",
        "md" => "text/markdown",
        "cff" => "application/yaml",
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "txt" => "text/plain",
        "gz" => "application/gzip",
        "zst" => "application/zstd",
        _ => return None,
    })
}

/// Returns the inputs of the run that are no files of the bundle: parameters, and models, adapters and datasets by reference.
fn inputs(record: &RunRecord) -> Vec<Value> {
    let work = |kind: &str, index: usize, name: &str, digest: &str| {
        json!({
            "@id": format!("#{kind}-{}", index + 1),
            "@type": "CreativeWork",
            "name": visible(name),
            "identifier": visible(digest),
            "description": format!("A {kind} of the run, by its digest"),
        })
    };
    let models = record.models.iter().enumerate();
    let models = models.map(|(index, model)| work("model", index, &model.source, &model.digest));
    let adapters = used_adapters(record).into_iter().enumerate();
    let adapters =
        adapters.map(|(index, adapter)| work("adapter", index, &adapter.name, &adapter.digest));
    let datasets = record.plan.grants.datasets.iter().enumerate();
    let datasets =
        datasets.map(|(index, dataset)| work("dataset", index, &dataset.name, &dataset.digest));
    let parameters = record.plan.parameters.iter().enumerate().map(|(index, (name, value))| {
        let value = match value {
            Value::String(text) => visible(text).into(),
            Value::Number(_) | Value::Bool(_) => value.clone(),
            other => visible(&other.to_string()).into(),
        };
        json!({
            "@id": format!("#parameter-{}", index + 1),
            "@type": "PropertyValue",
            "name": visible(name),
            "value": value,
        })
    });
    models.chain(adapters).chain(datasets).chain(parameters).collect()
}

/// Returns the action that made the run.
fn action(about: &AboutRun, record: &RunRecord, files: &[ListedFile], inputs: &[Value]) -> Value {
    let below = |folders: &[&str]| -> Vec<Value> {
        let is_below = |file: &&ListedFile| folders.iter().any(|own| file.name.starts_with(own));
        files.iter().filter(is_below).map(|file| id(&file.name)).collect()
    };
    let mut objects = below(&[COMPONENTS, DATASETS, ADAPTERS]);
    objects.extend(inputs.iter().map(|input| json!({ "@id": input["@id"] })));
    let status = match record.status {
        RunStatus::Completed => "http://schema.org/CompletedActionStatus",
        _ => "http://schema.org/FailedActionStatus",
    };
    let mut action = json!({
        "@id": "#run",
        "@type": "CreateAction",
        "name": format!("Run {}", about.id),
        "description": about.summary(),
        "instrument": { "@id": "#llem" },
        "object": objects,
        "result": below(&[RUN]),
        "actionStatus": { "@id": status },
    });
    if let Some(error) = &record.error {
        action["error"] = visible(error).into();
    }
    if let Ok(began) = record.started_at.parse::<Timestamp>() {
        action["startTime"] = began.to_string().into();
        if let Ok(ended) = began.checked_add(Duration::from_nanos(record.wall_ns)) {
            action["endTime"] = format!("{ended:.0}").into();
        }
    }
    action
}
