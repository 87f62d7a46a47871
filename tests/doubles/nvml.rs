//! A double of `libnvidia-ml.so.1` whose GPUs replay readings, row by row. It takes the place of the real library, below the
//! binding crate and all of our code. It is compiled by itself, on std alone (`support::Hardware`).
//!
//! `LLEM_TEST_NVML` names a CSV file, or a folder of one for each card (see `cards.rs`), whose rows are valid from their time on:
//! `t_ms,energy_mj,power_mw,temperature,sm_mhz,memory_mhz,utilisation,throttle_bits,status,memory_by,process_by`; `status`
//! is what every call returns (0 success, 4 no permission, 15 the GPU is lost). An empty power means a card without the
//! field of instantaneous power, an empty energy a card without the counter, an empty `process_by` (memory of the calling
//! process) a card that lists only another process. Rows may have fewer columns. Time starts at nvmlInit. A file beside a single
//! trace, with `.next` after its name, takes the trace's place from the moment on at which it is there.
#![allow(non_snake_case)]

#[path = "cards.rs"]
mod cards;
#[path = "draws.rs"]
mod draws;
#[path = "kernel_clock.rs"]
mod kernel_clock;

use cards::{Card, cards};
use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void},
    sync::OnceLock,
    time::{Duration, Instant},
};

const INVALID_ARGUMENT: c_int = 2;
const NOT_SUPPORTED: c_int = 3;
const NOT_FOUND: c_int = 6;
const INSUFFICIENT_SIZE: c_int = 7;
/// `NVML_FI_DEV_POWER_INSTANT`
const POWER_INSTANT: c_uint = 186;
/// `NVML_VALUE_TYPE_UNSIGNED_INT`
const UNSIGNED_INT: c_uint = 1;
/// `NVML_CLOCK_SM` and `NVML_CLOCK_MEM`
const CLOCK_MEMORY: c_uint = 2;

struct Row {
    at: u128,
    /// The columns after the time, in the order of the header.
    values: Vec<Option<u64>>,
}

/// The traces of all cards, and their start.
static TRACES: OnceLock<(Instant, Vec<Vec<Row>>)> = OnceLock::new();

fn traces() -> &'static (Instant, Vec<Vec<Row>>) {
    TRACES.get_or_init(|| (Instant::now(), cards().iter().map(|card| rows(&card.trace)).collect()))
}

fn rows(trace: &str) -> Vec<Row> {
    let row = |line: &str| {
        let mut cells = line.split(',').map(|cell| cell.trim().parse().ok());
        let at = u128::from(cells.next().flatten().expect("a time"));
        Row { at, values: cells.collect() }
    };
    trace.lines().filter(|line| !line.starts_with('#')).skip(1).map(row).collect()
}

/// Returns the rows that have taken the place of the first trace's, if a test has given some.
fn next_rows() -> Option<&'static Vec<Row>> {
    static NEXT: OnceLock<Vec<Row>> = OnceLock::new();
    if NEXT.get().is_none() {
        let mut path = std::env::var_os("LLEM_TEST_NVML")?;
        path.push(".next");
        let trace = std::fs::read_to_string(path).ok()?;
        let _ = NEXT.set(rows(&trace));
    }
    NEXT.get()
}

/// Splits a handle into the index of a card and the number of its instance, which counts from 1 and is 0 for the card itself. A
/// handle is 1000 times the first, plus the second, plus 1; it is not an address.
type Handle = *mut c_void;

fn handle(card: usize, instance: usize) -> Handle {
    std::ptr::without_provenance_mut(1000 * card + instance + 1)
}

fn meant(handle: Handle) -> (usize, usize) {
    let number = handle.addr() - 1;
    (number / 1000, number % 1000)
}

fn card(handle: Handle) -> &'static Card {
    &cards()[meant(handle).0]
}

/// Returns how long a reading of power or energy takes: `LLEM_TEST_NVML_DELAY_MS`.
fn read_slowly() {
    static DELAY: OnceLock<Duration> = OnceLock::new();
    let delay = DELAY.get_or_init(|| {
        let ms = std::env::var("LLEM_TEST_NVML_DELAY_MS").ok();
        Duration::from_millis(ms.and_then(|ms| ms.parse().ok()).unwrap_or(0))
    });
    std::thread::sleep(*delay);
}

