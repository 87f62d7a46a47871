//! RAPL energy counters of CPU packages and their DRAM, through the kernel's powercap files
//! (Documentation/power/powercap/powercap.rst). Intel and AMD both appear as `intel-rapl`.

use super::{Counter, Counters, Reading};
use llem_quantity::Source;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where the kernel keeps them.
pub const POWERCAP: &str = "/sys/class/powercap";

/// About 1 ms (Intel SDM vol. 3B, 15.10.1: energy status is updated each ~1 ms).
const UPDATE_PERIOD: Duration = Duration::from_millis(1);

struct Domain {
    file: PathBuf,
    name: String,
    /// Microjoules after which the counter starts over.
    range: u64,
}

/// The package and DRAM counters below `root` ([`POWERCAP`] on a real machine).
pub fn discover(root: &Path) -> Counters {
    let mut counters = Counters::default();
    let mut refuse = |reason: String| counters.unavailable.push(("cpu".to_owned(), reason));
    let Ok(entries) = fs::read_dir(root) else {
        refuse(format!(
            "no RAPL: {} is missing (a virtual machine or container hides it, or the kernel lacks \
             intel_rapl_common: sudo modprobe intel_rapl_common)",
            root.display()
        ));
        return counters;
    };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let mut available: Vec<Box<dyn Counter>> = Vec::new();
    let mut reasons = Vec::new();
    for folder in folders {
        match Domain::open(&folder) {
            Ok(Some(domain)) => available.push(Box::new(domain)),
            Ok(None) => {}
            Err(reason) => reasons.push(reason),
        }
    }
    if available.is_empty() {
        refuse(reasons.into_iter().next().unwrap_or_else(|| {
            format!(
                "no RAPL domain in {} (a virtual machine hides it, or: sudo modprobe intel_rapl_msr)",
                root.display()
            )
        }));
    }
    counters.available = available;
    counters
}

impl Domain {
    /// None where the folder is not a package or DRAM domain. Core and uncore are parts of a
    /// package and psys holds it: to count them too would be to count twice.
    fn open(folder: &Path) -> Result<Option<Self>, String> {
        let is_rapl = folder
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("intel-rapl:"));
        let Ok(label) = fs::read_to_string(folder.join("name")) else { return Ok(None) };
        let label = label.trim();
        if !is_rapl || !(label.starts_with("package") || label == "dram") {
            return Ok(None);
        }
        let file = folder.join("energy_uj");
        let range = number(&folder.join("max_energy_range_uj"))?;
        number(&file)?;
        // A DRAM domain is told from that of another socket by its parent's number.
        let name = match folder.file_name().and_then(|name| name.to_str()?.split(':').nth(1)) {
            Some(socket) if label == "dram" => format!("dram-{socket}"),
            _ => label.to_owned(),
        };
        Ok(Some(Self { file, name, range }))
    }
}

impl Counter for Domain {
    fn device(&self) -> &str {
        "cpu"
    }

    fn domain(&self) -> &str {
        &self.name
    }

    fn source(&self) -> Source {
        Source::Rapl
    }

    fn update_period(&self) -> Duration {
        UPDATE_PERIOD
    }

    fn read(&self) -> Result<Reading, String> {
        number(&self.file).map(Reading)
    }

    /// The counter starts over at its range; a window is taken to hold at most one such wrap, as
    /// a package needs about a minute or more for one.
    fn joules(&self, from: Reading, to: Reading) -> f64 {
        let microjoules =
            if to.0 >= from.0 { to.0 - from.0 } else { self.range.saturating_sub(from.0) + to.0 };
        microjoules as f64 * 1e-6
    }
}

fn number(file: &Path) -> Result<u64, String> {
    match fs::read_to_string(file) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|_| format!("{} does not hold a number: {:?}", file.display(), text.trim())),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(format!(
            "{} is readable by root only: sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj \
             /sys/class/powercap/intel-rapl:*:*/energy_uj",
            file.display()
        )),
        Err(error) => Err(format!("{}: {error}", file.display())),
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
            let path = root.path().join(folder);
            fs::create_dir(&path).expect("a domain");
            fs::write(path.join("name"), format!("{name}\n")).expect("its name");
            fs::write(path.join("max_energy_range_uj"), "1000000\n").expect("its range");
            fs::write(path.join("energy_uj"), "999000\n").expect("its energy");
        }
        root
    }

    #[test]
    fn packages_and_dram_are_counted_once() {
        let root = tree();
        let counters = discover(root.path());
        let domains: Vec<_> = counters.available.iter().map(|counter| counter.domain()).collect();
        assert_eq!(domains, ["package-0", "dram-0"]);
    }

    #[test]
    fn a_wrap_is_not_negative() {
        let root = tree();
        let counters = discover(root.path());
        let package = &counters.available[0];
        let from = package.read().expect("readable");
        fs::write(root.path().join("intel-rapl:0/energy_uj"), "2000\n").expect("written");
        let to = package.read().expect("readable");
        assert!((package.joules(from, to) - 0.003).abs() < 1e-12);
    }

    #[test]
    fn a_machine_without_it_says_why() {
        let counters = discover(Path::new("/nonexistent"));
        assert!(counters.available.is_empty());
        assert!(counters.unavailable[0].1.contains("modprobe"));
    }
}
