//! RAPL energy counters of CPU packages and their DRAM, through the kernel's powercap files
//! (Documentation/power/powercap/powercap.rst). Intel and AMD both appear as `intel-rapl`.

use super::{Counter, CounterValue, Discovery, Instrument, MeteredDomain, UnmeteredDomain};
use crate::{domain::DomainId, tick_counter::Period};
use llem_quantity::{Cause, Source, Unavailable};
use rustix::fs::fstatfs;
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// The folder of the counters within `/sys`.
const POWERCAP: &str = "class/powercap";

/// Time between two updates, s: about 1 ms (Intel SDM vol. 3B, 15.10.1: energy status is updated each ~1 ms).
const UPDATE_PERIOD: f64 = 1e-3;

/// `f_type` of a file in the kernel's sysfs (linux/magic.h).
const SYSFS_MAGIC: i128 = 0x6265_6572;

/// The longest text of a counter, bytes: 20 digits and the end of the line, rounded up.
const LONGEST: usize = 24;

/// The largest share of its range that a counter can advance between two readings, which are taken many times within one
/// wrap. A lower value than before is a wrap if the remaining range and the new value are below this share. Otherwise
/// the counter was set back.
const LARGEST_STEP: f64 = 0.5;

/// The counter of a package or DRAM domain.
struct RaplDomain {
    path: PathBuf,
    /// The open counter file. At a hundred readings a second, opening it each time would be most of the cost.
    file: File,
    /// Microjoules after which the counter starts over.
    range: u64,
    source: Source,
}

/// Finds the package and DRAM counters of a machine whose `/sys` is the folder `sys`.
pub(crate) fn discover(sys: &Path) -> Discovery {
    let root = sys.join(POWERCAP);
    let mut found = Discovery::default();
    let whole_cpu = |reason| UnmeteredDomain { id: DomainId::unmeasured("cpu"), reason };
    let no_driver = |detail: String| Unavailable::new(Cause::NoDriver, detail);
    let Ok(entries) = fs::read_dir(&root) else {
        let reason = no_driver(format!(
            "no RAPL: {} is missing (a virtual machine or container hides it, or the kernel lacks \
             intel_rapl_common: sudo modprobe intel_rapl_common)",
            root.display()
        ));
        found.unmetered.push(whole_cpu(reason));
        return found;
    };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    for (folder, domain) in folders.iter().filter_map(|folder| Some((folder, domain_name(folder)?)))
    {
        match RaplDomain::open(folder) {
            Ok(counter) => found.metered.push(MeteredDomain {
                id: DomainId::new("cpu", domain),
                at: Some(folder.display().to_string()),
                instrument: Instrument::Counter(Box::new(counter)),
            }),
            Err(reason) => {
                let id = DomainId::new("cpu", domain);
                found.unmetered.push(UnmeteredDomain { id, reason });
            }
        }
    }
    if found.metered.is_empty() {
        let first = found.unmetered.drain(..).next().map(|domain| domain.reason);
        let reason = first.unwrap_or_else(|| {
            no_driver(format!(
                "no RAPL domain in {} (a virtual machine hides it, or: sudo modprobe intel_rapl_msr)",
                root.display()
            ))
        });
        found.unmetered = vec![whole_cpu(reason)];
    }
    found
}

/// Returns the name of a folder's domain, or `None` if it is not a package or DRAM domain. Core and uncore are parts of a
/// package, and psys contains it, so counting them too would count energy twice.
fn domain_name(folder: &Path) -> Option<String> {
    let path = folder.file_name()?.to_str()?.strip_prefix("intel-rapl:")?;
    let label = fs::read_to_string(folder.join("name")).ok()?;
    match label.trim() {
        // All DRAM domains have the same label, so the number of the parent folder is added.
        "dram" => Some(format!("dram-{}", path.split(':').next()?)),
        label if label.starts_with("package") => Some(label.to_owned()),
        _ => None,
    }
}

/// Returns [`Source::Rapl`] if the file is in the kernel's sysfs, also through a bind mount of the host's `/sys`. Plain files
/// are made by a test or a simulation, so they are not a measurement.
fn source(file: &File) -> Source {
    // The type of `f_type` differs from one C library to another.
    let is_sysfs = fstatfs(file).is_ok_and(|system| i128::from(system.f_type) == SYSFS_MAGIC);
    if is_sysfs { Source::Rapl } else { Source::Simulated }
}

impl RaplDomain {
    fn open(folder: &Path) -> Result<Self, Unavailable> {
        let path = folder.join("energy_uj");
        let range = read_number(&folder.join("max_energy_range_uj"))?;
        let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        let source = source(&file);
        let domain = Self { path, file, range, source };
        domain.read()?;
        Ok(domain)
    }
}

