//! The tasks of lm-evaluation-harness: files in YAML, and some of those that it brings.

use super::TOOL;
use crate::{
    Error,
    draft::Draft,
    given::Given,
    option::{Kind::*, OptionRow, none, parameter, read},
    settings, yaml,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const DATA: &str = "the documents are the file of --dataset items=FILE";

/// The settings of a task's file.
pub(super) const TABLE: &[OptionRow] = &[
    parameter("task", Text, "task"),
    parameter("output_type", Text, "output-type"),
    read("doc_to_text", Text, &["doc-to-text"]),
    read("doc_to_target", Text, &["doc-to-target"]),
    read("doc_to_choice", Words, &["doc-to-choice"]),
    parameter("target_delimiter", Text, "target-delimiter").same(" "),
    parameter("fewshot_delimiter", Text, "fewshot-delimiter").same("\n\n"),
    parameter("description", Text, "description"),
    parameter("fewshot_config.sampler", Text, "fewshot-sampler").same("default"),
    read("num_fewshot", Integer, &["num-fewshot"]),
    read("metric_list", Words, &["metric-list"]),
    read("dataset_path", Text, &[]),
    read("dataset_name", Text, &[]),
    read("dataset_kwargs.data_files.*", Words, &["dataset:items", "dataset:fewshot"]),
    read("test_split", Text, &[]),
    read("validation_split", Text, &[]),
    read("training_split", Text, &[]),
    read("fewshot_split", Text, &["dataset:fewshot"]),
    none("fewshot_config.split", Text, "few-shot documents are the file of --dataset fewshot=FILE"),
    none("fewshot_config.*", Words, "examples are drawn, or the first: -p fewshot-sampler"),
    none("dataset_kwargs.* custom_dataset", Words, DATA),
    none(
        "process_docs process_results",
        Text,
        "change the documents before: the script runs no Python of a task",
    ),
    none("doc_to_image doc_to_audio gen_prefix", Text, "the script scores texts"),
    none("use_prompt", Text, "give the template itself"),
    none("generation_kwargs.* filter_list repeats", Words, "the script has no tasks that generate"),
    read("should_decontaminate", Flag, &[]),
    read("doc_to_decontamination_query", Text, &[]),
    read("task_alias", Text, &[]),
    read("tag", Words, &[]),
    read("group", Words, &[]),
    read("include", Text, &[]),
    read("metadata.*", Words, &[]),
    none("unsafe_code", Flag, "the script runs no Python of a task"),
];

/// A task that the harness brings, whose templates need no Python.
struct Known {
    name: &'static str,
    dataset: &'static str,
    split: &'static str,
    settings: &'static [(&'static str, &'static str)],
}

/// Read in `lm_eval/tasks/*` at 4e7e0d47f33b.
const KNOWN: [Known; 6] = [
    Known {
        name: "arc_easy",
        dataset: "'allenai/ai2_arc', 'ARC-Easy'",
        split: "test",
        settings: ARC,
    },
    Known {
        name: "arc_challenge",
        dataset: "'allenai/ai2_arc', 'ARC-Challenge'",
        split: "test",
        settings: ARC,
    },
    Known {
        name: "openbookqa",
        dataset: "'allenai/openbookqa', 'main'",
        split: "test",
        settings: &[
            ("doc-to-text", "question_stem"),
            ("doc-to-choice", "{{choices.text}}"),
            ("doc-to-target", "{{choices.label.index(answerKey.lstrip())}}"),
        ],
    },
    Known {
        name: "piqa",
        dataset: "'baber/piqa'",
        split: "validation",
        settings: &[
            ("doc-to-text", "Question: {{goal}}\nAnswer:"),
            ("doc-to-choice", "{{[sol1, sol2]}}"),
            ("doc-to-target", "label"),
        ],
    },
    Known {
        name: "sciq",
        dataset: "'allenai/sciq'",
        split: "test",
        settings: &[
            ("doc-to-text", "{{support.lstrip()}}\nQuestion: {{question}}\nAnswer:"),
            ("doc-to-choice", "{{[distractor1, distractor2, distractor3, correct_answer]}}"),
            ("doc-to-target", "3"),
        ],
    },
    Known {
        name: "boolq",
        dataset: "'aps/super_glue', 'boolq'",
        split: "validation",
        settings: &[
            ("doc-to-text", "{{passage}}\nQuestion: {{question}}?\nAnswer:"),
            ("doc-to-choice", "[\"no\", \"yes\"]"),
            ("doc-to-target", "label"),
            ("metric-list", "acc"),
        ],
    },
];

const ARC: &[(&str, &str)] = &[
    ("doc-to-text", "Question: {{question}}\nAnswer:"),
    ("doc-to-choice", "{{choices.text}}"),
    ("doc-to-target", "{{choices.label.index(answerKey)}}"),
];

/// Sets the parameters of a task: of its file, of a task that is known, or its name alone.
pub(super) fn apply(
    name: &str,
    include_path: Option<&str>,
    has_fewshot: bool,
    draft: &mut Draft,
) -> Result<(), Error> {
    let file = Path::new(name);
    let is_file =
        file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if is_file {
        return apply_file(file, has_fewshot, draft);
    }
    if let Some(file) = include_path.and_then(|folder| find(Path::new(folder), name, 0)) {
        return apply_file(&file, has_fewshot, draft);
    }
    draft.parameter("task", name);
    match KNOWN.iter().find(|known| known.name == name) {
        Some(known) => {
            for (parameter, value) in known.settings {
                draft.parameter(parameter, value);
            }
            let Known { dataset, split, .. } = known;
            draft.dataset("items", format!("{name}.jsonl"));
            draft.note(format!(
                "llem reads documents from a file; in Python: datasets.load_dataset({dataset}, \
                        split='{split}').to_json('{name}.jsonl')"
            ));
        }
        None => {
            draft.dataset("items", format!("{name}.jsonl"));
            draft.note(format!(
                "task {name} is not one that llem knows: write its documents to {name}.jsonl, and give its output_type, \
                 doc_to_text, doc_to_choice and doc_to_target with -p output-type, doc-to-text, doc-to-choice and \
                 doc-to-target; or give its file: --tasks FILE.yaml"
            ));
        }
    }
    Ok(())
}

/// The file below a folder whose task is called so.
fn find(folder: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    /// How deep folders of tasks may nest.
    const DEEPEST: usize = 6;
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).ok()?.map(|entry| Some(entry.ok()?.path())).collect::<Option<_>>()?;
    paths.sort();
    paths.into_iter().find_map(|path| {
        if path.is_dir() {
            return (depth < DEEPEST).then(|| find(&path, name, depth + 1)).flatten();
        }
        let is_yaml =
            path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        let tree = is_yaml.then(|| yaml::read(&path).ok()).flatten()?;
        (tree.get("task").and_then(Value::as_str) == Some(name)).then_some(path)
    })
}

