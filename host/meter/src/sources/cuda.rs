//! The GPUs that CUDA shows to this process, as its driver tells them.
//!
//! ```text
//! CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER ─▶ libcuda.so.1 ─▶ cuda:0, cuda:1, ... ─▶ UUID ─▶ a card of NVML's
//! ```
//!
//! CUDA numbers GPUs from the fastest to the slowest unless `CUDA_DEVICE_ORDER` says otherwise (CUDA C++ Programming
//! Guide, environment variables), and NVML by their place on the PCI bus. A number of the one means nothing to the
//! other, so that only UUIDs are carried between them.

use libloading::Library;
use std::{
    ffi::{CStr, c_char, c_int, c_uint},
    fmt::Write,
    sync::OnceLock,
};

/// What an application is linked against; without it, no process of this machine can compute on a GPU.
const LIBRARY: &str = "libcuda.so.1";

/// `CUDA_ERROR_NO_DEVICE`, also where `CUDA_VISIBLE_DEVICES` hides all there are.
const NO_DEVICE: c_int = 100;

/// Bytes for a PCI bus id with its end: `[domain]:[bus]:[device].[function]` has 13 (CUDA Driver API,
/// cuDeviceGetPCIBusId), or more where the domain has 8 digits.
const BUS_LENGTH: c_int = 32;

/// A device of CUDA's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The digits of its UUID, in groups: that of a card, or of a MIG instance, of which CUDA does not tell which.
    pub digits: Option<String>,
    /// Where its card is on the PCI bus: `0000:3B:00.0`.
    pub bus: Option<String>,
}

/// What CUDA's driver has told.
pub struct Driver {
    /// In CUDA's order.
    pub devices: Vec<Shown>,
    /// The newest CUDA that it can run: `12.4`.
    pub version: Option<String>,
    /// Kept: CUDA does not bear to be unloaded.
    _library: Library,
}

/// CUDA's driver, which is asked once: it reads its environment once, too. Or why it cannot be asked.
pub fn driver() -> Result<&'static Driver, &'static str> {
    static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();
    DRIVER.get_or_init(Driver::ask).as_ref().map_err(String::as_str)
}

impl Driver {
    fn ask() -> Result<Self, String> {
        // SAFETY: loading runs the initialisers of NVIDIA's own library, which any CUDA program runs.
        let library = unsafe { Library::new(LIBRARY) }
            .map_err(|error| format!("CUDA's driver cannot be loaded: {error}"))?;
        let version = version(&library);
        let devices = devices(&library)?;
        Ok(Self { devices, version, _library: library })
    }
}

fn version(library: &Library) -> Option<String> {
    let mut version: c_int = 0;
    // SAFETY: the signature is that of cuda.h; it writes one number, and needs no cuInit.
    let status = unsafe {
        library.get::<unsafe extern "C" fn(*mut c_int) -> c_int>(b"cuDriverGetVersion\0").ok()?(
            &raw mut version,
        )
    };
    (status == 0).then(|| version_text(version))
}

/// 12040 is CUDA 12.4.
pub fn version_text(version: c_int) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

fn devices(library: &Library) -> Result<Vec<Shown>, String> {
    let lacking = |error: libloading::Error| format!("CUDA's driver lacks a function: {error}");
    let failed =
        |call: &str, status: c_int| format!("CUDA's driver fails: {call} returns {status}");
    // SAFETY: the signature is that of cuda.h; flags must be 0.
    let status = unsafe {
        library.get::<unsafe extern "C" fn(c_uint) -> c_int>(b"cuInit\0").map_err(lacking)?(0)
    };
    match status {
        0 => {}
        NO_DEVICE => return Ok(Vec::new()),
        status => return Err(failed("cuInit", status)),
    }
    let mut count: c_int = 0;
    // SAFETY: the signature is that of cuda.h; it writes one number.
    let status = unsafe {
        library
            .get::<unsafe extern "C" fn(*mut c_int) -> c_int>(b"cuDeviceGetCount\0")
            .map_err(lacking)?(&raw mut count)
    };
    if status != 0 {
        return Err(failed("cuDeviceGetCount", status));
    }
    // SAFETY: the signature is that of cuda.h.
    let get = unsafe {
        library
            .get::<unsafe extern "C" fn(*mut c_int, c_int) -> c_int>(b"cuDeviceGet\0")
            .map_err(lacking)?
    };
    let shown = |ordinal: c_int| {
        let mut device: c_int = 0;
        // SAFETY: it writes one number, a handle that is not a pointer.
        match unsafe { get(&raw mut device, ordinal) } {
            0 => Ok(Shown { digits: digits(library, device), bus: bus(library, device) }),
            status => Err(failed("cuDeviceGet", status)),
        }
    };
    (0..count).map(shown).collect()
}

/// The UUID of a device, or of a MIG instance where the driver tells that (CUDA 11.4 and newer).
fn digits(library: &Library, device: c_int) -> Option<String> {
    let names: [&[u8]; 2] = [b"cuDeviceGetUuid_v2\0", b"cuDeviceGetUuid\0"];
    names.into_iter().find_map(|name| {
        let mut octets = [0u8; 16];
        // SAFETY: the signature is that of cuda.h; it writes a CUuuid, which is 16 bytes.
        let status = unsafe {
            library.get::<unsafe extern "C" fn(*mut [u8; 16], c_int) -> c_int>(name).ok()?(
                &raw mut octets,
                device,
            )
        };
        (status == 0).then(|| grouped(&octets))
    })
}

fn bus(library: &Library, device: c_int) -> Option<String> {
    let mut text: [c_char; BUS_LENGTH as usize] = [0; BUS_LENGTH as usize];
    // SAFETY: the signature is that of cuda.h; it writes at most as many bytes as it is told.
    let status = unsafe {
        library
            .get::<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int>(
                b"cuDeviceGetPCIBusId\0",
            )
            .ok()?(text.as_mut_ptr(), BUS_LENGTH, device)
    };
    // SAFETY: the last byte stays zero, for less is written than there is room for.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) };
    (status == 0).then(|| text.to_string_lossy().into_owned())
}

/// 16 octets as RFC 9562 (section 4) writes them.
fn grouped(octets: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, octet) in octets.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of RFC 9562, section 4.
    #[test]
    fn a_uuid_is_written_as_nvml_does() {
        let octets = 0xf81d_4fae_7dec_11d0_a765_00a0_c91e_6bf6_u128.to_be_bytes();
        assert_eq!(grouped(&octets), "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    }

    #[test]
    fn a_version_is_major_and_minor() {
        assert_eq!(version_text(12_040), "12.4");
        assert_eq!(version_text(13_000), "13.0");
    }
}
