//! `docs/metrics.md` names every number of the record, and nothing that does not exist.

use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use wit_parser::{Resolve, TypeDefKind, WorldItem};

/// Definitions that are one number for a reader. The page lists their parts once.
const NUMBERS: [&str; 4] = ["Quantity", "ReadingRecord", "Distribution", "CourseRecord"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text between backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What the page says.
struct Page {
    /// The places that a letter stands for.
    letters: BTreeMap<String, Vec<String>>,
    /// Names in all rows: of the columns record, WIT and SDK, shown as, and number.
    rows: Vec<[Vec<String>; 4]>,
}

impl Page {
    fn read() -> Self {
        let text = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
        let mut page = Self { letters: BTreeMap::new(), rows: vec![] };
        for line in text.lines().filter(|line| line.starts_with("| ")) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let names =
                |cell: &str| quoted(cell).into_iter().map(str::to_owned).collect::<Vec<_>>();
            match cells[..] {
                [letter, places, _] if letter.len() == 3 && letter.starts_with('`') => {
                    page.letters.insert(letter[1..2].to_owned(), names(places));
                }
                [number, _, _, _, record, code, shown, _] if record != "record" => {
                    page.rows.push([record, code, shown, number].map(names));
                }
                _ => {}
            }
        }
        page
    }

    /// Replaces a letter at the beginning of a path by the places that it stands for.
    fn expand(&self, path: &str) -> Vec<String> {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        match self.letters.get(first) {
            Some(places) => {
                places.iter().flat_map(|place| self.expand(&format!("{place}.{rest}"))).collect()
            }
            None => vec![path.to_owned()],
        }
    }

    fn names(&self, column: usize) -> BTreeSet<&str> {
        self.rows.iter().flat_map(|row| &row[column]).map(String::as_str).collect()
    }
}

/// A JSON Schema as `llem schema` prints it.
struct Schema(Value);

impl Schema {
    fn of(arguments: &[&str]) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_llem"))
            .arg("schema")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success());
        Self(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// Adds the paths of all numbers below `schema`, and the parts of [`NUMBERS`] under their definition's name.
    fn add_numbers(&self, schema: &Value, path: &str, numbers: &mut BTreeSet<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            if NUMBERS.contains(&name) {
                numbers.insert(path.to_owned());
            } else {
                self.add_numbers(&self.0["$defs"][name], path, numbers);
            }
        }
        for several in ["anyOf", "oneOf", "allOf"] {
            for one in schema[several].as_array().into_iter().flatten() {
                // An event's fields come after its name.
                let event = one["properties"]["event"]["const"].as_str().unwrap_or_default();
                self.add_numbers(one, &format!("{path}{event}"), numbers);
            }
        }
        let types =
            schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
        if types.iter().any(|of| of == "number" || of == "integer") {
            numbers.insert(path.to_owned());
        }
        let none = Map::new();
        for (name, field) in schema["properties"].as_object().unwrap_or(&none) {
            let dot = if path.is_empty() { "" } else { "." };
            self.add_numbers(field, &format!("{path}{dot}{name}"), numbers);
        }
        if schema["items"].is_object() {
            self.add_numbers(&schema["items"], &format!("{path}[]"), numbers);
        }
        for (index, item) in schema["prefixItems"].as_array().into_iter().flatten().enumerate() {
            self.add_numbers(item, &format!("{path}[{index}]"), numbers);
        }
        if schema["additionalProperties"].is_object() {
            self.add_numbers(&schema["additionalProperties"], &format!("{path}{{}}"), numbers);
        }
    }

    fn numbers(&self) -> BTreeSet<String> {
        let mut numbers = BTreeSet::new();
        self.add_numbers(&self.0, "", &mut numbers);
        for name in NUMBERS.iter().filter(|name| **name != "ReadingRecord") {
            if !self.0["$defs"][name].is_null() {
                self.add_numbers(&self.0["$defs"][name], name, &mut numbers);
            }
        }
        numbers
    }
}

