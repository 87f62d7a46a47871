//! From the parts of a run to one compiled component: encodes, composes, compiles, and keeps the compiled form.

use crate::{
    Error, Result, Stop,
    code_cache::CodeCache,
    compose::{self, Part},
    error::{Halt, explain},
    instances,
};
use sha2::{Digest, Sha256};
use std::{path::Path, sync::Arc};
use wasmtime::{Config, Engine, component::Component};

/// What makes components of core modules and of other components: compiled code goes by their versions, too.
const MADE_BY: [(&str, &str); 2] = [("wit-component", "0.254.2"), ("wac-graph", "0.12.0")];

/// Instances of components and core modules that a component may make; far more than any compiler emits.
const INSTANCES: u64 = 2_000;

/// Compiles components for one wasmtime engine.
#[derive(Clone)]
pub struct Compiler {
    engine: Engine,
    cache: Option<CodeCache>,
}

impl Compiler {
    /// A compiler that keeps compiled code in `cache`, or nowhere.
    pub fn new(cache: Option<&Path>) -> Result<Self> {
        let mut config = Config::new();
        config.wasm_component_model(true);
        // QuickJS guests import task.cancel, which belongs to it.
        config.wasm_component_model_async(true);
        config.epoch_interruption(true);
        // A trap is reported by its cause; addresses in a stripped guest say nothing.
        config.wasm_backtrace_max_frames(None);
        let engine = Engine::new(&config).map_err(|error| {
            Error::Failed(format!("WebAssembly does not start on this machine: {error}"))
        })?;
        Ok(Self { engine, cache: cache.and_then(CodeCache::open) })
    }

    /// The engine that its components belong to.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles what `parts` are together, or takes the compiled form from the cache. `compiling` is told when it will
    /// take a moment. A run that is to end does not wait: what is being compiled is left behind.
    pub async fn load(
        &self,
        parts: &Arc<Vec<Part>>,
        stop: &Stop,
        compiling: impl FnOnce(),
    ) -> Result<Component> {
        let key = self.key(parts);
        if let Some(cached) = self.cache.as_ref().and_then(|cache| cache.read(&self.engine, &key)) {
            return Ok(cached);
        }
        compiling();
        let (compiler, whole) = (self.clone(), Arc::clone(parts));
        let compiled = tokio::task::spawn_blocking(move || compiler.compile(&whole, &key));
        let name = compose::name(parts);
        tokio::select! {
            compiled = compiled => compiled.unwrap_or_else(|error| {
                Err(Error::Failed(format!("compiling {name} failed: {error}")))
            }),
            reason = stop.requested() => Err(explain(&name, &Halt::Stopped(reason).trap())),
        }
    }

    fn compile(&self, parts: &[Part], key: &str) -> Result<Component> {
        let name = compose::name(parts);
        let encoded = compose::encode(parts)?;
        // What cannot be read is explained by the compiler.
        if instances::count(&encoded).is_ok_and(|count| count > INSTANCES) {
            return Err(Error::Input(format!(
                "{name} makes more than {INSTANCES} instances of components and modules: make it of fewer"
            )));
        }
        let component = Component::new(&self.engine, &encoded).map_err(|error| {
            Error::Input(format!("{name} is not a valid component: {}", last(&error)))
        })?;
        if let Some(cache) = &self.cache {
            cache.keep(key, &component);
        }
        Ok(component)
    }

    /// Names compiled code by all that it depends on: every part with its roles, what makes one component of them, and
    /// all of wasmtime and its configuration.
    fn key(&self, parts: &[Part]) -> String {
        let mut hash = Fingerprint(Sha256::new());
        std::hash::Hash::hash(&self.engine.precompile_compatibility_hash(), &mut hash);
        std::hash::Hash::hash(&MADE_BY, &mut hash);
        for part in parts {
            std::hash::Hash::hash(&(&part.roles, &part.bytes), &mut hash);
        }
        format!("{:x}", hash.0.finalize())
    }
}

/// Lets what only implements [`std::hash::Hash`] go into SHA-256.
struct Fingerprint(Sha256);

impl std::hash::Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// The innermost cause of a wasmtime error, on one line.
pub(crate) fn last(error: &wasmtime::Error) -> String {
    error.root_cause().to_string().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_in_the_key_are_those_that_are_built() {
        let lock = include_str!("../../../Cargo.lock");
        for (name, version) in MADE_BY {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "MADE_BY names another {name} than Cargo.lock");
        }
    }
}
