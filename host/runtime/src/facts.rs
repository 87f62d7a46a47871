//! Facts of the build, the machine and its devices, as reports print them: what the record has of them, by name.

use crate::run::Run;
use llem_record::Plan;

/// A fact: its name, and what it is.
pub type Fact = (String, String);

/// Facts of the build and the machine. What is not known is left out.
pub fn of_plan(plan: &Plan) -> Vec<Fact> {
    let (build, host) = (&plan.build, &plan.host);
    let told = [
        ("llem-version", Some(build.version.clone())),
        ("llem-commit", build.revision.clone()),
        ("llem-is-modified", build.is_modified.map(|modified| modified.to_string())),
        ("llem-profile", Some(build.profile.clone())),
        ("rustc", Some(build.rustc.clone())),
        ("target", Some(build.target.clone())),
        ("system", Some(host.system.clone())),
        ("cpu", Some(host.cpu.clone())),
        ("cpu-threads", host.hardware_threads.map(|threads| threads.to_string())),
        ("cpu-kernels", Some(format!("{}, {}", host.kernels, host.simd))),
        ("memory-bytes", host.memory_bytes.map(|bytes| bytes.to_string())),
        ("is-virtual", host.is_virtual.map(|is_virtual| is_virtual.to_string())),
        ("container", host.container.clone()),
    ];
    let known = told.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?)));
    known.filter(|(_, fact)| !fact.is_empty()).collect()
}

/// Facts of the devices: what each was set to when the meter first looked, `cuda:0/power-limit`.
pub fn of_devices(run: &Run) -> Vec<Fact> {
    let devices = run.meter().devices();
    let of_device = |device: llem_meter::Device| {
        let id = device.id;
        let named = device.settings.into_iter().map(move |(name, text)| (format!("{id}/{name}"), text));
        named.collect::<Vec<_>>()
    };
    devices.into_iter().flat_map(of_device).collect()
}
