//! Values that tools write otherwise than llem.

/// The number format that a tool in Python names, as llem writes it. `Some(None)` is for the checkpoint's own, which
/// needs no option; `None` for a format that llem does not compute in.
pub(crate) fn dtype(name: &str) -> Option<Option<&'static str>> {
    match name.trim_start_matches("torch.") {
        "auto" | "None" | "null" => Some(None),
        "float32" | "float" | "fp32" | "f32" => Some(Some("f32")),
        "bfloat16" | "bf16" => Some(Some("bf16")),
        "float16" | "half" | "fp16" | "f16" => Some(Some("f16")),
        _ => None,
    }
}

/// A device as torch names it, as llem writes it.
pub(crate) fn device(name: &str) -> Option<String> {
    match name.split_once(':') {
        None if name == "cpu" => Some(name.to_owned()),
        None if name == "cuda" || name == "gpu" => Some("cuda:0".to_owned()),
        Some(("cuda", index)) if index.parse::<u32>().is_ok() => Some(name.to_owned()),
        _ => None,
    }
}
