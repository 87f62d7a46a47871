//! RAPL energy counters of CPU packages and their DRAM, through the kernel's powercap files
//! (Documentation/power/powercap/powercap.rst). Intel and AMD both appear as `intel-rapl`.

use super::{Counter, Found, Instrument, Metered, Raw, Unmetered};
use crate::account::Period;
use llem_quantity::Source;
use rustix::fs::fstatfs;
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Where the kernel keeps them, within `/sys`.
const POWERCAP: &str = "class/powercap";

/// About 1 ms, s (Intel SDM vol. 3B, 15.10.1: energy status is updated each ~1 ms).
const UPDATE_PERIOD: f64 = 1e-3;

/// `f_type` of a file that the kernel's sysfs makes (linux/magic.h).
const SYSFS_MAGIC: i128 = 0x6265_6572;

/// Bytes that a counter's text has at most: 20 digits and the end of the line.
const LONGEST: usize = 24;

/// Of the two ways in which a counter can stand lower than before, a wrap adds what was left of its range. More than
/// this share of it between two readings, which are taken many times within a wrap, is a counter that was set back.
const LARGEST_STEP: f64 = 0.5;

/// A package or DRAM domain.
struct Domain {
    path: PathBuf,
    /// Kept open: at a hundred readings a second, to find and open it anew is most of what a reading costs.
    file: File,
    /// Microjoules after which the counter starts over.
    range: u64,
    source: Source,
}

/// The package and DRAM counters of a machine whose `/sys` is at `sys`.
pub fn discover(sys: &Path) -> Found {
    let root = sys.join(POWERCAP);
    let mut found = Found::default();
    let unmetered = |domain, reason| Unmetered { device: "cpu".to_owned(), domain, reason };
    let Ok(entries) = fs::read_dir(&root) else {
        let reason = format!(
            "no RAPL: {} is missing (a virtual machine or container hides it, or the kernel lacks \
             intel_rapl_common: sudo modprobe intel_rapl_common)",
            root.display()
        );
        found.unmetered.push(unmetered(None, reason));
        return found;
    };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    for (folder, domain) in folders.iter().filter_map(|folder| Some((folder, name(folder)?))) {
        match Domain::open(folder) {
            Ok(counter) => found.metered.push(Metered {
                device: "cpu".to_owned(),
                domain,
                at: Some(folder.display().to_string()),
                instrument: Instrument::Counter(Box::new(counter)),
            }),
            Err(reason) => found.unmetered.push(unmetered(Some(domain), reason)),
        }
    }
    if found.metered.is_empty() {
        let first = found.unmetered.drain(..).next().map(|domain| domain.reason);
        let reason = first.unwrap_or_else(|| {
            format!(
                "no RAPL domain in {} (a virtual machine hides it, or: sudo modprobe intel_rapl_msr)",
                root.display()
            )
        });
        found.unmetered = vec![unmetered(None, reason)];
    }
    found
}

/// What a folder's domain is called; none where it is not a package or DRAM domain. Core and uncore are parts
/// of a package and psys holds it: to count them too would be to count twice.
fn name(folder: &Path) -> Option<String> {
    let path = folder.file_name()?.to_str()?.strip_prefix("intel-rapl:")?;
    let label = fs::read_to_string(folder.join("name")).ok()?;
    match label.trim() {
        // A DRAM domain is told from that of another socket by its parent's number.
        "dram" => Some(format!("dram-{}", path.split(':').next()?)),
        label if label.starts_with("package") => Some(label.to_owned()),
        _ => None,
    }
}

/// RAPL where the kernel itself answers, also through a bind mount of the host's `/sys`. Plain files in its place, of
/// which a test or a simulation is made, are no measurement.
fn source(file: &File) -> Source {
    // The type of `f_type` differs from one C library to another.
    let is_sysfs = fstatfs(file).is_ok_and(|system| i128::from(system.f_type) == SYSFS_MAGIC);
    if is_sysfs { Source::Rapl } else { Source::Simulated }
}

impl Domain {
    fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join("energy_uj");
        let range = number(&folder.join("max_energy_range_uj"))?;
        let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        let source = source(&file);
        let domain = Self { path, file, range, source };
        domain.read()?;
        Ok(domain)
    }
}

impl Counter for Domain {
    fn source(&self) -> Source {
        self.source
    }

    fn period(&self) -> Period {
        Period::Stated(UPDATE_PERIOD)
    }

    fn read(&self) -> Result<Raw, String> {
        // Each read from the start asks the counter anew (Documentation/filesystems/sysfs.rst).
        let mut text = [0; LONGEST];
        let length =
            self.file.read_at(&mut text, 0).map_err(|error| unreadable(&self.path, &error))?;
        parse(&self.path, &String::from_utf8_lossy(&text[..length])).map(Raw)
    }

    /// The counter starts over at its range, which is read many times within one such wrap.
    fn joules(&self, from: Raw, to: Raw) -> Result<f64, String> {
        let wrapped = || self.range.saturating_sub(from.0).saturating_add(to.0);
        let microjoules = if to.0 >= from.0 { to.0 - from.0 } else { wrapped() };
        if microjoules as f64 > self.range as f64 * LARGEST_STEP {
            return Err(format!(
                "{} went from {} to {} µJ, more than between two readings: it was set back, or the machine slept",
                self.path.display(),
                from.0,
                to.0
            ));
        }
        Ok(microjoules as f64 * 1e-6)
    }
}

fn number(file: &Path) -> Result<u64, String> {
    parse(file, &fs::read_to_string(file).map_err(|error| unreadable(file, &error))?)
}

fn parse(file: &Path, text: &str) -> Result<u64, String> {
    let text = text.trim();
    text.parse().map_err(|_| format!("{} does not hold a number: {text:?}", file.display()))
}

fn unreadable(file: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "{} is readable by root only: sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj \
             /sys/class/powercap/intel-rapl:*:*/energy_uj",
            file.display()
        ),
        _ => format!("{}: {error}", file.display()),
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
        let domains: Vec<_> = found.metered.iter().map(|metered| &metered.domain[..]).collect();
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
        let domain = Domain::open(&folder).expect("a domain");
        let joules = |from, to| domain.joules(Raw(from), Raw(to));
        assert!((joules(999_000, 2_000).expect("a wrap") - 0.003).abs() < 1e-12);
        assert_eq!(joules(1_000, 1_000), Ok(0.0));
        assert!(joules(200_000, 100_000).is_err());
    }

    #[test]
    fn a_machine_without_it_says_why() {
        let found = discover(Path::new("/nonexistent"));
        assert!(found.metered.is_empty());
        assert!(found.unmetered[0].reason.contains("modprobe"));
    }
}
