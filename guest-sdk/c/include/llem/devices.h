/// The devices of the machine: their properties and their current state, and what is known about the run.
#ifndef LLEM_DEVICES_H
#define LLEM_DEVICES_H

#include "error.h"
#include "model.h"
#include "quantity.h"

/// A device's peak rate of dense matrix products in one number format.
typedef struct llem_peak {
    /// The number format: `f32`, `bf16`, `f16`.
    const char *dtype;
    /// The peak rate in FLOP/s. A multiply-add counts as two operations, and sparsity is not used.
    llem_reading rate;
} llem_peak;

LLEM_LIST(llem_peak_list, llem_peak);

/// The peak rates of a device.
typedef struct llem_peaks {
    /// Whether the rates are known. Otherwise `reason` says why not, and the other fields are empty.
    bool are_known;
    /// The reason why the rates are not known, or `NULL`.
    const char *reason;
    /// The origin of the rates: a datasheet, or what was measured and when.
    const char *origin;
    /// The peak rate of matrix products in each number format.
    llem_peak_list products;
    /// Memory bandwidth, in By/s.
    llem_reading bandwidth;
} llem_peaks;

/// One device of this machine.
typedef struct llem_device {
    /// The id in load options and measurements: `cpu`, `cuda:0`.
    const char *id;
    /// The kind of hardware: `cpu` (the host's processor and its memory), `cuda` (an NVIDIA GPU). Later versions may add
    /// kinds.
    const char *kind;
    /// The vendor's name for the device.
    const char *name;
    /// A unique identifier, or `NULL` if the device has none.
    const char *uuid;
    /// The size of the device's memory in bytes. Absent if it cannot be read.
    llem_optional_u64 memory_bytes;
    /// The major and minor version of the CUDA compute capability, if there is one.
    llem_optional_u32 compute_major, compute_minor;
    /// The peaks in the vendor's datasheet.
    llem_peaks datasheet_peaks;
    /// The peaks that `llem doctor --peaks` last measured on this device.
    llem_peaks measured_peaks;
    /// The source of the device's energy, or `NULL` if it is not measured.
    llem_source energy_source;
    /// The reason why the energy is not measured, or `NULL`.
    const char *energy_reason;
    /// What a reader of the device's numbers should know.
    llem_texts notes;
} llem_device;

LLEM_LIST(llem_device_list, llem_device);

/// The state of a device at one moment. A value that the device does not report is not available, with the reason.
typedef struct llem_device_state {
    /// When the state was read, in ns since the run began.
    uint64_t at;
    /// The power draw, in W.
    llem_reading power;
    /// The temperature, in Cel.
    llem_reading temperature;
    /// The clock of the cores (SM clock on a GPU), in MHz.
    llem_reading core_clock;
    /// The clock of the memory, in MHz.
    llem_reading memory_clock;
    /// The share of its last sampling period in which the device was busy, from 0 to 100 %.
    llem_reading utilisation;
    /// The memory in use by all processes on the device, in By.
    llem_reading memory_used;
    /// The rate of bytes sent and received over PCIe in the last 40 ms, in By/s.
    llem_reading pcie;
    /// The reasons why the clocks are throttled now, in NVML's words. Empty if they are not throttled.
    llem_texts throttle_reasons;
} llem_device_state;

/// Returns the devices of this machine.
llem_device_list llem_list_devices(void);

/// Returns the device of this id. Fails with `LLEM_NOT_FOUND` if there is none.
llem_result llem_find_device(const char *id, llem_device *device);

/// Reads the state of the device of this id.
llem_result llem_read_state(const char *id, llem_device_state *state);

/// The name and text of a fact.
typedef struct llem_fact {
    const char *name;
    const char *value;
} llem_fact;

LLEM_LIST(llem_facts, llem_fact);

/// Returns all facts that are known about this llem and this machine. Later versions may add facts.
llem_facts llem_list_facts(void);

/// Returns when the run began, in seconds since 1970-01-01 UTC.
uint64_t llem_run_began(void);

#endif
