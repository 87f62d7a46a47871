//! Asks a component what it is, in a store of its own: there is no run yet, so no call can touch one.

use crate::{
    Error, Limits, Result, Stop,
    bindings::{description::About, report::Level},
    compose::{PACKAGE, VERSION},
    error::{Halt, explain},
    limits::Limiter,
    output::Output,
    wasi::{self, WasiClock},
};
use llem_meter::Clock;
use llem_record::Event;
use std::{sync::Arc, time::Duration};
use wasmtime::{
    Engine, Store, StoreContextMut, UpdateDeadline,
    component::{
        Component, Linker, ResourceTable, ResourceType, Type, Val,
        types::{ComponentFunc, ComponentItem},
    },
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// A component has this long to start and to say what it is, which takes a moment even in interpreted languages.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a component says of itself.
pub struct Described {
    /// It, or policies and runner as one.
    pub about: About,
    /// Each policy that the runner was composed with: warm-up, workload, metrics. Empty for an experiment.
    pub policies: Vec<About>,
}

/// The data of a store in which only `describe` is called.
struct Describing {
    limiter: Limiter,
    output: Arc<Output>,
    stop: Arc<Stop>,
    table: ResourceTable,
    wasi: WasiCtx,
}

/// A resource of which there is none before a run.
struct Absent;

/// Asks `component`, which is called `file` in messages, what it is. Log lines and warnings go to `output`.
pub async fn describe(
    file: &str,
    component: &Component,
    engine: &Engine,
    is_composed: bool,
    output: &Arc<Output>,
    limits: &Limits,
    stop: &Arc<Stop>,
) -> Result<Described> {
    let failed = |error: wasmtime::Error| explain(file, &limits.named(error));
    let linker = linker(component, engine).map_err(failed)?;
    let wasi = wasi::world(output, &Arc::new(WasiClock::new(Clock::start())), 0);
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.resources);
    let describing = Describing {
        limiter: Limiter::new(limits),
        output: Arc::clone(output),
        stop: Arc::clone(stop),
        table,
        wasi,
    };
    let mut store = Store::new(engine, describing);
    store.limiter(|describing| &mut describing.limiter);
    store.set_hostcall_fuel(limits.call);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| match store.data().stop.reason() {
        Some(reason) => Err(Halt::Stopped(reason).trap()),
        None => Ok(UpdateDeadline::Yield(1)),
    });
    let asked = async {
        let instance = linker.instantiate_async(&mut store, component).await?;
        let describe = instance.get_typed_func::<(), (About,)>(&mut store, "describe")?;
        let (about,) = describe.call_async(&mut store, ()).await?;
        let policies = if is_composed {
            let describe =
                instance.get_typed_func::<(), (Vec<About>,)>(&mut store, "describe-policies")?;
            describe.call_async(&mut store, ()).await?.0
        } else {
            Vec::new()
        };
        Ok(Described { about, policies })
    };
    tokio::select! {
        described = asked => described.map_err(failed),
        _ = tokio::time::sleep(PATIENCE) => Err(Error::Input(format!(
            "{file} has not said what it is within {} s: describe must only do that; wait and compute in run",
            PATIENCE.as_secs()
        ))),
        reason = stop.requested() => Err(failed(Halt::Stopped(reason).trap())),
    }
}

/// Everything that the component imports of the package, refused but for what it says.
fn linker(component: &Component, engine: &Engine) -> wasmtime::Result<Linker<Describing>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    for (name, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(imported) = item.ty else { continue };
        let interface = name.strip_prefix(PACKAGE).and_then(|name| name.strip_suffix(VERSION));
        let Some(interface) = interface else { continue };
        let mut instance = linker.instance(name)?;
        for (export, item) in imported.exports(engine) {
            match (item.ty, interface, export) {
                (ComponentItem::ComponentFunc(_), "report", "log") => {
                    instance.func_wrap(export, log)?;
                }
                (ComponentItem::ComponentFunc(_), "report", "warn") => {
                    instance.func_wrap(export, warn)?;
                }
                (ComponentItem::ComponentFunc(_), "report", "show-progress") => {
                    instance.func_wrap(export, |_, _: (u64, u64, String)| Ok(()))?;
                }
                (ComponentItem::ComponentFunc(_), _, _) => {
                    // `[static]window.open` is a function of a resource.
                    let function = export.rsplit(']').next().unwrap_or(export);
                    let call = format!("{interface}.{function}");
                    instance
                        .func_new(export, move |_, ty, _, results| refuse(&call, &ty, results))?;
                }
                (ComponentItem::Resource(_), _, _) => {
                    instance.resource(export, ResourceType::host::<Absent>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(linker)
}

/// Answers a call with `not-granted`. One that has no way to refuse ends the component: any answer would be a made-up
/// one.
fn refuse(call: &str, ty: &ComponentFunc, results: &mut [Val]) -> wasmtime::Result<()> {
    let Some(Type::Result(result)) = ty.results().next() else {
        return Err(Halt::InDescribe(call.to_owned()).trap());
    };
    let has_case = |ty: Type| match ty {
        Type::Variant(error) => error.cases().any(|case| case.name == "not-granted"),
        _ => false,
    };
    if !result.err().is_some_and(has_case) {
        return Err(Halt::InDescribe(call.to_owned()).trap());
    }
    let sentence = Val::String(Halt::InDescribe(call.to_owned()).to_string());
    let error = Val::Variant("not-granted".to_owned(), Some(Box::new(sentence)));
    results[0] = Val::Result(Err(Some(Box::new(error))));
    Ok(())
}

fn log(
    store: StoreContextMut<'_, Describing>,
    (level, message): (Level, String),
) -> wasmtime::Result<()> {
    let output = &store.data().output;
    output.write(Event::Log { level: level.name().to_owned(), message })
}

fn warn(store: StoreContextMut<'_, Describing>, (message,): (String,)) -> wasmtime::Result<()> {
    let output = &store.data().output;
    output.write(Event::ScriptWarning { message })
}

impl WasiView for Describing {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
