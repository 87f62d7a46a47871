//! Decides which modules an adapter's config selects, by names, regular expressions and layer numbers. The rules are
//! those of PEFT (`check_target_module_exists` in `peft/tuners/tuners_utils.py`, `get_pattern_key` in
//! `peft/utils/other.py`).

use super::module_kind::ModuleKind;
use fancy_regex::Regex;
use serde_json::{Map, Value};

/// The modules that have low-rank factors: `target_modules`, without `exclude_modules`, and only in some layers if
/// `layers_to_transform` says so.
#[derive(Clone, Debug)]
pub(super) struct Targets {
    included: ModuleMatcher,
    excluded: Option<ModuleMatcher>,
    /// `layers_to_transform`. PEFT applies it only if `target_modules` is a list of names.
    layers: Option<Vec<u64>>,
    /// The part of a module's name after which the layer's number follows. An empty list allows every name.
    layer_names: Vec<String>,
}

/// Why the fields that select modules cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    /// A string is no regular expression.
    #[error("{field} '{pattern}' is no regular expression: {cause}")]
    Pattern {
        /// The name of the field.
        field: &'static str,
        /// The string in the file.
        pattern: String,
        /// What is wrong with it.
        cause: fancy_regex::Error,
    },

    /// A list holds something else than a string.
    #[error("{field} holds {item}; names of modules are needed")]
    ItemNotName {
        /// The name of the field.
        field: &'static str,
        /// The item in the file.
        item: Value,
    },

    /// The list of layers holds something else than a whole number.
    #[error("layers_to_transform holds {0}; layer numbers are needed")]
    ItemNotLayer(Value),
}

/// A rule that selects modules.
#[derive(Clone, Debug)]
enum ModuleMatcher {
    /// All linear layers except the LM head.
    AllLinear,
    /// The modules that PEFT selects if the config names none.
    PeftDefault,
    /// Modules whose name is one of these, or ends with a dot and one of these.
    Named(Vec<String>),
    /// Modules whose complete name matches the expression.
    Pattern(Regex),
}

/// The modules that PEFT 0.21 selects if a config names none, for all families together
/// (`TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING` in `peft/utils/constants.py`). One list is enough, because no
/// family has a module with the name of another family's default.
const PEFT_DEFAULTS: &[&str] = &["q_proj", "v_proj", "c_attn", "query_key_value"];

impl Targets {
    /// Selects the modules with these names. `None` selects all linear layers except the LM head.
    pub(super) fn from_names(names: Option<Vec<String>>) -> Self {
        let included = names.map_or(ModuleMatcher::AllLinear, ModuleMatcher::Named);
        Self { included, excluded: None, layers: None, layer_names: Vec::new() }
    }

    /// Reads the fields of a config.
    pub(super) fn parse(config: &Map<String, Value>) -> Result<Self, TargetError> {
        let get = |name: &str| config.get(name).filter(|value| !value.is_null());
        let included = match (get("target_modules"), get("target_parameters")) {
            (Some(value), _) => ModuleMatcher::parse("target_modules", value)?,
            (None, Some(_)) => ModuleMatcher::Named(Vec::new()),
            (None, None) => ModuleMatcher::PeftDefault,
        };
        let excluded = get("exclude_modules")
            .map(|value| ModuleMatcher::parse("exclude_modules", value))
            .transpose()?;
        let layers = match get("layers_to_transform") {
            None => None,
            Some(value) => {
                let one_or_more =
                    value.as_array().map_or_else(|| vec![value.clone()], Clone::clone);
                let numbers = one_or_more.iter().map(|number| {
                    number.as_u64().ok_or_else(|| TargetError::ItemNotLayer(number.clone()))
                });
                Some(numbers.collect::<Result<Vec<_>, _>>()?).filter(|layers| !layers.is_empty())
            }
        };
        let layer_names = get("layers_pattern")
            .map(|value| strings("layers_pattern", value))
            .transpose()?
            .unwrap_or_default();
        Ok(Self { included, excluded, layers, layer_names })
    }