/// Returns the value of a column now, or the error status of the call.
fn now(handle: Handle, column: usize) -> Result<u64, c_int> {
    let shown = &draws::shown()[meant(handle).0];
    if card(handle).power.is_some() && column < 2 {
        let value = if column == 0 { &shown.energy } else { &shown.power };
        return Ok(value.load(std::sync::atomic::Ordering::Relaxed));
    }
    let (began, traces) = traces();
    let rows = next_rows().unwrap_or(&traces[meant(handle).0]);
    let elapsed = began.elapsed().as_millis();
    let row = &rows[rows.partition_point(|row| row.at <= elapsed).max(1) - 1];
    match row.values[7].unwrap_or_default() as c_int {
        0 => row.values.get(column).copied().flatten().ok_or(NOT_SUPPORTED),
        status => Err(status),
    }
}

/// Writes a value through the caller's pointer.
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
    traces();
    0
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_: c_uint) -> c_int {
    traces();
    0
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> c_int {
    answer(count, Ok(cards().len() as c_uint))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, to: *mut Handle) -> c_int {
    let index = index as usize;
    answer(to, if index < cards().len() { Ok(handle(index, 0)) } else { Err(INVALID_ARGUMENT) })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, to: *mut Handle) -> c_int {
    // SAFETY: NVML's contract: the caller's text ends with a zero.
    let uuid = unsafe { CStr::from_ptr(uuid) }.to_str().expect("a UUID");
    let found = cards().iter().enumerate().find_map(|(index, card)| {
        let all = [&card.uuid].into_iter().chain(card.instances.iter().flatten());
        all.into_iter().position(|known| known == uuid).map(|instance| handle(index, instance))
    });
    answer(to, found.ok_or(NOT_FOUND))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByPciBusId_v2(bus: *const c_char, to: *mut Handle) -> c_int {
    // SAFETY: NVML's contract: the caller's text ends with a zero.
    let bus = unsafe { CStr::from_ptr(bus) }.to_str().expect("a place").to_uppercase();
    // A PCI domain has four or eight digits.
    let found = cards().iter().position(|card| card.bus == bus || card.bus[4..] == bus);
    answer(to, found.map(|index| handle(index, 0)).ok_or(NOT_FOUND))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetName(of: Handle, name: *mut c_char, length: c_uint) -> c_int {
    text(name, length, &card(of).name)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUUID(of: Handle, uuid: *mut c_char, length: c_uint) -> c_int {
    let (card, instance) = meant(of);
    let card = &cards()[card];
    match (instance, &card.instances) {
        (0, _) => text(uuid, length, &card.uuid),
        (number, Some(all)) => text(uuid, length, &all[number - 1]),
        (_, None) => INVALID_ARGUMENT,
    }
}

/// `nvmlPciInfo_t`
#[repr(C)]
struct Pci {
    legacy: [u8; 16],
    domain: c_uint,
    bus: c_uint,
    device: c_uint,
    id: c_uint,
    subsystem: c_uint,
    text: [u8; 32],
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPciInfo_v3(of: Handle, to: *mut Pci) -> c_int {
    let bus = &card(of).bus;
    let mut parts = bus.split([':', '.']).map(|part| c_uint::from_str_radix(part, 16).expect("digits"));
    let mut next = || parts.next().unwrap_or_default();
    let (mut legacy, mut text) = ([0; 16], [0; 32]);
    legacy[..bus.len() - 4].copy_from_slice(&bus.as_bytes()[4..]);
    text[..bus.len()].copy_from_slice(bus.as_bytes());
    answer(to, Ok(Pci { legacy, domain: next(), bus: next(), device: next(), id: 0, subsystem: 0, text }))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMaxMigDeviceCount(_: Handle, count: *mut c_uint) -> c_int {
    answer(count, Ok(7))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(of: Handle, index: c_uint, to: *mut Handle) -> c_int {
    let (index, known) = (index as usize, card(of).instances.as_ref().map_or(0, Vec::len));
    answer(to, if index < known { Ok(handle(meant(of).0, index + 1)) } else { Err(NOT_FOUND) })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(of: Handle, to: *mut Handle) -> c_int {
    answer(to, Ok(handle(meant(of).0, 0)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceIsMigDeviceHandle(of: Handle, is_instance: *mut c_uint) -> c_int {
    answer(is_instance, Ok(c_uint::from(meant(of).1 > 0)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> c_int {
    text(version, length, "550.54.15")
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: *mut c_int) -> c_int {
    answer(version, Ok(12_040))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPersistenceMode(_: Handle, mode: *mut c_uint) -> c_int {
    answer(mode, Ok(1))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTotalEnergyConsumption(of: Handle, energy: *mut c_ulonglong) -> c_int {
    read_slowly();
    answer(energy, now(of, 0))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerUsage(of: Handle, power: *mut c_uint) -> c_int {
    read_slowly();
    answer(power, now(of, 1).map(|power| power as c_uint))
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
extern "C" fn nvmlDeviceGetFieldValues(of: Handle, count: c_int, values: *mut FieldValue) -> c_int {
    // SAFETY: NVML's contract: the caller has `count` of them.
    for value in unsafe { std::slice::from_raw_parts_mut(values, count as usize) } {
        let power = if value.field == POWER_INSTANT { now(of, 1) } else { Err(NOT_SUPPORTED) };
        (value.kind, value.status) = (UNSIGNED_INT, power.err().unwrap_or(0));
        value.value = power.unwrap_or_default();
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetEnforcedPowerLimit(_: Handle, limit: *mut c_uint) -> c_int {
    answer(limit, Ok(700_000))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperature(of: Handle, _: c_uint, temperature: *mut c_uint) -> c_int {
    answer(temperature, now(of, 2).map(|degrees| degrees as c_uint))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetClockInfo(of: Handle, kind: c_uint, clock: *mut c_uint) -> c_int {
    answer(clock, now(of, if kind == CLOCK_MEMORY { 4 } else { 3 }).map(|clock| clock as c_uint))
}

/// `nvmlUtilization_t`
#[repr(C)]
struct Utilisation {
    gpu: c_uint,
    memory: c_uint,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUtilizationRates(of: Handle, rates: *mut Utilisation) -> c_int {
    answer(rates, now(of, 5).map(|gpu| Utilisation { gpu: gpu as c_uint, memory: 0 }))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCurrentClocksThrottleReasons(of: Handle, reasons: *mut c_ulonglong) -> c_int {
    answer(reasons, now(of, 6))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigMode(of: Handle, current: *mut c_uint, pending: *mut c_uint) -> c_int {
    let mode = Ok(c_uint::from(card(of).instances.is_some()));
    answer(pending, mode);
    answer(current, mode)
}

/// `nvmlMemory_v2_t`
#[repr(C)]
struct Memory {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo_v2(of: Handle, to: *mut Memory) -> c_int {
    let total = 80 << 30;
    let memory = |used| Memory { version: 2, total, reserved: 0, free: total - used, used };
    answer(to, now(of, 8).map(memory))
}

/// `nvmlProcessInfo_t`
#[derive(Clone)]
#[repr(C)]
struct Process {
    process: c_uint,
    memory: c_ulonglong,
    instance: c_uint,
    compute_instance: c_uint,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    of: Handle,
    count: *mut c_uint,
    to: *mut Process,
) -> c_int {
    let process = |process, memory| Process {
        process,
        memory,
        instance: c_uint::MAX,
        compute_instance: c_uint::MAX,
    };
    let ours = match now(of, 9) {
        Ok(memory) => Some(process(std::process::id(), memory)),
        Err(NOT_SUPPORTED) => None,
        Err(status) => return status,
    };
    let listed = [process(c_uint::MAX, 1 << 30)].into_iter().chain(ours);
    // SAFETY: NVML's contract: `count` tells how many `to` has room for, or `to` is null, and takes how many there are.
    let room = unsafe { count.replace(listed.clone().count() as c_uint) };
    if to.is_null() || (room as usize) < listed.clone().count() {
        return INSUFFICIENT_SIZE;
    }
    for (index, process) in listed.enumerate() {
        // SAFETY: there is room for as many.
        unsafe { to.add(index).write(process) };
    }
    0
}

/// `NVML_DEVICE_ARCH_HOPPER`
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetArchitecture(_: Handle, architecture: *mut c_uint) -> c_int {
    answer(architecture, Ok(9))
}
