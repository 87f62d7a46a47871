//! The GPUs that CUDA shows to this process, read from CUDA's driver.
//!
//! ```text
//! CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER ─▶ libcuda.so.1 ─▶ cuda:0, cuda:1, ... ─▶ UUID ─▶ a card of NVML's
//! ```
//!
//! CUDA numbers GPUs from the fastest to the slowest unless `CUDA_DEVICE_ORDER` says otherwise (CUDA C++ Programming
//! Guide, environment variables). NVML numbers them by their place on the PCI bus. The two numberings do not match, so
//! only UUIDs are used to go from one to the other.

use libloading::Library;
use llem_quantity::{Cause, Unavailable};
use std::{
    ffi::{CStr, c_char, c_int, c_uint},
    fmt::Write,
    sync::OnceLock,
};

/// The library that CUDA applications are linked against. Without it, no process of this machine can compute on a GPU.
const LIBRARY: &str = "libcuda.so.1";

/// `CUDA_ERROR_NO_DEVICE`, which is also returned if `CUDA_VISIBLE_DEVICES` hides all GPUs.
const NO_DEVICE: c_int = 100;

/// Bytes of the buffer for a PCI bus id and its terminating zero. `[domain]:[bus]:[device].[function]` has 13 (CUDA Driver
/// API, cuDeviceGetPCIBusId), or more if the domain has 8 digits.
const BUS_LENGTH: c_int = 32;

/// A device as CUDA's driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DriverDevice {
    /// The digits of the UUID, in groups. CUDA does not say whether they belong to a card or to a MIG instance.
    pub digits: Option<String>,
    /// The place of the card on the PCI bus, such as `0000:3B:00.0`.
    pub bus: Option<String>,
}

/// The answers of CUDA's driver.
pub(crate) struct CudaDriver {
    /// The devices in CUDA's order.
    pub devices: Vec<DriverDevice>,
    /// The newest CUDA version that the driver supports, such as `12.4`.
    pub version: Option<String>,
    /// The library stays loaded, because CUDA does not support being unloaded.
    _library: Library,
}

/// Returns the answers of CUDA's driver, or why it cannot be loaded or fails. It is asked once per process, because it also
/// reads its environment variables only once.
pub(crate) fn cuda_driver() -> Result<&'static CudaDriver, &'static Unavailable> {
    static DRIVER: OnceLock<Result<CudaDriver, Unavailable>> = OnceLock::new();
    DRIVER.get_or_init(CudaDriver::load).as_ref()
}

impl CudaDriver {
    fn load() -> Result<Self, Unavailable> {
        // SAFETY: loading runs the initialisers of NVIDIA's own library, which any CUDA program runs.
        let library = unsafe { Library::new(LIBRARY) }.map_err(|error| {
            let detail = format!("CUDA's driver cannot be loaded: {error}");
            Unavailable::new(Cause::NoDriver, detail)
        })?;
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

/// Formats a version number of CUDA: 12040 is `12.4`.
pub(crate) fn version_text(version: c_int) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

fn devices(library: &Library) -> Result<Vec<DriverDevice>, Unavailable> {
    let lacking = |error: libloading::Error| {
        let detail = format!("CUDA's driver lacks a function: {error}");
        Unavailable::new(Cause::NotSupported, detail)
    };
    let failed = |call: &str, status: c_int| {
        let detail = format!("CUDA's driver fails: {call} returns {status}");
        Unavailable::new(Cause::Unreadable, detail)
    };
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
    let device = |ordinal: c_int| {
        let mut handle: c_int = 0;
        // SAFETY: it writes one number, a handle that is not a pointer.
        match unsafe { get(&raw mut handle, ordinal) } {
            0 => Ok(DriverDevice { digits: digits(library, handle), bus: bus(library, handle) }),
            status => Err(failed("cuDeviceGet", status)),
        }
    };
    (0..count).map(device).collect()
}

/// Reads the UUID of a device. From CUDA 11.4 on, it is the UUID of the MIG instance if the device is one.
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
    // SAFETY: the signature is that of cuda.h; it writes at most `BUS_LENGTH` bytes.
    let status = unsafe {
        library
            .get::<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int>(
                b"cuDeviceGetPCIBusId\0",
            )
            .ok()?(text.as_mut_ptr(), BUS_LENGTH, device)
    };
    // SAFETY: the last byte stays zero, because the driver writes fewer bytes than the buffer has.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) };
    (status == 0).then(|| text.to_string_lossy().into_owned())
}

/// Writes 16 octets as RFC 9562 (section 4) does.
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
