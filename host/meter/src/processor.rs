//! The host's processor, as the files in `/proc` and `/sys` describe it.

use crate::{
    clock::Seconds,
    cpufreq,
    device::{Device, DeviceKind, DeviceState, sensor},
};
use llem_quantity::{Cause, Source, Unavailable};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// Name of the environment variable with the folder that is read in place of `/proc`.
pub const PROC_VARIABLE: &str = "LLEM_PROC";

/// Name of the environment variable with the folder that is read in place of `/sys`.
pub const SYS_VARIABLE: &str = "LLEM_SYS";

/// The folders of the kernel's files. A container may have the host's files elsewhere, and then [`PROC_VARIABLE`] and
/// [`SYS_VARIABLE`] name the folders.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The folder to read in place of `/proc`.
    pub proc: PathBuf,
    /// The folder to read in place of `/sys`.
    pub sys: PathBuf,
}

impl Roots {
    /// Returns `/proc` and `/sys`, or the folders that [`PROC_VARIABLE`] and [`SYS_VARIABLE`] name.
    pub fn from_environment() -> Self {
        let path = |name: &str, usual: &str| {
            let given = std::env::var_os(name).filter(|path| !path.is_empty());
            given.map_or_else(|| PathBuf::from(usual), PathBuf::from)
        };
        Self { proc: path(PROC_VARIABLE, "/proc"), sys: path(SYS_VARIABLE, "/sys") }
    }
}

/// The processor of this machine, or of the machine whose files are in other folders.
#[derive(Clone, Debug)]
pub struct Processor {
    roots: Roots,
    /// The settings, which are read once, because a large machine has a file for each of its threads.
    settings: Arc<OnceLock<BTreeMap<String, String>>>,
}

/// The time that all hardware threads together have spent since the machine started, in the kernel's ticks of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CpuTime {
    /// Ticks in which a hardware thread did work of this machine.
    pub busy: f64,
    /// All ticks: busy, idle, waiting for a disk, and given to another machine by a hypervisor.
    pub all: f64,
    /// The number of hardware threads.
    pub threads: u32,
}

/// One tick in which the kernel counts the time of a hardware thread, s: `USER_HZ` is 100 (proc_stat(5)).
pub(crate) const TICK: Seconds = 0.01;

impl CpuTime {
    /// Returns the share of hardware threads that were busy since `before`, from 0 to 1. Returns `None` if no tick has
    /// passed.
    pub(crate) fn busy_share_since(self, before: Self) -> Option<f64> {
        let all = self.all - before.all;
        (all > 0.0).then(|| ((self.busy - before.busy) / all).clamp(0.0, 1.0))
    }
}

