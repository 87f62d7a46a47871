//! Every number format on every instruction set of this processor, compared with transformers and llama.cpp.

use crate::{
    parity::{assert_close, floats, ids},
    support::{CommandOutput, TestContext, fixtures, guest},
};
use safetensors::SafeTensors;
use std::{fs, process::Command};

const PATHS: [&str; 4] = ["portable", "avx2", "avx512", "amx"];
/// Largest difference of f16's logits from those of f32, over their largest magnitude: half of its last bit, accumulated over some layers.
const F16_TOLERANCE: f32 = 4e-3;

/// Returns true if this processor supports an instruction set.
fn has(path: &str) -> bool {
    let mut command =
        TestContext::new().command(&["generate", "synthetic:tiny", "a", "--max-new-tokens", "1"]);
    let ran = CommandOutput::from_output(
        command.env("LLEM_SIMD", path).current_dir("/").output().unwrap(),
    );
    match ran.code {
        Some(0) => true,
        _ => {
            ran.refused(2, &["LLEM_SIMD", path, "this processor has portable"]);
            false
        }
    }
}

/// Runs the tests that compare f32, bf16 and GGUF's formats with transformers and llama.cpp on each instruction set.
#[test]
fn formats_agree_with_peers_on_every_path() {
    assert!(has("portable"));
    for path in PATHS.into_iter().filter(|path| has(path)) {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(["parity::", "gguf::", "simd::f16", "--test-threads", "2"]);
        let output = tests.env("LLEM_SIMD", path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !said.contains(" 0 passed"), "{path}: {said}");
    }
}

#[test]
fn f16_is_f32_within_its_rounding() {
    let folder = fixtures().join("llama/tied");
    let bytes = fs::read(folder.join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let prompt = ids(&tensors, "prompt");
    let (_, logits) = crate::parity::generate(&folder, &prompt, 1, "f16");
    let expected = floats(&tensors, "logits");
    assert_close(&logits, &expected[..logits.len()], F16_TOLERANCE);
}

#[test]
fn a_path_that_is_none_is_refused() {
    let mut command = TestContext::new().command(&["doctor"]);
    CommandOutput::from_output(command.env("LLEM_SIMD", "sse9").current_dir("/").output().unwrap())
        .refused(2, &["LLEM_SIMD=sse9", "portable, avx2, avx512 or amx"]);
}

#[test]
fn the_record_names_the_path() {
    let context = TestContext::new();
    let mut command = context.command(&["exec", &guest("noop")]);
    CommandOutput::from_output(command.env("LLEM_SIMD", "portable").output().unwrap()).ok();
    assert_eq!(context.record()["host"]["simd"], "portable");
}
