//! Which modules a config means: names, regular expressions and layer numbers, as PEFT matches them
//! (`check_target_module_exists` in `peft/tuners/tuners_utils.py`, `get_pattern_key` in
//! `peft/utils/other.py`).

use super::role::Role;
use fancy_regex::Regex;
use serde_json::{Map, Value};

/// `target_modules` with what narrows it.
#[derive(Clone, Debug)]
pub struct Targets {
    wanted: Wanted,
    excluded: Option<Wanted>,
    /// `layers_to_transform`, which PEFT heeds only beside a list of names.
    layers: Option<Vec<u64>>,
    /// What the number of a layer stands behind; none means any name.
    layer_names: Vec<String>,
}

#[derive(Clone, Debug)]
enum Wanted {
    /// Every linear layer but the LM head.
    AllLinear,
    /// What PEFT chooses where the config names nothing.
    ByDefault,
    /// Modules whose name is this or ends with it.
    Named(Vec<String>),
    /// Modules whose whole name matches.
    Matching(Regex),
}

type Parsed<T> = Result<T, String>;

/// The modules that PEFT 0.21 changes where a config names none, of all families together
/// (`TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING` in `peft/utils/constants.py`): no family has a module of
/// another's name.
const BY_DEFAULT: &[&str] = &["q_proj", "v_proj", "c_attn", "query_key_value"];

impl Targets {
    /// Modules of these names; none means all linear ones.
    pub fn named(names: Option<Vec<String>>) -> Self {
        let wanted = names.map_or(Wanted::AllLinear, Wanted::Named);
        Self { wanted, excluded: None, layers: None, layer_names: Vec::new() }
    }

    /// Reads the fields of a config.
    pub fn parse(config: &Map<String, Value>) -> Parsed<Self> {
        let get = |name: &str| config.get(name).filter(|value| !value.is_null());
        let wanted = match (get("target_modules"), get("target_parameters")) {
            (Some(value), _) => Wanted::parse("target_modules", value)?,
            (None, Some(_)) => Wanted::Named(Vec::new()),
            (None, None) => Wanted::ByDefault,
        };
        let excluded = get("exclude_modules")
            .map(|value| Wanted::parse("exclude_modules", value))
            .transpose()?;
        let layers = match get("layers_to_transform") {
            None => None,
            Some(value) => {
                let one_or_more =
                    value.as_array().map_or_else(|| vec![value.clone()], Clone::clone);
                let numbers = one_or_more.iter().map(|number| {
                    number.as_u64().ok_or_else(|| {
                        format!("layers_to_transform holds {number}; layer numbers are needed")
                    })
                });
                Some(numbers.collect::<Parsed<Vec<_>>>()?).filter(|layers| !layers.is_empty())
            }
        };
        let layer_names = get("layers_pattern")
            .map(|value| strings("layers_pattern", value))
            .transpose()?
            .unwrap_or_default();
        Ok(Self { wanted, excluded, layers, layer_names })
    }

    /// Whether a module is meant.
    pub fn include(&self, module: &str, role: Role) -> bool {
        if self.excluded.as_ref().is_some_and(|excluded| excluded.include(module, role)) {
            return false;
        }
        let wanted = self.wanted.include(module, role);
        match (&self.wanted, &self.layers) {
            (Wanted::Named(names), Some(layers)) if !names.iter().any(|name| name == module) => {
                wanted && self.layer(module).is_some_and(|layer| layers.contains(&layer))
            }
            _ => wanted,
        }
    }