impl Processor {
    /// Creates the processor without reading anything.
    pub fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone(), settings: Arc::default() }
    }

    /// Returns the vendor's name, and the number of hardware threads that this process may use.
    pub fn name(&self) -> String {
        let info = self.proc("cpuinfo").unwrap_or_default();
        let model = field(&info, "model name").unwrap_or("unknown processor");
        let cores = std::thread::available_parallelism().map_or(1, |count| count.get());
        format!("{model}, {cores} threads")
    }

    /// Returns the machine's memory, bytes.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.memory("MemTotal")
    }

    /// Describes the processor as a device. The caller knows its energy source.
    pub(crate) fn describe(&self, energy_source: Result<Source, Unavailable>) -> Device {
        Device {
            id: "cpu".to_owned(),
            kind: DeviceKind::Cpu,
            name: self.name(),
            uuid: None,
            memory_bytes: self.memory_bytes(),
            compute_capability: None,
            energy_source,
            notes: Vec::new(),
            settings: self.settings.get_or_init(|| cpufreq::settings(&self.roots.sys)).clone(),
        }
    }

    /// Reads the processor's state now.
    pub(crate) fn state(&self) -> DeviceState {
        let not_instant = |what: &str| {
            let detail =
                format!("a processor's {what} is a difference of two readings: use a window");
            Err(Unavailable::new(Cause::NotSupported, detail))
        };
        DeviceState {
            power: not_instant("power"),
            temperature: sensor(self.temperature(), "Cel", "the processor's temperature"),
            core_clock: sensor(self.clock(), "MHz", "the processor's clock"),
            memory_clock: sensor(None, "MHz", "the memory's clock"),
            utilisation: not_instant("utilisation"),
            memory_used: sensor(self.memory_used(), "By", "how much memory is in use"),
            pcie: Err(Unavailable::new(Cause::NotSupported, "a processor is not behind PCIe")),
            throttle_reasons: Vec::new(),
        }
    }

    /// Reads how the hardware threads have spent their time (proc_stat(5)). Stolen time is not work of this machine,
    /// because a hypervisor ran another machine then. Waiting for a disk is idle time. `user` and `nice` already contain
    /// the time of this machine's own guests, so the separate guest columns are not added.
    pub(crate) fn time(&self) -> Result<CpuTime, Unavailable> {
        let path = self.roots.proc.join("stat");
        let text = fs::read_to_string(&path).map_err(|error| {
            Unavailable::new(Cause::Unreadable, format!("{}: {error}", path.display()))
        })?;
        let ticks: Vec<f64> = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("cpu "))
            .map(|ticks| {
                ticks.split_whitespace().filter_map(|tick| tick.parse().ok()).take(8).collect()
            })
            .unwrap_or_default();
        // user, nice, system, idle, iowait, irq, softirq, steal. Kernels before 2.6.11 have fewer columns.
        let [user, nice, system, _, _, ref more @ ..] = ticks[..] else {
            let detail = format!("{} does not tell the processor's time", path.display());
            return Err(Unavailable::new(Cause::Unreadable, detail));
        };
        let interrupts: f64 = more.iter().take(2).sum();
        let busy = user + nice + system + interrupts;
        // A line for each thread follows the line of all.
        let threads = text.lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
        let threads = u32::try_from(threads.max(1)).unwrap_or(u32::MAX);
        Ok(CpuTime { busy, all: ticks.iter().sum(), threads })
    }

    /// Reads the first package sensor of the drivers coretemp (Intel) or k10temp (AMD), Cel.
    pub(crate) fn temperature(&self) -> Option<f64> {
        for entry in fs::read_dir(self.roots.sys.join("class/hwmon")).ok()?.flatten() {
            let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            if matches!(name.trim(), "coretemp" | "k10temp") {
                let millidegrees: f64 = number(&entry.path().join("temp1_input"))?;
                return Some(millidegrees / 1000.0);
            }
        }
        None
    }

    /// Reads the mean clock of the hardware threads, MHz.
    pub(crate) fn clock(&self) -> Option<f64> {
        let info = self.proc("cpuinfo")?;
        let lines = info.lines().filter(|line| line.starts_with("cpu MHz"));
        let clocks: Vec<f64> =
            lines.filter_map(|line| line.split(':').nth(1)?.trim().parse().ok()).collect();
        (!clocks.is_empty()).then(|| clocks.iter().sum::<f64>() / clocks.len() as f64)
    }

    /// Reads how often heat has held the package's clock down since the machine started (Intel only).
    pub(crate) fn throttle_count(&self) -> Option<u64> {
        let place = "devices/system/cpu/cpu0/thermal_throttle/package_throttle_count";
        number(&self.roots.sys.join(place))
    }

    /// Reads the memory in use, bytes.
    pub(crate) fn memory_used(&self) -> Option<f64> {
        let (all, free) = self.memory("MemTotal").zip(self.memory("MemAvailable"))?;
        Some(all.saturating_sub(free) as f64)
    }

    fn memory(&self, name: &str) -> Option<u64> {
        let info = self.proc("meminfo")?;
        let kibibytes: u64 = field(&info, name)?.trim_end_matches(" kB").parse().ok()?;
        Some(kibibytes * 1024)
    }

    fn proc(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.roots.proc.join(name)).ok()
    }
}

fn number<T: std::str::FromStr>(file: &Path) -> Option<T> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split(':').nth(1)?.trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// Reads the time of a machine whose `/proc/stat` begins with these ticks.
    fn time(ticks: &str) -> Result<CpuTime, Unavailable> {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("cpu  {ticks}\ncpu0 {ticks}\nctxt 1\n");
        fs::write(folder.path().join("stat"), text).unwrap();
        let roots = Roots { proc: folder.path().to_owned(), sys: folder.path().to_owned() };
        Processor::new(&roots).time()
    }

    #[test]
    fn stolen_idle_and_waiting_time_is_not_busy_and_guests_count_once() {
        // user (30 of it guests'), nice (4 of it guests'), system, idle, iowait, irq, softirq, steal, guest, guest_nice
        let before = time("100 10 50 1000 200 5 6 300 30 4").unwrap();
        assert_eq!(before, CpuTime { busy: 171.0, all: 1671.0, threads: 1 });
        let stolen = time("100 10 50 1000 200 5 6 400 30 4").unwrap();
        assert_eq!(stolen.busy_share_since(before), Some(0.0));
        let waited = time("100 10 50 1050 250 5 6 300 30 4").unwrap();
        assert_eq!(waited.busy_share_since(before), Some(0.0));
        let virtual_machine = time("150 10 50 1050 200 5 6 300 80 4").unwrap();
        assert_eq!(virtual_machine.busy_share_since(before), Some(0.5));
        let interrupted = time("100 10 50 1000 200 30 31 300 30 4").unwrap();
        assert_eq!(interrupted.busy_share_since(before), Some(1.0));
    }

    #[test]
    fn fewer_columns_are_read_and_too_few_refused() {
        assert_eq!(time("7 1 2 80 10").unwrap(), CpuTime { busy: 10.0, all: 100.0, threads: 1 });
        assert!(
            time("7 1 2 80").unwrap_err().detail.contains("does not tell the processor's time")
        );
    }
}
