//! What `wit/` says, as Rust. Imports are generated once; each world's exports refer to them.
#![allow(missing_docs, reason = "generated; the documentation is in wit/")]

/// The interfaces that a component may import, and the types of policies.
pub mod imports {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package llem:runtime;
            world imports {
                include llem:experiment/host@0.1.0;
                import llem:experiment/description@0.1.0;
                import llem:experiment/trials@0.1.0;
            }
        ",
        world: "llem:runtime/imports",
        imports: {
            // Work that takes long: a deadline or Ctrl-C ends the wait.
            "llem:experiment/engine.[static]model.load": async | trappable,
            "llem:experiment/engine.[method]model.tokenize": async | trappable,
            "llem:experiment/engine.[method]model.detokenize": async | trappable,
            "llem:experiment/engine.[method]model.apply-chat-template": async | trappable,
            "llem:experiment/engine.[method]model.generate": async | trappable,
            "llem:experiment/engine.[method]model.score": async | trappable,
            "llem:experiment/engine.[method]model.score-rolling": async | trappable,
            "llem:experiment/engine.[method]model.open-batch": async | trappable,
            "llem:experiment/engine.[method]model.attach-adapter": async | trappable,
            "llem:experiment/engine.[method]model.merge-adapter": async | trappable,
            "llem:experiment/engine.[method]model.unmerge-adapter": async | trappable,
            "llem:experiment/engine.[method]model.detach-adapter": async | trappable,
            "llem:experiment/engine.[method]model.use-adapter": async | trappable,
            // What a model or batch held has been given back when its drop returns.
            "llem:experiment/engine.[drop]model": async | trappable,
            "llem:experiment/engine.[drop]batch": async | trappable,
            "llem:experiment/engine.[method]batch.submit": async | trappable,
            "llem:experiment/engine.[method]batch.step": async | trappable,
            "llem:experiment/engine.[method]batch.cancel": async | trappable,
            "llem:experiment/engine.[method]batch.drain": async | trappable,
            "llem:experiment/engine.[method]batch.sequence-energy": async | trappable,
            "llem:experiment/meter.[static]window.open": async | trappable,
            "llem:experiment/meter.[static]window.close": async | trappable,
            "llem:experiment/meter.measure-baseline": async | trappable,
            "llem:experiment/meter.idle-baseline": async | trappable,
            "llem:experiment/meter.wait-until": async | trappable,
            // The rest never leaves this thread.
            default: trappable,
        },
        with: {
            "llem:experiment/engine.model": crate::models::LoadedModel,
            "llem:experiment/engine.batch": crate::batch::OpenBatch,
            "llem:experiment/meter.window": crate::measure::window::OpenWindow,
            "llem:experiment/inputs.dataset": crate::dataset::Rows,
            "llem:experiment/inputs.random": crate::random::Stream,
            "llem:experiment/report.phase": crate::run::OpenPhase,
        },
        require_store_data_send: true,
    });
}

pub use imports::llem::experiment::{
    description, devices, engine, flops, inputs, meter, report, trials, types,
};

/// Generates the exports of one world over the shared imports.
macro_rules! world {
    ($module:ident, $world:literal $(, $interface:literal: $rust:path)?) => {
        pub mod $module {
            wasmtime::component::bindgen!({
                path: "../../wit",
                world: $world,
                exports: { default: async },
                with: {
                    "llem:experiment/types": crate::bindings::types,
                    "llem:experiment/devices": crate::bindings::devices,
                    "llem:experiment/meter": crate::bindings::meter,
                    "llem:experiment/engine": crate::bindings::engine,
                    "llem:experiment/flops": crate::bindings::flops,
                    "llem:experiment/inputs": crate::bindings::inputs,
                    "llem:experiment/report": crate::bindings::report,
                    "llem:experiment/description": crate::bindings::description,
                    $($interface: $rust,)?
                },
                require_store_data_send: true,
            });
        }
    };
}

world!(experiment, "llem:experiment/experiment");
world!(warmup, "llem:experiment/warmup", "llem:experiment/trials": crate::bindings::trials);
world!(workload, "llem:experiment/workload", "llem:experiment/trials": crate::bindings::trials);
world!(metrics, "llem:experiment/metrics", "llem:experiment/trials": crate::bindings::trials);
