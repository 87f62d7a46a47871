//! What the world `runner` of `wit/` says, over the SDK's types.
#![allow(missing_docs, clippy::undocumented_unsafe_blocks, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "runner",
    with: {
        "llem:experiment/types@0.1.0": llem_sdk::bindings::types,
        "llem:experiment/devices@0.1.0": llem_sdk::bindings::devices,
        "llem:experiment/meter@0.1.0": llem_sdk::bindings::meter,
        "llem:experiment/engine@0.1.0": llem_sdk::bindings::engine,
        "llem:experiment/flops@0.1.0": llem_sdk::bindings::flops,
        "llem:experiment/inputs@0.1.0": llem_sdk::bindings::inputs,
        "llem:experiment/report@0.1.0": llem_sdk::bindings::report,
        "llem:experiment/description@0.1.0": llem_sdk::bindings::description,
        "llem:experiment/trials@0.1.0": llem_sdk::bindings::trials,
    },
    generate_all,
});