impl Counter for RaplDomain {
    fn source(&self) -> Source {
        self.source
    }

    fn period(&self) -> Period {
        Period::Stated(UPDATE_PERIOD)
    }

    fn read(&self) -> Result<CounterValue, Unavailable> {
        // Each read from the start of the file reads the counter again (Documentation/filesystems/sysfs.rst).
        let mut text = [0; LONGEST];
        let length =
            self.file.read_at(&mut text, 0).map_err(|error| unreadable(&self.path, &error))?;
        parse(&self.path, &String::from_utf8_lossy(&text[..length])).map(CounterValue)
    }

    /// The counter starts over at its range. It is read many times within one such wrap.
    fn joules(&self, from: CounterValue, to: CounterValue) -> Result<f64, Unavailable> {
        let wrapped = || self.range.saturating_sub(from.0).saturating_add(to.0);
        let microjoules = if to.0 >= from.0 { to.0 - from.0 } else { wrapped() };
        if microjoules as f64 > self.range as f64 * LARGEST_STEP {
            let detail = format!(
                "{} went from {} to {} µJ, more than between two readings: it was set back, or the machine slept",
                self.path.display(),
                from.0,
                to.0
            );
            return Err(Unavailable::new(Cause::CounterReset, detail));
        }
        Ok(microjoules as f64 * 1e-6)
    }
}

fn read_number(file: &Path) -> Result<u64, Unavailable> {
    parse(file, &fs::read_to_string(file).map_err(|error| unreadable(file, &error))?)
}

fn parse(file: &Path, text: &str) -> Result<u64, Unavailable> {
    let text = text.trim();
    text.parse().map_err(|_| {
        let detail = format!("{} does not hold a number: {text:?}", file.display());
        Unavailable::new(Cause::Unreadable, detail)
    })
}

fn unreadable(file: &Path, error: &io::Error) -> Unavailable {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Unavailable::new(
            Cause::NoPermission,
            format!(
                "{} is readable by root only: sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj \
             /sys/class/powercap/intel-rapl:*:*/energy_uj",
                file.display()
            ),
        ),
        _ => Unavailable::new(Cause::Unreadable, format!("{}: {error}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A powercap tree as the kernel lays it out: one package with core and DRAM domains.
    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder for the tree");
        for (folder, name) in [
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:0:1", "dram"),
            ("intel-rapl-mmio:0", "package-0"),
        ] {
            let path = root.path().join(POWERCAP).join(folder);
            fs::create_dir_all(&path).expect("a domain");
            fs::write(path.join("name"), format!("{name}\n")).expect("its name");
            fs::write(path.join("max_energy_range_uj"), "1000000\n").expect("its range");
            fs::write(path.join("energy_uj"), "999000\n").expect("its energy");
        }
        root
    }

    #[test]
    fn packages_and_dram_are_counted_once() {
        let root = tree();
        let found = discover(root.path());
        let domains: Vec<_> = found.metered.iter().map(|metered| &metered.id.domain[..]).collect();
        assert_eq!(domains, ["package-0", "dram-0"]);
    }

    #[test]
    fn files_in_the_place_of_sysfs_are_no_measurement() {
        let root = tree();
        let found = discover(root.path());
        for metered in found.metered {
            let Instrument::Counter(counter) = metered.instrument else { panic!("a counter") };
            assert_eq!(counter.source(), Source::Simulated);
            let at = metered.at.expect("a folder");
            assert!(at.contains("class/powercap/intel-rapl:0"), "{at}");
        }
        // A file of sysfs that every kernel has.
        let real = File::open("/sys/kernel/uevent_seqnum");
        assert!(real.is_err() || real.is_ok_and(|file| source(&file) == Source::Rapl));
    }

    #[test]
    fn a_wrap_is_not_negative_and_a_counter_set_back_is_told() {
        let root = tree();
        let folder = root.path().join(POWERCAP).join("intel-rapl:0");
        let domain = RaplDomain::open(&folder).expect("a domain");
        let joules = |from, to| domain.joules(CounterValue(from), CounterValue(to));
        assert!((joules(999_000, 2_000).expect("a wrap") - 0.003).abs() < 1e-12);
        assert_eq!(joules(1_000, 1_000), Ok(0.0));
        assert!(joules(200_000, 100_000).is_err());
    }

    #[test]
    fn a_machine_without_it_says_why() {
        let found = discover(Path::new("/nonexistent"));
        assert!(found.metered.is_empty());
        assert!(found.unmetered[0].reason.detail.contains("modprobe"));
        assert_eq!(found.unmetered[0].reason.cause, Cause::NoDriver);
    }
}
