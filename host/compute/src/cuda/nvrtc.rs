//! NVRTC, which compiles kernels to machine code for one GPU architecture.

use super::functions::{Nvrtc, describe};
use crate::{Error, KernelSource, Result, kernel_headers::HEADERS};
use cudarc::nvrtc::sys::_nvrtcProgram;
use std::{
    ffi::{CString, c_char},
    ptr,
};

/// Options for every kernel, besides its macros. `scripts/tools/compile-kernels` uses the same.
pub(super) const OPTIONS: [&str; 2] = ["--std=c++17", "-default-device"];

/// `NVRTC_ERROR_INVALID_OPTION`. NVRTC returns it for an architecture that is newer than itself.
const INVALID_OPTION: u32 = 5;

/// Returns NVRTC's name of a GPU's architecture from its compute capability. The letter `a` lets kernels use
/// instructions that only this architecture has.
pub(super) fn architecture((major, minor): (usize, usize)) -> String {
    let letter = if major >= 9 { "a" } else { "" };
    format!("sm_{major}{minor}{letter}")
}

/// Returns NVRTC's version, for example `13.0`.
pub(super) fn version(nvrtc: &Nvrtc) -> String {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: the call writes two numbers, and does not fail for these addresses.
    unsafe { (nvrtc.nvrtcVersion)(&raw mut major, &raw mut minor) };
    format!("{major}.{minor}")
}

/// A program of NVRTC. It is destroyed on drop.
struct NvrtcProgram {
    nvrtc: &'static Nvrtc,
    handle: *mut _nvrtcProgram,
}

impl Drop for NvrtcProgram {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handle.
        unsafe { (self.nvrtc.nvrtcDestroyProgram)(&raw mut self.handle) };
    }
}

impl NvrtcProgram {
    /// Calls two functions of NVRTC, of which `size` returns a number of bytes and `get` the bytes.
    fn bytes(
        &self,
        size: unsafe extern "C" fn(*mut _nvrtcProgram, *mut usize) -> u32,
        get: unsafe extern "C" fn(*mut _nvrtcProgram, *mut c_char) -> u32,
    ) -> std::result::Result<Vec<u8>, u32> {
        let mut length = 0;
        // SAFETY: the call writes a number.
        match unsafe { size(self.handle, &raw mut length) } {
            0 => {}
            status => return Err(status),
        }
        let mut bytes = vec![0u8; length];
        // SAFETY: there is room for as many bytes as it said.
        match unsafe { get(self.handle, bytes.as_mut_ptr().cast()) } {
            0 => Ok(bytes),
            status => Err(status),
        }
    }
}

pub(super) fn compile(
    nvrtc: &'static Nvrtc,
    source: &KernelSource,
    architecture: &str,
) -> Result<Vec<u8>> {
    let describe = |status| {
        // SAFETY: the function is NVRTC's.
        unsafe { describe(nvrtc.nvrtcGetErrorString, status) }
    };
    let failed = |log: String| Error::Compile { kernel: source.file.to_owned(), log };
    let text = |text: &str| {
        CString::new(text).map_err(|_| failed("there is a zero byte in it".to_owned()))
    };
    let texts = |texts: Vec<&str>| texts.into_iter().map(text).collect::<Result<Vec<CString>>>();
    let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();

    let (program_text, name) = (text(source.text)?, text(&format!("{}.cu", source.file))?);
    let header_texts = texts(HEADERS.iter().map(|(_, text)| *text).collect())?;
    let header_names = texts(HEADERS.iter().map(|(name, _)| *name).collect())?;
    let mut program = NvrtcProgram { nvrtc, handle: ptr::null_mut() };
    // SAFETY: the texts end with zero and live; there are as many headers as names.
    let status = unsafe {
        (nvrtc.nvrtcCreateProgram)(
            &raw mut program.handle,
            program_text.as_ptr(),
            name.as_ptr(),
            HEADERS.len() as i32,
            pointers(&header_texts).as_ptr(),
            pointers(&header_names).as_ptr(),
        )
    };
    if status != 0 {
        return Err(failed(describe(status)));
    }

    let defines =
        source.defines.iter().map(|(name, value)| format!("--define-macro={name}={value}"));
    let own: Vec<_> =
        [format!("--gpu-architecture={architecture}")].into_iter().chain(defines).collect();
    let options = texts(OPTIONS.into_iter().chain(own.iter().map(String::as_str)).collect())?;
    // SAFETY: the program lives, and so do the texts.
    let status = unsafe {
        (nvrtc.nvrtcCompileProgram)(
            program.handle,
            options.len() as i32,
            pointers(&options).as_ptr(),
        )
    };
    if status == INVALID_OPTION {
        return Err(Error::Missing(format!(
            "`--device cuda` needs a compiler that knows {architecture}, and NVRTC {} at {} does not: install a newer one",
            version(nvrtc),
            nvrtc.path.display()
        )));
    }
    if status != 0 {
        let log = program.bytes(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog);
        let log = String::from_utf8_lossy(&log.unwrap_or_default()).into_owned();
        let log = log.trim_end_matches('\0').trim();
        return Err(failed(format!("{}: {log}", describe(status))));
    }
    program
        .bytes(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN)
        .map_err(|status| failed(describe(status)))
}
