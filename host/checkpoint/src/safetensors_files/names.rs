//! What tensors are called: a checkpoint that was saved from within a wrapper, or without its head, has other names
//! than its family's.
//!
//! ```text
//! _orig_mod.model.layers.0._fsdp_wrapped_module.self_attn.o_proj.weight
//! └ wrapper          └──── wrapper ────┘
//! language_model.model.layers.0.self_attn.o_proj.weight       root: language_model.model.
//! layers.0.self_attn.o_proj.weight                            root: none, a base model without its head
//! ```
//!
//! transformers adds and takes away the base model's own prefix, and makes random weights in place of tensors under
//! any other.

use crate::families::Names;
use std::collections::HashMap;

/// Parts of a name that wrappers put anywhere: `torch.compile`, FSDP, activation checkpointing, DeepSpeed.
const WRAPPERS: [&str; 5] = [
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
    "_fpw_module",
];

/// What `DataParallel` and `DistributedDataParallel` put in front.
const PARALLEL: &str = "module";

/// Tensors of a checkpoint by the names that its family has for them.
pub struct CanonicalNames {
    /// What the files call each.
    pub in_files: HashMap<String, String>,
    /// What stands in the files in front of the decoder's names, wrappers left out; `None` if no decoder of this
    /// family is there.
    pub root: Option<String>,
    /// A name that transformers would not take for what it is.
    pub wrapped: Option<String>,
}

impl CanonicalNames {
    /// Finds the decoder among `names`.
    ///
    /// # Errors
    /// Two of them have one meaning, or there are several decoders: in a sentence that says which.
    pub fn of<'a>(
        names: impl IntoIterator<Item = &'a str>,
        family: &Names,
    ) -> Result<Self, String> {
        let mut names: Vec<&str> = names.into_iter().collect();
        // So that of several the same one is told each time.
        names.sort_unstable();
        let unwrapped: Vec<String> = names.iter().map(|name| without_wrappers(name)).collect();
        let root = root(&unwrapped, family)?;
        let own = format!("{}.", family.base);
        let is_usual = |root: &str| ["", &own, &own.repeat(2)].contains(&root);
        let mut found = Self { in_files: HashMap::new(), root: root.clone(), wrapped: None };
        for (name, unwrapped) in names.into_iter().zip(unwrapped) {
            let canonical = match &root {
                Some(root) => canonical(&unwrapped, root, family),
                None => unwrapped.clone(),
            };
            let is_moved = unwrapped != name || !root.as_deref().is_none_or(is_usual);
            if is_moved && canonical != name && found.wrapped.is_none() {
                found.wrapped = Some(name.to_owned());
            }
            if let Some(other) = found.in_files.insert(canonical, name.to_owned()) {
                return Err(format!(
                    "tensors {other} and {name} are the same one of the model: save it unwrapped, so that there is one"
                ));
            }
        }
        Ok(found)
    }
}

/// A name without the parts that wrappers put into it, and with today's names of a norm's gain and bias.
fn without_wrappers(name: &str) -> String {
    let mut parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    while parts.len() > 1 && parts[0] == PARALLEL {
        parts.remove(0);
    }
    match parts.last_mut() {
        // Names of TensorFlow, which files of 2019 have.
        Some(last) if *last == "gamma" => *last = "weight",
        Some(last) if *last == "beta" => *last = "bias",
        _ => {}
    }
    parts.join(".")
}

/// What stands in front of the names of the decoder's layers.
fn root(names: &[String], family: &Names) -> Result<Option<String>, String> {
    let anchor = format!("{}.0.{}.weight", family.layers, family.output);
    let mut roots: Vec<&str> = (names.iter())
        .filter_map(|name| name.strip_suffix(&anchor))
        .filter(|root| root.is_empty() || root.ends_with('.'))
        .collect();
    // The family's own place goes before others: those of draft heads and second decoders.
    let own = format!("{}.", family.base);
    if let Some(root) = [&own, ""].into_iter().find(|root| roots.contains(root)) {
        return Ok(Some(root.to_owned()));
    }
    roots.sort_unstable();
    match &roots[..] {
        [] => Ok(None),
        [root] => Ok(Some((*root).to_owned())),
        [first, second, ..] => Err(format!(
            "there are decoders under '{first}' and under '{second}': save the one to run by itself"
        )),
    }
}

/// A name as the family has it, of one below `root` or of the LM head, which may be at any place above the decoder.
fn canonical(name: &str, root: &str, family: &Names) -> String {
    let heads = [family.head, Names::LLAMA.head];
    for head in heads {
        for ending in ["weight", "bias"] {
            let place = name.strip_suffix(ending).and_then(|name| name.strip_suffix('.'));
            let place = place.and_then(|name| name.strip_suffix(head));
            if place.is_some_and(|place| {
                (place.is_empty() || place.ends_with('.')) && root.starts_with(place)
            }) {
                return format!("{}.{ending}", family.head);
            }
        }
    }
    match name.strip_prefix(root) {
        Some(rest) => format!("{}.{rest}", family.base),
        None => name.to_owned(),
    }
}
