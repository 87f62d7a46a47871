//! The settings of a card that change its speed and its power from outside of a run.

use crate::sources::cuda_driver;
use nvml_wrapper::{Device, Nvml, enum_wrappers::device::Clock, error::NvmlError};
use std::collections::BTreeMap;

/// Reads all settings by name, with units. A setting that NVML does not report is absent. NVML does not report whether
/// clocks are locked.
pub(super) fn settings(nvml: &Nvml, device: &Device<'_>) -> BTreeMap<String, String> {
    let watts = |milliwatts: u32| format!("{} W", f64::from(milliwatts) / 1e3);
    let megahertz = |clock: u32| format!("{clock} MHz");
    let all = [
        ("driver", nvml.sys_driver_version()),
        ("cuda", nvml.sys_cuda_driver_version().map(cuda_driver::version_text)),
        ("power-limit", device.enforced_power_limit().map(watts)),
        ("power-limit-default", device.power_management_limit_default().map(watts)),
        ("application-clock-sm", device.applications_clock(Clock::SM).map(megahertz)),
        ("application-clock-memory", device.applications_clock(Clock::Memory).map(megahertz)),
        (
            "application-clock-sm-default",
            device.default_applications_clock(Clock::SM).map(megahertz),
        ),
        ("max-clock-sm", device.max_clock_info(Clock::SM).map(megahertz)),
        ("max-clock-memory", device.max_clock_info(Clock::Memory).map(megahertz)),
        ("auto-boost", device.auto_boosted_clocks_enabled().map(|boost| switch(boost.is_enabled))),
        ("persistence", device.is_in_persistent_mode().map(switch)),
        ("ecc", device.is_ecc_enabled().map(|ecc| switch(ecc.currently_enabled))),
        ("compute-mode", device.compute_mode().map(|mode| format!("{mode:?}"))),
        ("mig", device.mig_mode().map(|mode| switch(mode.current == 1))),
        ("pci-bus", device.pci_info().map(|place| place.bus_id)),
    ];
    let known =
        |(name, value): (&str, Result<String, NvmlError>)| Some((name.to_owned(), value.ok()?));
    all.into_iter().filter_map(known).collect()
}

fn switch(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}