    /// Returns `true` if the config selects a module of this kind.
    pub(super) fn includes(&self, module: &str, kind: ModuleKind) -> bool {
        if self.excluded.as_ref().is_some_and(|excluded| excluded.includes(module, kind)) {
            return false;
        }
        let included = self.included.includes(module, kind);
        match (&self.included, &self.layers) {
            (ModuleMatcher::Named(names), Some(layers))
                if !names.iter().any(|name| name == module) =>
            {
                included && self.layer(module).is_some_and(|layer| layers.contains(&layer))
            }
            _ => included,
        }
    }

    /// Returns what to change in the config if the adapter has tensors of a module that the config does not select.
    pub(super) fn remedy(&self) -> &'static str {
        match &self.included {
            ModuleMatcher::PeftDefault => "name its modules in target_modules",
            ModuleMatcher::Pattern(pattern) if !pattern.as_str().contains(".*") => {
                "a text in target_modules has to match a module's whole name; write a list of names"
            }
            _ => "mend target_modules",
        }
    }

    /// Returns the names in `target_modules`, if it is a list of names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = match &self.included {
            ModuleMatcher::Named(names) => &names[..],
            ModuleMatcher::AllLinear | ModuleMatcher::PeftDefault | ModuleMatcher::Pattern(_) => {
                &[]
            }
        };
        names.iter().map(String::as_str)
    }

    /// Returns the number of a module's layer: the first number in its name. If there are layer names, it is the first
    /// number after one of them.
    fn layer(&self, module: &str) -> Option<u64> {
        let parts: Vec<&str> = module.split('.').collect();
        parts.windows(2).find_map(|pair| {
            let named =
                self.layer_names.is_empty() || self.layer_names.iter().any(|name| name == pair[0]);
            pair[1].parse().ok().filter(|_| named)
        })
    }
}

impl ModuleMatcher {
    fn parse(field: &'static str, value: &Value) -> Result<Self, TargetError> {
        match value {
            Value::String(text) if text.eq_ignore_ascii_case("all-linear") => Ok(Self::AllLinear),
            Value::String(pattern) => Regex::new(&format!("^(?:{pattern})$"))
                .map(Self::Pattern)
                .map_err(|cause| TargetError::Pattern { field, pattern: pattern.clone(), cause }),
            _ => Ok(Self::Named(strings(field, value)?)),
        }
    }

    fn includes(&self, module: &str, kind: ModuleKind) -> bool {
        match self {
            Self::AllLinear => matches!(kind, ModuleKind::Projection | ModuleKind::Expert(_)),
            Self::PeftDefault => PEFT_DEFAULTS.iter().any(|name| is_end_of(name, module)),
            Self::Named(names) => names.iter().any(|name| is_end_of(name, module)),
            Self::Pattern(pattern) => pattern.is_match(module).unwrap_or(false),
        }
    }
}

