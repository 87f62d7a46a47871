//! The WIT imports of `wit/` as Rust traits. Exports are called by name, so they have no bindings.
//!
//! Each host call is a `tracing` span that names its interface and its function, with an event for the call and one for
//! the return. They have the level TRACE, which wasmtime's macro sets. The program's log filter shows them with
//! `LLEM_LOG=debug`.
#![allow(missing_docs, unreachable_pub, reason = "generated; the documentation is in wit/")]

/// The interfaces that a component may import.
pub mod imports {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "host",
        imports: {
            // Long calls are async, so that a deadline or Ctrl-C ends the wait.
            "llem:experiment/models.[static]model.load": async | tracing | trappable,
            "llem:experiment/models.[method]model.generate": async | tracing | trappable,
            "llem:experiment/models.[method]model.score": async | tracing | trappable,
            "llem:experiment/models.[method]model.score-rolling": async | tracing | trappable,
            "llem:experiment/models.[method]model.open-batch": async | tracing | trappable,
            "llem:experiment/models.[method]model.attach-adapter": async | tracing | trappable,
            "llem:experiment/models.[method]model.merge-adapter": async | tracing | trappable,
            "llem:experiment/models.[method]model.unmerge-adapter": async | tracing | trappable,
            "llem:experiment/models.[method]model.detach-adapter": async | tracing | trappable,
            "llem:experiment/models.[method]model.use-adapter": async | tracing | trappable,
            "llem:experiment/models.[method]tokenizer.encode": async | tracing | trappable,
            "llem:experiment/models.[method]tokenizer.decode": async | tracing | trappable,
            "llem:experiment/models.[method]tokenizer.apply-chat-template": async | tracing | trappable,
            // The drop of a model or batch is async because its memory is free when the drop returns.
            "llem:experiment/models.[drop]model": async | tracing | trappable,
            "llem:experiment/batches.[drop]batch": async | tracing | trappable,
            "llem:experiment/batches.[method]batch.submit": async | tracing | trappable,
            "llem:experiment/batches.[method]batch.submit-after": async | tracing | trappable,
            "llem:experiment/batches.[method]batch.step": async | tracing | trappable,
            "llem:experiment/batches.[method]batch.run-until": async | tracing | trappable,
            "llem:experiment/batches.[method]batch.run-until-end": async | tracing | trappable,
            "llem:experiment/batches.[method]batch.run-until-token": async | tracing | trappable,
            "llem:experiment/batches.[method]batch.drain": async | tracing | trappable,
            "llem:experiment/batches.[method]batch.choose": async | tracing | trappable,
            "llem:experiment/batches.[method]batch.sequence-energy": async | tracing | trappable,
            "llem:experiment/meter.[static]window.open": async | tracing | trappable,
            "llem:experiment/meter.[static]window.close": async | tracing | trappable,
            "llem:experiment/meter.[static]baseline.measure": async | tracing | trappable,
            "llem:experiment/meter.[static]baseline.recall-or-measure": async | tracing | trappable,
            "llem:experiment/meter.sleep-until": async | tracing | trappable,
            "llem:experiment/meter.wait-until-power-steady": async | tracing | trappable,
            "llem:experiment/meter.wait-until-temperature-steady": async | tracing | trappable,
            // All other calls are short and stay on this thread.
            default: tracing | trappable,
        },
        with: {
            "llem:experiment/devices.device": crate::resources::Hardware,
            "llem:experiment/devices.state": crate::resources::HardwareState,
            "llem:experiment/meter.measurement": crate::resources::Measurement,
            "llem:experiment/meter.window": crate::window::open_window::OpenWindow,
            "llem:experiment/meter.baseline": crate::window::baseline::DatedBaseline,
            "llem:experiment/requests.request": crate::resources::RequestDraft,
            "llem:experiment/generations.completion": crate::resources::CompletedSequence,
            "llem:experiment/generations.generation": crate::resources::GenerationResult,
            "llem:experiment/generations.scoring": crate::resources::ScoringResult,
            "llem:experiment/batches.batch-options": llem_engine::BatchOptions,
            "llem:experiment/batches.progress": crate::resources::BatchProgress,
            "llem:experiment/batches.logits": crate::resources::NextTokenLogits,
            "llem:experiment/batches.batch": crate::batch::open_batch::OpenBatch,
            "llem:experiment/models.load-options": crate::resources::LoadOptionsDraft,
            "llem:experiment/models.tokenizer": llem_engine::TextTools,
            "llem:experiment/models.adapter": llem_engine::ActiveAdapter,
            "llem:experiment/models.model": crate::loaded_model::LoadedModel,
            "llem:experiment/flops.shape": crate::resources::FlopShape,
            "llem:experiment/flops.estimate": crate::resources::FlopCounts,
            "llem:experiment/inputs.dataset": crate::dataset::OpenDataset,
            "llem:experiment/inputs.random": crate::random_stream::RandomStream,
            "llem:experiment/report.phase": crate::run::phase_stack::OpenPhase,
            "llem:experiment/description.about": crate::about::About,
            "llem:experiment/trials.trial": crate::resources::Trial,
            "llem:experiment/trials.schedule": crate::resources::Schedule,
            "llem:experiment/trials.session": crate::resources::Session,
        },
        require_store_data_send: true,
    });
}

pub use imports::llem::experiment::{
    batches, description, devices, facts, flops, generations, inputs, meter, models, report,
    requests, trials, types,
};
