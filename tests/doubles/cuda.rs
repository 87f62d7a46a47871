//! A double of `libcuda.so.1` that lists the cards of NVML's double in CUDA's order. It can list devices, and compute nothing. It
//! is compiled by itself, on std alone (`support::Hardware`).
//!
//! `LLEM_TEST_CUDA` holds UUIDs from the fastest card to the slowest; cards that it leaves out come last. With
//! `CUDA_DEVICE_ORDER=PCI_BUS_ID` the order is NVML's. `CUDA_VISIBLE_DEVICES` is obeyed. A card with MIG on is replaced
//! by its first instance. `LLEM_TEST_CUDA_STATUS` is the status that cuInit returns.
#![allow(non_snake_case)]

#[path = "cards.rs"]
mod cards;

use cards::{Card, cards};
use std::{
    env,
    ffi::{c_char, c_int, c_uint},
    sync::OnceLock,
};

const INVALID_VALUE: c_int = 1;
const NO_DEVICE: c_int = 100;
const INVALID_DEVICE: c_int = 101;

struct Shown {
    /// UUID of the card, or of an instance of it.
    uuid: String,
    card: &'static Card,
}

/// Returns the devices that CUDA shows, in its order.
fn shown() -> &'static [Shown] {
    static SHOWN: OnceLock<Vec<Shown>> = OnceLock::new();
    SHOWN.get_or_init(|| {
        let mut order: Vec<&Card> = cards().iter().collect();
        if env::var("CUDA_DEVICE_ORDER").as_deref() != Ok("PCI_BUS_ID") {
            let fastest = env::var("LLEM_TEST_CUDA").unwrap_or_default();
            let fastest: Vec<&str> = fastest.split(',').collect();
            let place = |card: &&Card| fastest.iter().position(|uuid| *uuid == card.uuid).unwrap_or(usize::MAX);
            order.sort_by_key(place);
        }
        let whole = |card: &&'static Card| {
            let instance = card.instances.as_ref().and_then(|all| all.first());
            Shown { uuid: instance.unwrap_or(&card.uuid).clone(), card: *card }
        };
        let Ok(list) = env::var("CUDA_VISIBLE_DEVICES") else { return order.iter().map(whole).collect() };
        // The first invalid entry ends the list.
        list.split(',').map(str::trim).map_while(|item| match item.parse::<usize>() {
            Ok(index) => order.get(index).map(whole),
            Err(_) => named(item, &order),
        })
        .collect()
    })
}

/// Returns the one card or instance whose UUID begins with `prefix`. Before driver R470 an instance is `MIG-GPU-<uuid>/<gi>/<ci>`,
/// here the `gi`th instance.
fn named(item: &str, order: &[&'static Card]) -> Option<Shown> {
    if let Some(legacy) = item.strip_prefix("MIG-GPU-") {
        let mut parts = legacy.split('/');
        let uuid = format!("GPU-{}", parts.next()?);
        let card = order.iter().find(|card| card.uuid == uuid)?;
        let instance = card.instances.as_ref()?.get(parts.next()?.parse::<usize>().ok()?)?;
        return Some(Shown { uuid: instance.clone(), card });
    }
    if !(item.starts_with("GPU-") || item.starts_with("MIG-")) {
        return None;
    }
    let all = order.iter().flat_map(|card| {
        let instances = card.instances.iter().flatten();
        [&card.uuid].into_iter().chain(instances).map(move |uuid| (uuid, *card))
    });
    let all: Vec<(&String, &'static Card)> = all.filter(|(uuid, _)| uuid.starts_with(item)).collect();
    let [(uuid, card)] = all[..] else { return None };
    Some(Shown { uuid: uuid.clone(), card })
}

/// Returns the 16 bytes of a UUID after `GPU-` or `MIG-`.
fn octets(uuid: &str) -> [u8; 16] {
    let digits: String = uuid[4..].chars().filter(|digit| *digit != '-').collect();
    u128::from_str_radix(&digits, 16).expect("a UUID's digits").to_be_bytes()
}

fn device(ordinal: c_int) -> Option<&'static Shown> {
    shown().get(usize::try_from(ordinal).ok()?)
}

#[unsafe(no_mangle)]
extern "C" fn cuInit(flags: c_uint) -> c_int {
    let status = env::var("LLEM_TEST_CUDA_STATUS").ok().and_then(|status| status.parse().ok());
    match (flags, status, shown().is_empty()) {
        (0, Some(status), _) => status,
        (0, None, true) => NO_DEVICE,
        (0, None, false) => 0,
        _ => INVALID_VALUE,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuDriverGetVersion(version: *mut c_int) -> c_int {
    // SAFETY: CUDA's contract: the caller's pointer is to a writable number.
    unsafe { version.write(12_040) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetCount(count: *mut c_int) -> c_int {
    // SAFETY: CUDA's contract: the caller's pointer is to a writable number.
    unsafe { count.write(shown().len() as c_int) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGet(handle: *mut c_int, ordinal: c_int) -> c_int {
    if device(ordinal).is_none() {
        return INVALID_DEVICE;
    }
    // SAFETY: CUDA's contract: the caller's pointer is to a writable number.
    unsafe { handle.write(ordinal) };
    0
}

/// The UUID of an instance is its own.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], handle: c_int) -> c_int {
    let Some(shown) = device(handle) else { return INVALID_DEVICE };
    // SAFETY: CUDA's contract: the caller's pointer is to a writable CUuuid of 16 bytes.
    unsafe { uuid.write(octets(&shown.uuid)) };
    0
}

/// The UUID of an instance is that of its card.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetUuid(uuid: *mut [u8; 16], handle: c_int) -> c_int {
    let Some(shown) = device(handle) else { return INVALID_DEVICE };
    // SAFETY: CUDA's contract: the caller's pointer is to a writable CUuuid of 16 bytes.
    unsafe { uuid.write(octets(&shown.card.uuid)) };
    0
}

/// A PCI domain has four digits in CUDA, eight in NVML.
#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetPCIBusId(bus: *mut c_char, length: c_int, handle: c_int) -> c_int {
    let Some(shown) = device(handle) else { return INVALID_DEVICE };
    let text = &shown.card.bus[4..];
    assert!(text.len() < length as usize);
    // SAFETY: CUDA's contract: the caller's buffer holds `length` bytes.
    unsafe {
        bus.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
        bus.add(text.len()).write(0);
    }
    0
}
