//! A double of `libnvidia-ml.so.1` with one GPU that replays what NVML told, row by row: it stands where the real library
//! does, below the binding crate and everything of ours. Compiled by itself, on std alone (`support::Hardware`).
//!
//! `LLEM_TEST_NVML` names a CSV file with a row for each moment from which its values hold:
//! `t_ms,energy_mj,power_mw,temperature,sm_mhz,memory_mhz,utilisation,throttle_bits,status`; `status` is what every call
//! returns (0 success, 4 no permission, 15 the GPU is lost). An empty power is a card without the instant field, an empty
//! energy one without the counter. Time begins with nvmlInit.
#![allow(non_snake_case)]

use std::{
    ffi::{c_char, c_int, c_uint, c_ulonglong, c_void},
    sync::OnceLock,
    time::{Duration, Instant},
};

const NOT_SUPPORTED: c_int = 3;
/// `NVML_FI_DEV_POWER_INSTANT`
const POWER_INSTANT: c_uint = 186;
/// `NVML_VALUE_TYPE_UNSIGNED_INT`
const UNSIGNED_INT: c_uint = 1;
/// `NVML_CLOCK_SM` and `NVML_CLOCK_MEM`
const CLOCK_MEMORY: c_uint = 2;

struct Row {
    at: u128,
    /// In the order of the header, after the time.
    values: Vec<Option<u64>>,
}

static TRACE: OnceLock<(Instant, Vec<Row>)> = OnceLock::new();

fn trace() -> &'static (Instant, Vec<Row>) {
    TRACE.get_or_init(|| {
        let path = std::env::var("LLEM_TEST_NVML").expect("LLEM_TEST_NVML names a trace");
        let text = std::fs::read_to_string(path).expect("the trace");
        let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
        let row = |line: &str| {
            let mut cells = line.split(',').map(|cell| cell.trim().parse().ok());
            let at = u128::from(cells.next().flatten().expect("a time"));
            Row { at, values: cells.collect() }
        };
        (Instant::now(), lines.map(row).collect())
    })
}

/// How long a reading of power or energy takes: `LLEM_TEST_NVML_DELAY_MS`.
fn read_slowly() {
    static DELAY: OnceLock<Duration> = OnceLock::new();
    let delay = DELAY.get_or_init(|| {
        let ms = std::env::var("LLEM_TEST_NVML_DELAY_MS").ok();
        Duration::from_millis(ms.and_then(|ms| ms.parse().ok()).unwrap_or(0))
    });
    std::thread::sleep(*delay);
}

/// The value of a column now, or what the call returns instead.
fn now(column: usize) -> Result<u64, c_int> {
    let (began, rows) = trace();
    let elapsed = began.elapsed().as_millis();
    let row = &rows[rows.partition_point(|row| row.at <= elapsed).max(1) - 1];
    match row.values[7].unwrap_or_default() as c_int {
        0 => row.values[column].ok_or(NOT_SUPPORTED),
        status => Err(status),
    }
}

/// Writes a value where the caller wants it.
fn answer<T>(to: *mut T, value: Result<T, c_int>) -> c_int {
    match value {
        // SAFETY: NVML's contract: the caller's pointer is to a writable T.
        Ok(value) => unsafe { to.write(value) },
        Err(status) => return status,
    }
    0
}

fn text(to: *mut c_char, length: c_uint, text: &str) -> c_int {
    assert!(text.len() < length as usize);
    // SAFETY: NVML's contract: the caller's buffer holds `length` bytes.
    unsafe {
        to.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
        to.add(text.len()).write(0);
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> c_int {
    trace();
    0
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_: c_uint) -> c_int {
    trace();
    0
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> c_int {
    answer(count, Ok(1))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex_v2(_: c_uint, handle: *mut *mut c_void) -> c_int {
    answer(handle, Ok(std::ptr::dangling_mut()))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetName(_: *mut c_void, name: *mut c_char, length: c_uint) -> c_int {
    text(name, length, "NVIDIA H100 80GB HBM3")
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUUID(_: *mut c_void, uuid: *mut c_char, length: c_uint) -> c_int {
    text(uuid, length, "GPU-00000000-test")
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTotalEnergyConsumption(_: *mut c_void, energy: *mut c_ulonglong) -> c_int {
    read_slowly();
    answer(energy, now(0))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerUsage(_: *mut c_void, power: *mut c_uint) -> c_int {
    read_slowly();
    answer(power, now(1).map(|power| power as c_uint))
}

/// `nvmlFieldValue_t`
#[repr(C)]
struct FieldValue {
    field: c_uint,
    scope: c_uint,
    timestamp: i64,
    latency: i64,
    kind: c_uint,
    status: c_int,
    value: u64,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetFieldValues(_: *mut c_void, count: c_int, values: *mut FieldValue) -> c_int {
    // SAFETY: NVML's contract: the caller has `count` of them.
    for value in unsafe { std::slice::from_raw_parts_mut(values, count as usize) } {
        let power = if value.field == POWER_INSTANT { now(1) } else { Err(NOT_SUPPORTED) };
        (value.kind, value.status) = (UNSIGNED_INT, power.err().unwrap_or(0));
        value.value = power.unwrap_or_default();
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetEnforcedPowerLimit(_: *mut c_void, limit: *mut c_uint) -> c_int {
    answer(limit, Ok(700_000))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperature(_: *mut c_void, _: c_uint, temperature: *mut c_uint) -> c_int {
    answer(temperature, now(2).map(|degrees| degrees as c_uint))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetClockInfo(_: *mut c_void, kind: c_uint, clock: *mut c_uint) -> c_int {
    answer(clock, now(if kind == CLOCK_MEMORY { 4 } else { 3 }).map(|clock| clock as c_uint))
}

/// `nvmlUtilization_t`
#[repr(C)]
struct Utilisation {
    gpu: c_uint,
    memory: c_uint,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUtilizationRates(_: *mut c_void, rates: *mut Utilisation) -> c_int {
    answer(rates, now(5).map(|gpu| Utilisation { gpu: gpu as c_uint, memory: 0 }))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCurrentClocksThrottleReasons(_: *mut c_void, reasons: *mut c_ulonglong) -> c_int {
    answer(reasons, now(6))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigMode(_: *mut c_void, current: *mut c_uint, pending: *mut c_uint) -> c_int {
    let mode = Ok(c_uint::from(std::env::var_os("LLEM_TEST_MIG").is_some()));
    answer(pending, mode);
    answer(current, mode)
}

/// `NVML_DEVICE_ARCH_HOPPER`
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetArchitecture(_: *mut c_void, architecture: *mut c_uint) -> c_int {
    answer(architecture, Ok(9))
}