    /// What to mend where a module with tensors is not meant.
    pub fn remedy(&self) -> &'static str {
        match &self.wanted {
            Wanted::ByDefault => "name its modules in target_modules",
            Wanted::Matching(pattern) if !pattern.as_str().contains(".*") => {
                "a text in target_modules has to match a module's whole name; write a list of names"
            }
            _ => "mend target_modules",
        }
    }

    /// The names, where it is a list of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = match &self.wanted {
            Wanted::Named(names) => &names[..],
            Wanted::AllLinear | Wanted::ByDefault | Wanted::Matching(_) => &[],
        };
        names.iter().map(String::as_str)
    }

    /// The first number in a module's name, behind one of the layer names if there are any.
    fn layer(&self, module: &str) -> Option<u64> {
        let parts: Vec<&str> = module.split('.').collect();
        parts.windows(2).find_map(|pair| {
            let named =
                self.layer_names.is_empty() || self.layer_names.iter().any(|name| name == pair[0]);
            pair[1].parse().ok().filter(|_| named)
        })
    }
}

impl Wanted {
    fn parse(field: &str, value: &Value) -> Parsed<Self> {
        match value {
            Value::String(text) if text.eq_ignore_ascii_case("all-linear") => Ok(Self::AllLinear),
            Value::String(pattern) => Regex::new(&format!("^(?:{pattern})$"))
                .map(Self::Matching)
                .map_err(|error| format!("{field} '{pattern}' is no regular expression: {error}")),
            _ => Ok(Self::Named(strings(field, value)?)),
        }
    }

    fn include(&self, module: &str, role: Role) -> bool {
        match self {
            Self::AllLinear => matches!(role, Role::Projection | Role::Expert(_)),
            Self::ByDefault => BY_DEFAULT.iter().any(|name| is_end_of(name, module)),
            Self::Named(names) => names.iter().any(|name| is_end_of(name, module)),
            Self::Matching(pattern) => pattern.is_match(module).unwrap_or(false),
        }
    }
}

/// Whether a name is a module's, or its last parts.
pub fn is_end_of(name: &str, module: &str) -> bool {
    module.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether the name of a module, or of one that it is part of, ends so.
pub fn is_within(name: &str, module: &str) -> bool {
    let ends = module.match_indices('.').map(|(end, _)| end).chain([module.len()]);
    ends.into_iter().any(|end| module[..end].ends_with(name))
}

/// Whether a name stands anywhere among a module's parts.
pub fn contains(name: &str, module: &str) -> bool {
    format!(".{module}.").contains(&format!(".{name}."))
}

/// A key of `rank_pattern` or `alpha_pattern`, which means modules whose name it ends.
pub fn of_end(key: &str) -> Parsed<Regex> {
    Regex::new(&format!(r"^(?:.*\.)?(?:{key})$"))
        .map_err(|error| format!("'{key}' is no regular expression: {error}"))
}

/// The entry of the first pattern that means a module.
pub fn find<T: Copy>(table: &[(Regex, T)], module: &str) -> Option<T> {
    let means = |(pattern, _): &&(Regex, T)| pattern.is_match(module).unwrap_or(false);
    table.iter().find(means).map(|(_, value)| *value)
}

fn strings(field: &str, value: &Value) -> Parsed<Vec<String>> {
    let one_or_more = value.as_array().map_or_else(|| vec![value.clone()], Clone::clone);
    one_or_more
        .iter()
        .map(|item| {
            item.as_str()
                .map(ToOwned::to_owned)
                .ok_or_else(|| format!("{field} holds {item}; names of modules are needed"))
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use serde_json::json;

    /// As `tests/fixtures/make-lora-config` found them in PEFT.
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
        let mut ours = BY_DEFAULT.to_vec();
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
        targets.include(module, Role::Projection)
    }

    // As check_target_module_exists of PEFT 0.21.2 answers.
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

    // As get_pattern_key of PEFT 0.21.2 answers.
    #[test]
    fn patterns_match_ends() {
        let table = [("q_proj", 4), (r"layers\.1\..*", 8)]
            .map(|(key, rank)| (of_end(key).expect("a pattern"), rank));
        assert_eq!(find(&table, "model.layers.1.self_attn.q_proj"), Some(4));
        assert_eq!(find(&table, "model.layers.1.self_attn.k_proj"), Some(8));
        assert_eq!(find(&table, "model.layers.2.self_attn.k_proj"), None);
    }
}