fn apply_file(file: &Path, has_fewshot: bool, draft: &mut Draft) -> Result<(), Error> {
    let mut given = Given::new(TOOL.name, &[TABLE]);
    add_file(&mut given, file, 0)?;
    draft.add(&given);
    let output_type = given.text("output_type").unwrap_or("generate_until");
    if !["multiple_choice", "loglikelihood", "loglikelihood_rolling"].contains(&output_type) {
        let what = format!("output_type: {output_type}");
        let why = "the script has the tasks of log-likelihoods";
        return Err(Error::NotExpressible { tool: TOOL.name, what, why });
    }
    for (setting, name) in [("doc_to_text", "doc-to-text"), ("doc_to_target", "doc-to-target")] {
        if let Some(value) = given.text(setting) {
            draft.parameter(name, value);
        }
    }
    if let Some(option) = given.option("doc_to_choice") {
        let value = match &option.values[..] {
            [one] => one.clone(),
            several => Value::from(several.to_vec()).to_string(),
        };
        draft.parameter("doc-to-choice", value);
    }
    if let (Some(number), false) = (given.text("num_fewshot"), has_fewshot) {
        draft.parameter("num-fewshot", number);
    }
    let metrics: Vec<String> = given
        .texts("metric_list")
        .iter()
        .filter_map(|text| {
            serde_json::from_str::<Value>(text).ok()?.get("metric")?.as_str().map(str::to_owned)
        })
        .collect();
    if !metrics.is_empty() {
        draft.parameter("metric-list", metrics.join(","));
    }
    datasets(&given, file, draft);
    Ok(())
}

/// Grants the files of the splits that the task evaluates, and takes examples from.
fn datasets(given: &Given, file: &Path, draft: &mut Draft) {
    let split =
        given.text("test_split").or_else(|| given.text("validation_split")).unwrap_or("test");
    let of = |split: &str| {
        let name = format!("dataset_kwargs.data_files.{split}");
        let option = given.options.iter().find(|option| option.name == name)?;
        option.values.first().cloned()
    };
    let all = given.options.iter().find(|option| option.name == "dataset_kwargs.data_files");
    match of(split).or_else(|| all.and_then(|option| option.values.first().cloned())) {
        Some(path) => draft.dataset("items", path),
        None => {
            let path = given.text("dataset_path").unwrap_or("a data set");
            let path = path.to_owned();
            draft.dataset("items", file.with_extension("jsonl").display());
            draft.note(format!(
                "llem reads documents from a file: write the split {split} of {path} as JSONL"
            ));
        }
    }
    let examples = given.text("fewshot_split").or_else(|| given.text("training_split"));
    if let Some(path) = examples.filter(|examples| *examples != split).and_then(of) {
        draft.dataset("fewshot", path);
    }
}

/// Adds a task's settings, and before them those of the file that it includes.
fn add_file(given: &mut Given, file: &Path, depth: usize) -> Result<(), Error> {
    /// How long a chain of included files may be, because files may include each other.
    const LONGEST: usize = 8;
    let tree = yaml::read(file)?;
    if let Some(included) = tree.get("include").and_then(Value::as_str)
        && depth < LONGEST
    {
        let beside = file.parent().unwrap_or(Path::new("."));
        add_file(given, &beside.join(included), depth + 1)?;
    }
    settings::add(given, &tree)
}