#[test]
fn the_page_names_every_number_of_the_record_and_no_other() {
    let page = Page::read();
    let mut numbers = Schema::of(&[]).numbers();
    numbers.extend(Schema::of(&["--events"]).numbers());
    let named: BTreeSet<String> =
        page.names(0).into_iter().flat_map(|path| page.expand(path)).collect();
    let missing: Vec<&String> = numbers.difference(&named).collect();
    assert!(missing.is_empty(), "not in docs/metrics.md: {missing:#?}");
    let unknown: Vec<&String> = named.difference(&numbers).collect();
    assert!(unknown.is_empty(), "in docs/metrics.md and not in the schema: {unknown:#?}");
    assert!(numbers.len() > 300, "{}", numbers.len());
}

/// The names of the package: `resource.function`, `record.field`, `interface.function`.
fn names_of_wit() -> BTreeSet<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
    let mut names = BTreeSet::new();
    let world = resolve.packages[package].worlds["host"];
    for item in resolve.worlds[world].imports.values() {
        let WorldItem::Interface { id, .. } = item else { continue };
        let interface = &resolve.interfaces[*id];
        for function in interface.functions.values() {
            let resource =
                function.kind.resource().and_then(|ty| resolve.types[ty].name.as_deref());
            let of = resource.or(interface.name.as_deref()).unwrap();
            names.insert(format!("{of}.{}", function.item_name()));
        }
        for (name, ty) in &interface.types {
            if let TypeDefKind::Record(record) = &resolve.types[*ty].kind {
                names.extend(record.fields.iter().map(|field| format!("{name}.{}", field.name)));
            }
        }
    }
    names
}

/// Whether the Rust SDK defines `Type::item` or `module::item`.
fn is_in_sdk(name: &str, sources: &[(String, String)]) -> bool {
    let (of, item) = name.split_once("::").unwrap();
    let has = |text: &str, start: &str, name: &str| {
        text.match_indices(&format!("{start}{name}")).any(|(at, found)| {
            !text[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
        })
    };
    sources.iter().any(|(module, text)| {
        let is_of = module == of || has(text, "pub struct ", of) || has(text, "impl ", of);
        is_of && (has(text, "pub fn ", item) || has(text, "pub ", item))
    })
}

/// The sources below a folder: each file's module name and text.
fn sources(folder: PathBuf) -> Vec<(String, String)> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let parent = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            let module = if stem == "mod" { parent } else { stem };
            files.push((module.to_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
    files
}

#[test]
fn every_function_and_item_that_the_page_names_is_there() {
    let (page, wit, sdk) =
        (Page::read(), names_of_wit(), sources(root().join("guest-sdk/rust/src")));
    let names = page.names(1);
    let is_known =
        |name: &&str| if name.contains("::") { is_in_sdk(name, &sdk) } else { wit.contains(*name) };
    let unknown: Vec<&str> = names.iter().filter(|name| !is_known(name)).copied().collect();
    assert!(
        unknown.is_empty(),
        "in docs/metrics.md, and neither in wit/ nor in the SDK: {unknown:?}"
    );
    assert!(names.len() > 100, "{}", names.len());
    assert!(!is_in_sdk("Trial::no_such_rate", &sdk) && !wit.contains("measurement.no-such-energy"));
}

#[test]
fn every_text_that_the_page_says_is_shown_is_in_the_program() {
    let page = Page::read();
    let folders = ["host/cli/src/summary", "host/report/src/sections"];
    let program: Vec<_> = folders.iter().flat_map(|folder| sources(root().join(folder))).collect();
    let names = page.names(2);
    let is_shown = |name: &&str| program.iter().any(|(_, text)| text.contains(*name));
    let unknown: Vec<&str> = names.iter().filter(|name| !is_shown(name)).copied().collect();
    assert!(unknown.is_empty(), "in docs/metrics.md, and not printed: {unknown:?}");
    assert!(names.len() > 40, "{}", names.len());
}

#[test]
fn every_metric_that_the_page_names_is_derived_by_something_that_ships() {
    let page = Page::read();
    let folders = ["scripts", "guest-sdk/defaults/src", "guest-sdk/rust/src"];
    let shipped: Vec<_> = folders.iter().flat_map(|folder| sources(root().join(folder))).collect();
    let names = page.names(3);
    let is_derived =
        |name: &&str| shipped.iter().any(|(_, text)| text.contains(&format!("\"{name}\"")));
    let unknown: Vec<&str> = names.iter().filter(|name| !is_derived(name)).copied().collect();
    assert!(unknown.is_empty(), "in docs/metrics.md, and derived by nothing: {unknown:?}");
    assert!(names.len() > 15, "{}", names.len());
}
