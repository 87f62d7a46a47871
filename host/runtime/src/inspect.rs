//! Describes a component without running it.

use crate::{
    DescribedComponent, Limits, Observer, Result, Script, StopSignal,
    component_compiler::ComponentCompiler, compose, limits::Watchdog, output::Output,
    prepared_run::PreparedRun,
};
use llem_meter::Clock;
use std::{path::Path, sync::Arc};

/// Compiles a component, together with the runner and the policies that it would be composed with, and calls its
/// `describe`. Nothing is granted. Compiled code is cached in the folder `cache`, if there is one.
///
/// ```
/// use llem_runtime::{Observer, ComponentRole, Script, inspect};
///
/// let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/minimal.wat"));
/// let (file, bytes) = ("minimal.wasm".to_owned(), wat::parse_str(text)?);
/// let script = Script { file, bytes, role: None, source: None };
/// let observers: Vec<Box<dyn Observer>> = Vec::new();
/// let inspected = inspect(script, None, Box::new(observers));
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// let components = runtime.block_on(inspected)?;
/// assert_eq!(components.len(), 1);
/// assert_eq!(components[0].component.roles, [ComponentRole::Experiment]);
/// assert_eq!(components[0].about.name, "minimal");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Fails if the file is not a component of this package, or if it does not describe itself correctly.
pub async fn inspect(
    script: Script,
    cache: Option<&Path>,
    observer: Box<dyn Observer>,
) -> Result<Vec<DescribedComponent>> {
    let parts = compose::resolve_parts(vec![script], &Default::default())?;
    let compiler = ComponentCompiler::new(cache)?;
    let (limits, stop) = (Limits::default(), Arc::new(StopSignal::default()));
    let output = Arc::new(Output::new(Clock::start(), observer, limits.output));
    let _watchdog = Watchdog::start(compiler.engine(), Arc::clone(&stop), limits.deadline);
    Ok(PreparedRun::new(&compiler, parts, &output, &limits, &stop).await?.components)
}
