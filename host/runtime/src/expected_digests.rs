//! The digests that the models and adapters of a replay must have.
//!
//! Models are known by the order of loading and adapters by the order of attaching, because a replay does the same in the same
//! order.

use crate::error::Halt;
use std::collections::BTreeSet;

/// The digests that models and adapters must have. A run that loads another model or adapter is ended as soon as its digest
/// is known. The default expects nothing.
#[derive(Clone, Debug, Default)]
pub struct ExpectedDigests {
    /// The digests of the models, in the order of loading. Models after the last are not checked.
    pub models: Vec<String>,
    /// The digests of the adapters, in the order of attaching. Adapters after the last are not checked.
    pub adapters: Vec<String>,
    /// The names of models and adapters that may differ.
    pub changed: BTreeSet<String>,
}

impl ExpectedDigests {
    /// Checks the model that was loaded as number `number` under the name `name`.
    pub(crate) fn check_model(
        &self,
        number: u64,
        name: &str,
        source: &str,
        digest: &str,
    ) -> wasmtime::Result<()> {
        let remedy = format!("give the model of the record with --model {name}=SOURCE");
        self.check(self.models.get(number as usize), "model", name, source, digest, &remedy)
    }

    /// Checks the adapter that was attached as number `number` under the name `name`.
    pub(crate) fn check_adapter(
        &self,
        number: u64,
        name: &str,
        source: &str,
        digest: &str,
    ) -> wasmtime::Result<()> {
        let remedy = format!("give the adapter of the record with --adapter {name}=SOURCE");
        self.check(self.adapters.get(number as usize), "adapter", name, source, digest, &remedy)
    }

    fn check(
        &self,
        expected: Option<&String>,
        what: &str,
        name: &str,
        source: &str,
        digest: &str,
        remedy: &str,
    ) -> wasmtime::Result<()> {
        match expected {
            Some(expected) if expected != digest && !self.changed.contains(name) => {
                Err(Halt::Changed(format!(
                    "the {what} '{name}' ({source}) has the digest {digest}, and the record has {expected}: {remedy}, or run with this one by --allow-changed {name}"
                ))
                .trap())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_digest_is_refused_unless_it_is_allowed() {
        let mut expected = ExpectedDigests {
            models: vec!["blake3:a".to_owned()],
            adapters: vec!["blake3:b".to_owned()],
            ..ExpectedDigests::default()
        };
        let model = |expected: &ExpectedDigests, number, digest| {
            expected
                .check_model(number, "big", "org/big", digest)
                .map_err(|error| error.to_string())
        };
        assert_eq!(model(&expected, 0, "blake3:a"), Ok(()));
        assert_eq!(model(&expected, 1, "blake3:c"), Ok(()));
        let refused = model(&expected, 0, "blake3:c").expect_err("another digest");
        for words in
            ["'big' (org/big)", "blake3:a", "blake3:c", "--model big=", "--allow-changed big"]
        {
            assert!(refused.contains(words), "{refused}");
        }
        assert!(expected.check_adapter(0, "math", "a", "blake3:c").is_err());
        expected.changed.insert("big".to_owned());
        assert_eq!(model(&expected, 0, "blake3:c"), Ok(()));
    }
}