/// Returns `true` if `name` is the module's name, or the last parts of it.
pub(super) fn is_end_of(name: &str, module: &str) -> bool {
    module.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Returns `true` if the name of the module, or of a module that contains it, ends with `name`.
pub(super) fn is_inside(name: &str, module: &str) -> bool {
    let ends = module.match_indices('.').map(|(end, _)| end).chain([module.len()]);
    ends.into_iter().any(|end| module[..end].ends_with(name))
}

/// Returns `true` if `name` is among the parts of a module's name.
pub(super) fn has_part(name: &str, module: &str) -> bool {
    format!(".{module}.").contains(&format!(".{name}."))
}

/// Compiles a key of `rank_pattern` or `alpha_pattern`. The pattern matches modules whose complete name matches the
/// key, or whose last parts do.
pub(super) fn suffix_pattern(key: &str) -> Result<Regex, fancy_regex::Error> {
    Regex::new(&format!(r"^(?:.*\.)?(?:{key})$"))
}

/// Returns the value of the first pattern that matches a module.
pub(super) fn find_by_pattern<T: Copy>(table: &[(Regex, T)], module: &str) -> Option<T> {
    let matches = |(pattern, _): &&(Regex, T)| pattern.is_match(module).unwrap_or(false);
    table.iter().find(matches).map(|(_, value)| *value)
}

fn strings(field: &'static str, value: &Value) -> Result<Vec<String>, TargetError> {
    let one_or_more = value.as_array().map_or_else(|| vec![value.clone()], Clone::clone);
    one_or_more
        .iter()
        .map(|item| {
            item.as_str()
                .map(ToOwned::to_owned)
                .ok_or_else(|| TargetError::ItemNotName { field, item: item.clone() })
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use serde_json::json;

    /// The expected modules are those that `tests/fixtures/make-lora-config` found in PEFT.
    #[test]
    fn targets_by_default_are_those_of_peft() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/lora-config.json");
        let peft: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut theirs: Vec<&str> = peft["targets"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|names| names.as_array().into_iter().flatten())
            .map(|name| name.as_str().unwrap())
            .collect();
        theirs.sort_unstable();
        theirs.dedup();
        let mut ours = PEFT_DEFAULTS.to_vec();
        ours.sort_unstable();
        assert_eq!(ours, theirs);
        assert!(included(json!({"target_modules": null}), "model.layers.3.self_attn.v_proj"));
        assert!(!included(json!({}), "model.layers.3.self_attn.k_proj"));
        let parameters =
            json!({"target_modules": null, "target_parameters": ["mlp.experts.down_proj"]});
        assert!(!included(parameters, "model.layers.3.self_attn.v_proj"));
    }

    fn included(config: Value, module: &str) -> bool {
        let targets = Targets::parse(config.as_object().expect("an object")).expect("parses");
        targets.includes(module, ModuleKind::Projection)
    }

    // The expected answers are those of check_target_module_exists in PEFT 0.21.2.
    #[test]
    fn names_match_whole_parts() {
        let q = "model.layers.3.self_attn.q_proj";
        assert!(included(json!({"target_modules": ["q_proj"]}), q));
        assert!(included(json!({"target_modules": ["self_attn.q_proj"]}), q));
        assert!(!included(json!({"target_modules": ["proj"]}), q));
        assert!(included(json!({"target_modules": r".*\.(q|v)_proj"}), q));
        assert!(!included(json!({"target_modules": r"self_attn\.q_proj"}), q));
        assert!(included(json!({"target_modules": r"^(?!.*mlp).*proj"}), q));
        assert!(!included(
            json!({"target_modules": ["q_proj"], "exclude_modules": r".*\.3\..*"}),
            q
        ));
    }

    #[test]
    fn layers_narrow_a_list_of_names() {
        let q = "model.layers.3.self_attn.q_proj";
        let with = |layers: Value, names: Value| json!({"target_modules": ["q_proj"], "layers_to_transform": layers, "layers_pattern": names});
        assert!(included(with(json!([1, 3]), json!(null)), q));
        assert!(!included(with(json!(2), json!(null)), q));
        assert!(included(with(json!(3), json!("layers")), q));
        assert!(!included(with(json!(3), json!("blocks")), q));
        let expert = "model.layers.1.mlp.experts.3.q_proj";
        assert!(!included(with(json!(3), json!(null)), expert), "the first number is the layer's");
    }

    // The expected answers are those of get_pattern_key in PEFT 0.21.2.
    #[test]
    fn patterns_match_ends() {
        let table = [("q_proj", 4), (r"layers\.1\..*", 8)]
            .map(|(key, rank)| (suffix_pattern(key).expect("a pattern"), rank));
        assert_eq!(find_by_pattern(&table, "model.layers.1.self_attn.q_proj"), Some(4));
        assert_eq!(find_by_pattern(&table, "model.layers.1.self_attn.k_proj"), Some(8));
        assert_eq!(find_by_pattern(&table, "model.layers.2.self_attn.k_proj"), None);
    }
}
