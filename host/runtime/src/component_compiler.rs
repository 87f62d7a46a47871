//! Compiles the parts of a run into one component: encodes, composes and compiles them, and caches the compiled code.

use crate::{
    Error, Result, StopSignal,
    code_cache::CodeCache,
    compose::{self, RunComponent},
    error::{Halt, explain},
    instance_count,
};
use sha2::{Digest, Sha256};
use std::{path::Path, sync::Arc};
use wasmtime::{Config, Engine, component::Component};

/// The tools that make components of core modules and of other components. The cache key contains their versions.
const MADE_BY: [(&str, &str); 3] = [
    ("wit-component", "0.254.2"),
    ("wac-graph", "0.12.0"),
    ("wasi-preview1-component-adapter-provider", "48.0.8"),
];

/// The most instances of components and core modules that a component may make. Compilers emit far fewer.
const INSTANCES: u64 = 2_000;

#[derive(Clone)]
pub(crate) struct ComponentCompiler {
    engine: Engine,
    cache: Option<CodeCache>,
}

impl ComponentCompiler {
    /// Creates a compiler that caches compiled code in the folder `cache`, or nowhere if it is `None`.
    pub(crate) fn new(cache: Option<&Path>) -> Result<Self> {
        let mut config = Config::new();
        config.wasm_component_model(true);
        // QuickJS guests import task.cancel, which belongs to this feature.
        config.wasm_component_model_async(true);
        config.epoch_interruption(true);
        // A trap is reported by its cause, because addresses in a stripped guest mean nothing to people.
        config.wasm_backtrace_max_frames(None);
        let engine = Engine::new(&config).map_err(|error| {
            Error::Failed(format!("WebAssembly does not start on this machine: {error}"))
        })?;
        Ok(Self { engine, cache: cache.and_then(CodeCache::open) })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles `parts` into one component, or reads the compiled code from the cache. Calls `compiling` before a
    /// compilation, because it takes a moment. If the run is stopped meanwhile, the compilation is abandoned.
    pub(crate) async fn load(
        &self,
        parts: &Arc<Vec<RunComponent>>,
        stop: &StopSignal,
        compiling: impl FnOnce(),
    ) -> Result<Component> {
        let key = self.key(parts);
        if let Some(cached) = self.cache.as_ref().and_then(|cache| cache.read(&self.engine, &key)) {
            return Ok(cached);
        }
        compiling();
        let (compiler, whole) = (self.clone(), Arc::clone(parts));
        let compiled = tokio::task::spawn_blocking(move || compiler.compile(&whole, &key));
        let name = compose::given_files(parts);
        tokio::select! {
            compiled = compiled => compiled.unwrap_or_else(|error| {
                Err(Error::Failed(format!("compiling {name} failed: {error}")))
            }),
            reason = stop.requested() => Err(explain(&name, &Halt::Stopped(reason).trap())),
        }
    }

    fn compile(&self, parts: &[RunComponent], key: &str) -> Result<Component> {
        let name = compose::given_files(parts);
        let encoded = compose::encode(parts)?;
        // If the bytes cannot be read, the compiler below says why.
        if instance_count::count_instances(&encoded).is_ok_and(|count| count > INSTANCES) {
            return Err(Error::Input(format!(
                "{name} makes more than {INSTANCES} instances of components and modules: make it of fewer"
            )));
        }
        let component = Component::new(&self.engine, &encoded).map_err(|error| {
            Error::Input(format!("{name} is not a valid component: {}", root_cause(&error)))
        })?;
        if let Some(cache) = &self.cache {
            cache.write(key, &component);
        }
        Ok(component)
    }

    /// The cache key: a digest of everything that the compiled code depends on. That is each part with its roles, the
    /// tools that make one component of them, and wasmtime with its configuration.
    fn key(&self, parts: &[RunComponent]) -> String {
        let mut hash = Fingerprint(Sha256::new());
        std::hash::Hash::hash(&self.engine.precompile_compatibility_hash(), &mut hash);
        std::hash::Hash::hash(&MADE_BY, &mut hash);
        for part in parts {
            std::hash::Hash::hash(&(&part.roles, &part.bytes), &mut hash);
        }
        format!("{:x}", hash.0.finalize())
    }
}

/// Feeds values that only implement [`std::hash::Hash`] into SHA-256.
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
pub(crate) fn root_cause(error: &wasmtime::Error) -> String {
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
