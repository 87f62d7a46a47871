//! Encodes WebAssembly files as components. A core module must carry its component type. If it imports WASI's preview 1, as
//! modules of clang and of many other compilers do, it is linked with wasmtime's adapter to the WASI of components.

use crate::{ComponentInterface, Error, Result, package_cycle};
use std::{
    borrow::Cow,
    cell::Cell,
    panic::{self, UnwindSafe},
    sync::Once,
};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::Validator;

/// The first bytes of every WebAssembly binary.
const MAGIC: &[u8] = b"\0asm";
/// The version and layer of a core module (Component Model, Binary.md).
const CORE_MODULE: [u8; 4] = [1, 0, 0, 0];

/// Returns the binary form of a file: the text format (`.wat`) is parsed, and a binary is returned as it is.
///
/// ```
/// use llem_runtime::parse_text;
///
/// assert_eq!(parse_text("empty.wat", b"(module)")?, b"\0asm\x01\0\0\0");
/// let refused = parse_text("empty.wat", b"(module").expect_err("a parenthesis is missing");
/// assert!(refused.to_string().starts_with("empty.wat:1:8: expected `)`"), "{refused}");
/// # Ok::<(), llem_runtime::Error>(())
/// ```
///
/// # Errors
/// Fails if the text is not WebAssembly. The message names the line and column.
pub fn parse_text(file: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    if bytes.starts_with(MAGIC) {
        return Ok(bytes.to_vec());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Error::Input(format!("{file} is not WebAssembly text: {error}; save it in UTF-8"))
    })?;
    let parsed = without_panic(|| wat::parse_str(text).map_err(|error| error.to_string()));
    match parsed {
        Some(Ok(binary)) => Ok(binary),
        Some(Err(message)) => Err(unparsable(file, &message)),
        None => Err(unparsable(file, "the parser failed")),
    }
}

/// The error for text that is not WebAssembly, of which the parser's message has the reason and, in the line after it, the
/// place as `--> <anon>:LINE:COLUMN`.
fn unparsable(file: &str, message: &str) -> Error {
    let mut lines = message.lines();
    let reason = lines.next().unwrap_or_default();
    let place = lines.next().and_then(|line| line.trim().strip_prefix("--> <anon>"));
    Error::Input(format!("{file}{}: {reason}; correct the text", place.unwrap_or_default()))
}

/// Refuses a core module of which no component can be made, because it does not say what it imports and exports.
pub(crate) fn require_component_type(file: &str, bytes: &[u8]) -> Result<()> {
    if !is_core_module(bytes) || package_cycle::has_component_type(bytes) {
        return Ok(());
    }
    Err(no_component(file, "it carries no component type"))
}

/// The error for a core module of which no component can be made.
fn no_component(file: &str, reason: &str) -> Error {
    Error::Input(format!(
        "{file} is a core module that cannot be made a component: {reason}; build it against wit/ with wit-bindgen, with an SDK \
         (llem new), or for wasm32-wasip2"
    ))
}

/// Returns a component's bytes: the file itself, or a component that is made from a core module.
pub fn encode_component<'a>(file: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    require_wasm(file, bytes)?;
    if !is_core_module(bytes) {
        return Ok(bytes.into());
    }
    Validator::new().validate_all(bytes).map_err(|error| damaged(file, error.message()))?;
    let refuse = |reason: String| no_component(file, &reason);
    if let Some([one, other]) = package_cycle::find_cycle(bytes) {
        return Err(refuse(format!("its packages {one} and {other} depend on one another")));
    }
    let imports = ComponentInterface::new(file, bytes)?.imports;
    let is_adapted = imports.iter().any(|name| name == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME);
    // The component type is in custom sections, which validation does not read.
    without_panic(|| {
        let mut encoder = wit_component::ComponentEncoder::default().module(bytes)?;
        if is_adapted {
            let adapter = WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
            encoder = encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)?;
        }
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

/// Returns true for a core module, and false for a component.
pub(crate) fn is_core_module(bytes: &[u8]) -> bool {
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
