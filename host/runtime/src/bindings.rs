//! What `wit/` says, as Rust: all that is imported. Exports are called by name.
#![allow(missing_docs, reason = "generated; the documentation is in wit/")]

/// The interfaces that a component may import.
pub mod imports {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "host",
        imports: {
            // Work that takes long: a deadline or Ctrl-C ends the wait.
            "llem:experiment/models.[static]model.load": async | trappable,
            "llem:experiment/models.[method]model.generate": async | trappable,
            "llem:experiment/models.[method]model.score": async | trappable,
            "llem:experiment/models.[method]model.score-rolling": async | trappable,
            "llem:experiment/models.[method]model.open-batch": async | trappable,
            "llem:experiment/models.[method]model.attach-adapter": async | trappable,
            "llem:experiment/models.[method]model.merge-adapter": async | trappable,
            "llem:experiment/models.[method]model.unmerge-adapter": async | trappable,
            "llem:experiment/models.[method]model.detach-adapter": async | trappable,
            "llem:experiment/models.[method]model.use-adapter": async | trappable,
            "llem:experiment/models.[method]tokenizer.encode": async | trappable,
            "llem:experiment/models.[method]tokenizer.decode": async | trappable,
            "llem:experiment/models.[method]tokenizer.apply-chat-template": async | trappable,
            // What a model or batch held has been given back when its drop returns.
            "llem:experiment/models.[drop]model": async | trappable,
            "llem:experiment/batches.[drop]batch": async | trappable,
            "llem:experiment/batches.[method]batch.submit": async | trappable,
            "llem:experiment/batches.[method]batch.submit-after": async | trappable,
            "llem:experiment/batches.[method]batch.step": async | trappable,
            "llem:experiment/batches.[method]batch.run-until": async | trappable,
            "llem:experiment/batches.[method]batch.run-until-end": async | trappable,
            "llem:experiment/batches.[method]batch.run-until-token": async | trappable,
            "llem:experiment/batches.[method]batch.drain": async | trappable,
            "llem:experiment/batches.[method]batch.choose": async | trappable,
            "llem:experiment/batches.[method]batch.sequence-energy": async | trappable,
            "llem:experiment/meter.[static]window.open": async | trappable,
            "llem:experiment/meter.[static]window.close": async | trappable,
            "llem:experiment/meter.[static]baseline.measure": async | trappable,
            "llem:experiment/meter.[static]baseline.recall-or-measure": async | trappable,
            "llem:experiment/meter.sleep-until": async | trappable,
            "llem:experiment/meter.wait-until-power-steady": async | trappable,
            "llem:experiment/meter.wait-until-temperature-steady": async | trappable,
            // The rest never leaves this thread.
            default: trappable,
        },
        with: {
            "llem:experiment/devices.device": crate::resources::Hardware,
            "llem:experiment/devices.state": crate::resources::HardwareState,
            "llem:experiment/meter.measurement": crate::resources::Measurement,
            "llem:experiment/meter.window": crate::measure::window::OpenWindow,
            "llem:experiment/meter.baseline": crate::measure::baseline::Dated,
            "llem:experiment/requests.request": crate::resources::Draft,
            "llem:experiment/generations.completion": crate::resources::Completed,
            "llem:experiment/generations.generation": crate::resources::Generated,
            "llem:experiment/generations.scoring": crate::resources::Scored,
            "llem:experiment/batches.batch-options": llem_engine::batch::BatchOptions,
            "llem:experiment/batches.progress": crate::resources::Progress,
            "llem:experiment/batches.logits": crate::resources::Logits,
            "llem:experiment/batches.batch": crate::batch::OpenBatch,
            "llem:experiment/models.load-options": crate::resources::LoadDraft,
            "llem:experiment/models.tokenizer": llem_engine::TextTools,
            "llem:experiment/models.adapter": llem_engine::adapters::Adapted,
            "llem:experiment/models.model": crate::models::LoadedModel,
            "llem:experiment/flops.shape": crate::resources::FlopShape,
            "llem:experiment/flops.estimate": crate::resources::FlopCounts,
            "llem:experiment/inputs.dataset": crate::dataset::Rows,
            "llem:experiment/inputs.random": crate::random::Stream,
            "llem:experiment/report.phase": crate::run::OpenPhase,
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
