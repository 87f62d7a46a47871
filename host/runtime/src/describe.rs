//! Calls a component's `describe` in a store of its own. There is no run yet, so the call cannot affect one.

use crate::{
    Error, Limits, Result, StopSignal,
    about::About,
    bindings::{description, report::Level},
    compose::ComponentRole,
    error::{Halt, explain},
    exports::find_export,
    limits::Limiter,
    output::Output,
    package::interface_of,
    wasi::{self, WasiClock},
};
use llem_meter::Clock;
use llem_record::Event;
use std::{sync::Arc, time::Duration};
use wasmtime::{
    Engine, Store, StoreContextMut, UpdateDeadline,
    component::{
        Component, HasSelf, Linker, Resource, ResourceTable, ResourceType, Type, Val,
        types::{ComponentFunc, ComponentItem},
    },
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// How long a component may take to start and to return from `describe`. It takes a moment even in interpreted
/// languages.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `describe` returned.
pub(crate) struct ComponentDescription {
    /// The description of the component, or of policies and runner together.
    pub about: About,
    /// The description of each policy that the runner was composed with: warm-up, workload, metrics. Empty for an
    /// experiment.
    pub policies: Vec<About>,
}

/// The data of a store in which only `describe` is called.
pub(crate) struct DescribeData {
    /// The resources that the component holds: its description, and the streams of WASI.
    pub table: ResourceTable,
    limiter: Limiter,
    output: Arc<Output>,
    stop: Arc<StopSignal>,
    wasi: WasiCtx,
}

/// A resource type that has no instance before a run.
struct AbsentResource;

/// Calls `describe` of `component`, which messages call `file`. Log lines and warnings go to `output`.
pub(crate) async fn describe(
    file: &str,
    component: &Component,
    engine: &Engine,
    is_composed: bool,
    output: &Arc<Output>,
    limits: &Limits,
    stop: &Arc<StopSignal>,
) -> Result<ComponentDescription> {
    let failed = |error: wasmtime::Error| explain(file, &limits.explain_limit(error));
    let linker = linker(component, engine).map_err(failed)?;
    let wasi = wasi::empty_world(output, &Arc::new(WasiClock::new(Clock::start())), 0);
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.resources);
    let describing = DescribeData {
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
        let describe =
            find_export(&instance, &mut store, ComponentRole::Experiment.interface(), "describe")?;
        let describe = instance.get_typed_func::<(), (Resource<About>,)>(&mut store, describe)?;
        let (about,) = describe.call_async(&mut store, ()).await?;
        let about = store.data_mut().table.delete(about)?;
        let mut policies = Vec::new();
        if is_composed {
            let describe = find_export(
                &instance,
                &mut store,
                ComponentRole::Runner.interface(),
                "describe-policies",
            )?;
            let describe =
                instance.get_typed_func::<(), (Vec<Resource<About>>,)>(&mut store, describe)?;
            for policy in describe.call_async(&mut store, ()).await?.0 {
                policies.push(store.data_mut().table.delete(policy)?);
            }
        }
        Ok(ComponentDescription { about, policies })
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

/// Links all imports of the component from the llem package. Every call is refused, apart from the interface
/// `description`, logs, warnings and progress.
fn linker(component: &Component, engine: &Engine) -> wasmtime::Result<Linker<DescribeData>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    description::add_to_linker::<DescribeData, HasSelf<DescribeData>>(&mut linker, |store| store)?;
    for (name, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(imported) = item.ty else { continue };
        let Some(interface) = interface_of(name) else { continue };
        if interface == "description" {
            continue;
        }
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
                    instance
                        .resource(export, ResourceType::host::<AbsentResource>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(linker)
}

/// Refuses a call with `not-granted`. A call whose type has no error result ends the component, because any other
/// result would be invented.
fn refuse(call: &str, ty: &ComponentFunc, results: &mut [Val]) -> wasmtime::Result<()> {
    let Some(Type::Result(result)) = ty.results().next() else {
        return Err(Halt::InDescribe(call.to_owned()).trap());
    };
    let has_code = |ty: Type| match ty {
        Type::Record(error) => error.fields().any(|field| field.name == "code"),
        _ => false,
    };
    if !result.err().is_some_and(has_code) {
        return Err(Halt::InDescribe(call.to_owned()).trap());
    }
    let sentence = Halt::InDescribe(call.to_owned()).to_string();
    let error = Val::Record(vec![
        ("code".to_owned(), Val::Enum("not-granted".to_owned())),
        ("message".to_owned(), Val::String(sentence)),
    ]);
    results[0] = Val::Result(Err(Some(Box::new(error))));
    Ok(())
}

fn log(
    store: StoreContextMut<'_, DescribeData>,
    (level, message): (Level, String),
) -> wasmtime::Result<()> {
    let output = &store.data().output;
    output.write_script_event(Event::Log { level: level.name().to_owned(), message })
}

fn warn(store: StoreContextMut<'_, DescribeData>, (message,): (String,)) -> wasmtime::Result<()> {
    let output = &store.data().output;
    output.write_script_event(Event::ScriptWarning { message })
}

impl WasiView for DescribeData {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
