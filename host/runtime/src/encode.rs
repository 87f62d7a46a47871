//! Encodes WebAssembly files as components. A core module must carry its component type.

use crate::{Error, Result, package_cycle};
use std::{
    borrow::Cow,
    cell::Cell,
    panic::{self, UnwindSafe},
    sync::Once,
};
use wasmparser::Validator;

/// The first bytes of every WebAssembly binary.
const MAGIC: &[u8] = b"\0asm";
/// The version and layer of a core module (Component Model, Binary.md).
const CORE_MODULE: [u8; 4] = [1, 0, 0, 0];

/// Returns a component's bytes: the file itself, or a component that is made from a core module.
pub fn encode_component<'a>(file: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    require_wasm(file, bytes)?;
    if !is_core_module(bytes) {
        return Ok(bytes.into());
    }
    Validator::new().validate_all(bytes).map_err(|error| damaged(file, error.message()))?;
    let refuse = |reason: String| {
        Error::Input(format!(
            "{file} is a core module that cannot be made a component: {reason}; build it against \
             wit/ with wit-bindgen, or for wasm32-wasip2"
        ))
    };
    if let Some([one, other]) = package_cycle::find_cycle(bytes) {
        return Err(refuse(format!("its packages {one} and {other} depend on one another")));
    }
    // The component type is in custom sections, which validation does not read.
    without_panic(|| {
        let encoder = wit_component::ComponentEncoder::default().module(bytes)?;
        encoder.validate(true).encode()
    })
    .ok_or_else(|| refuse("its component type is damaged".to_owned()))?
    .map(Into::into)
    .map_err(|error| refuse(format!("{error:#}").replace('\n', " ")))
}

/// Calls an encoder, which may panic on input that it does not expect. Returns `None` after a panic, of which nothing
/// is printed.
pub(crate) fn without_panic<T>(encoder: impl FnOnce() -> T + UnwindSafe) -> Option<T> {
    thread_local! {
        static IS_SILENT: Cell<bool> = const { Cell::new(false) };
    }
    static SILENCED: Once = Once::new();
    // The panic hook is one for the whole process, so it prints for all other threads.
    SILENCED.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_SILENT.get() {
                print(panic);
            }
        }));
    });
    let before = IS_SILENT.replace(true);
    let done = panic::catch_unwind(encoder);
    IS_SILENT.set(before);
    done.ok()
}

fn is_core_module(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(&CORE_MODULE)
}

/// Refuses bytes that are not WebAssembly.
pub(crate) fn require_wasm(file: &str, bytes: &[u8]) -> Result<()> {
    if bytes.starts_with(MAGIC) {
        return Ok(());
    }
    Err(Error::Input(format!(
        "{file} is not a WebAssembly file (it does not begin with \\0asm): give a component or a core module"
    )))
}

/// The error for a file that begins as WebAssembly and cannot be read to its end.
pub(crate) fn damaged(file: &str, reason: &str) -> Error {
    let reason = reason.replace('\n', " ");
    Error::Input(format!("{file} is a damaged WebAssembly file: {reason}; build or fetch it anew"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNER: &[u8] = include_bytes!("../../../guest-sdk/runner/runner.wasm");

    #[test]
    fn a_module_that_is_cut_anywhere_is_refused() {
        let lengths = (0..RUNNER.len()).step_by(1 << 10).chain(RUNNER.len() - 16..RUNNER.len());
        for length in lengths {
            let refused = encode_component("cut.wasm", &RUNNER[..length]).expect_err("it is cut");
            assert!(refused.to_string().starts_with("cut.wasm is "), "{length}: {refused}");
        }
        assert!(encode_component("whole.wasm", RUNNER).is_ok());
    }

    #[test]
    fn a_damaged_component_type_is_refused() {
        let section = RUNNER.windows(14).position(|bytes| bytes == b"component-type");
        let begin = section.expect("it carries its type");
        for place in (begin..(begin + 4000).min(RUNNER.len())).step_by(13) {
            let mut damaged = RUNNER.to_vec();
            damaged[place] ^= 0xff;
            if let Err(refused) = encode_component("damaged.wasm", &damaged) {
                assert!(refused.to_string().starts_with("damaged.wasm is "), "{refused}");
            }
        }
    }
}
