//! What `wit/` says, as Rust. The documentation of each item is there.
#![allow(missing_docs, clippy::undocumented_unsafe_blocks, reason = "generated")]

pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package llem:sdk;
            world imports {
                include llem:experiment/host@0.1.0;
                import llem:experiment/description@0.1.0;
                import llem:experiment/trials@0.1.0;
            }
        ",
        world: "llem:sdk/imports",
        generate_all,
    });
}

pub use imports::llem::experiment::{
    description, devices, engine, flops, inputs, meter, report, trials, types,
};

pub use description::{About, Clocks, DatasetInput, Parameter};
pub use engine::{
    AdapterInfo, Batch, BatchOptions, Completion, FinishReason, Generation, Message, Model,
    ModelInfo, Prompt, Request, WhenFull,
};
pub use meter::{Measurement, Window};
pub use report::{Level, Metric, Phase};
pub use trials::Trial;
pub use types::{Dtype, Quantity, Sampling, Source, Value};

/// Generates the exports of one world over the shared imports.
macro_rules! world {
    ($module:ident, $world:literal, $export:literal, $path:literal $(, $interface:literal: $rust:path)*) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../../wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: $export,
                default_bindings_module: $path,
                with: {
                    "llem:experiment/types@0.1.0": crate::bindings::types,
                    "llem:experiment/devices@0.1.0": crate::bindings::devices,
                    "llem:experiment/meter@0.1.0": crate::bindings::meter,
                    "llem:experiment/engine@0.1.0": crate::bindings::engine,
                    "llem:experiment/flops@0.1.0": crate::bindings::flops,
                    "llem:experiment/inputs@0.1.0": crate::bindings::inputs,
                    "llem:experiment/report@0.1.0": crate::bindings::report,
                    "llem:experiment/description@0.1.0": crate::bindings::description,
                    $($interface: $rust,)*
                },
                generate_all,
            });
        }
    };
}

world!(experiment, "experiment", "export_experiment", "llem_sdk::bindings::experiment");
world!(warmup, "warmup", "export_warmup", "llem_sdk::bindings::warmup",
    "llem:experiment/trials@0.1.0": crate::bindings::trials);
world!(workload, "workload", "export_workload", "llem_sdk::bindings::workload",
    "llem:experiment/trials@0.1.0": crate::bindings::trials);
world!(metrics, "metrics", "export_metrics", "llem_sdk::bindings::metrics",
    "llem:experiment/trials@0.1.0": crate::bindings::trials);
