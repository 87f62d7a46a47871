//! Translates tensor names to the names of the model's family. They differ if a checkpoint was saved from within a
//! wrapper, as part of a larger model, or without its LM head.
//!
//! ```text
//! _orig_mod.model.layers.0._fsdp_wrapped_module.self_attn.o_proj.weight
//! └ wrapper          └──── wrapper ────┘
//! language_model.model.layers.0.self_attn.o_proj.weight       root: language_model.model.
//! layers.0.self_attn.o_proj.weight                            root: empty, a base model without its LM head
//! ```
//!
//! transformers adds and removes only the prefix of the base model. If the tensors have any other prefix, it makes
//! random weights in their place.

use crate::families::NamingScheme;
use std::collections::HashMap;

/// Parts that wrappers insert anywhere in a name: `torch.compile`, FSDP, activation checkpointing, DeepSpeed.
const WRAPPERS: [&str; 5] = [
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
    "_fpw_module",
];

/// The part that `DataParallel` and `DistributedDataParallel` write before a name.
const PARALLEL_PREFIX: &str = "module";

/// The tensors of a checkpoint by the names of the model's family.
pub(super) struct CanonicalNames {
    /// The name in the files for each of the family's names.
    pub in_files: HashMap<String, String>,
    /// The prefix of the decoder's names in the files, without wrappers. `None` if the files have no decoder of this
    /// family.
    pub root: Option<String>,
    /// The first name that transformers would not recognise. `None` if it recognises all.
    pub wrapped: Option<String>,
}

/// Why the names of a checkpoint cannot be translated.
#[derive(Debug, thiserror::Error)]
pub(super) enum CanonicalNamesError {
    /// Two names in the files mean the same tensor of the model.
    #[error(
        "tensors {first} and {second} are the same one of the model: save it unwrapped, so that there is one"
    )]
    Duplicate {
        /// The first name in the files.
        first: String,
        /// The second name in the files.
        second: String,
    },

    /// The files contain several decoders.
    #[error(
        "there are decoders under '{first}' and under '{second}': save the one to run by itself"
    )]
    SeveralDecoders {
        /// The prefix of the first decoder's names.
        first: String,
        /// The prefix of the second decoder's names.
        second: String,
    },
}

impl CanonicalNames {
    /// Finds the decoder among the `names` of a checkpoint's tensors.
    ///
    /// # Errors
    /// Returns an error if two names mean the same tensor, or if there are several decoders.
    pub(super) fn new<'a>(
        names: impl IntoIterator<Item = &'a str>,
        family: &NamingScheme,
    ) -> Result<Self, CanonicalNamesError> {
        let mut names: Vec<&str> = names.into_iter().collect();
        // Sorted, so that messages name the same tensor in every run.
        names.sort_unstable();
        let unwrapped: Vec<String> = names.iter().map(|name| without_wrappers(name)).collect();
        let root = find_root(&unwrapped, family)?;
        let own = format!("{}.", family.base);
        let is_usual = |root: &str| ["", &own, &own.repeat(2)].contains(&root);
        let mut found = Self { in_files: HashMap::new(), root: root.clone(), wrapped: None };
        for (name, unwrapped) in names.into_iter().zip(unwrapped) {
            let canonical = match &root {
                Some(root) => canonical_name(&unwrapped, root, family),
                None => unwrapped.clone(),
            };
            let is_moved = unwrapped != name || !root.as_deref().is_none_or(is_usual);
            if is_moved && canonical != name && found.wrapped.is_none() {
                found.wrapped = Some(name.to_owned());
            }
            if let Some(first) = found.in_files.insert(canonical, name.to_owned()) {
                return Err(CanonicalNamesError::Duplicate { first, second: name.to_owned() });
            }
        }
        Ok(found)
    }
}

/// Removes the parts that wrappers insert from a name, and replaces TensorFlow's names of a norm's gain and bias.
fn without_wrappers(name: &str) -> String {
    let mut parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    while parts.len() > 1 && parts[0] == PARALLEL_PREFIX {
        parts.remove(0);
    }
    match parts.last_mut() {
        // TensorFlow's names, which files of 2019 have.
        Some(last) if *last == "gamma" => *last = "weight",
        Some(last) if *last == "beta" => *last = "bias",
        _ => {}
    }
    parts.join(".")
}

/// Finds the prefix of the names of the decoder's layers.
fn find_root(
    names: &[String],
    family: &NamingScheme,
) -> Result<Option<String>, CanonicalNamesError> {
    let anchor = format!("{}.0.{}.weight", family.layers, family.output);
    let mut roots: Vec<&str> = (names.iter())
        .filter_map(|name| name.strip_suffix(&anchor))
        .filter(|root| root.is_empty() || root.ends_with('.'))
        .collect();
    // The family's usual prefix wins over others, which belong to draft heads and second decoders.
    let own = format!("{}.", family.base);
    if let Some(root) = [&own, ""].into_iter().find(|root| roots.contains(root)) {
        return Ok(Some(root.to_owned()));
    }
    roots.sort_unstable();
    match &roots[..] {
        [] => Ok(None),
        [root] => Ok(Some((*root).to_owned())),
        [first, second, ..] => Err(CanonicalNamesError::SeveralDecoders {
            first: (*first).to_owned(),
            second: (*second).to_owned(),
        }),
    }
}

/// Returns the family's name of a tensor below `root`, or of the LM head, which may be at any level above the decoder.
fn canonical_name(name: &str, root: &str, family: &NamingScheme) -> String {
    let heads = [family.head, NamingScheme::LLAMA.head];
    for head in heads {
        for ending in ["weight", "bias"] {
            let prefix = name.strip_suffix(ending).and_then(|name| name.strip_suffix('.'));
            let prefix = prefix.and_then(|name| name.strip_suffix(head));
            if prefix.is_some_and(|prefix| {
                (prefix.is_empty() || prefix.ends_with('.')) && root.starts_with(prefix)
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
