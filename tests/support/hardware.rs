//! Doubles of hardware with known readings, on which a test runs the binary.

use super::{CommandOutput, GpuReading, TestContext, fixtures, gpu_reading::trace};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Instant,
};
use tempfile::TempDir;

/// A machine made of doubles, which stand below all of our code: libraries in the place of NVML and of CUDA's driver, and files in
/// the place of the kernel's.
pub struct Hardware {
    folder: TempDir,
    /// UUIDs from the fastest card to the slowest, if CUDA's order differs from NVML's.
    fastest: String,
    /// The number of cards added so far that have a UUID.
    cards: usize,
}

impl Hardware {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("sys")).unwrap();
        Self { folder, fastest: String::new(), cards: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds a GPU that draws `watts` for `seconds`, with a counter that ticks every 100 ms. `change` alters each reading.
    pub fn gpu(self, watts: u64, seconds: u64, change: impl Fn(&mut GpuReading)) -> Self {
        fs::write(self.path("nvml.csv"), trace(watts, seconds, change)).unwrap();
        self.with_libraries()
    }

    /// Gives a single GPU other readings from now on, also in a run that goes on. Their times count from its beginning.
    pub fn gpu_from_now_on(&self, watts: u64, seconds: u64, change: impl Fn(&mut GpuReading)) {
        // A reader sees all of the file or none of it.
        let unfinished = self.path("unfinished.csv");
        fs::write(&unfinished, trace(watts, seconds, change)).unwrap();
        fs::rename(unfinished, self.path("nvml.csv.next")).unwrap();
    }

    /// Adds one of several cards, in NVML's order. `uuid` is `GPU-` and 32 digits in groups; words after the name set further
    /// properties (`tests/doubles/cards.rs`).
    pub fn gpu_named(
        mut self,
        uuid: &str,
        name: &str,
        watts: u64,
        seconds: u64,
        change: impl Fn(&mut GpuReading),
    ) -> Self {
        fs::create_dir_all(self.path("nvml")).unwrap();
        let head = format!("# uuid={uuid} name={name}\n");
        let file = self.path("nvml").join(format!("{:02}.csv", self.cards));
        fs::write(file, head + &trace(watts, seconds, change)).unwrap();
        self.cards += 1;
        self.with_libraries()
    }

    /// Adds a GPU that draws `rest` watts while the process rests and `work` watts while it keeps every core busy, with a counter
    /// that ticks every `tick` ms.
    pub fn working_gpu(mut self, uuid: &str, [rest, work]: [u64; 2], tick: u64) -> Self {
        fs::create_dir_all(self.path("nvml")).unwrap();
        let head = format!("# uuid={uuid} name=NVIDIA H100 PCIe power={rest}:{work} tick={tick}\n");
        let file = self.path("nvml").join(format!("{:02}.csv", self.cards));
        fs::write(file, head + &trace(rest, 1, |_| {})).unwrap();
        self.cards += 1;
        self.with_libraries()
    }

    /// Returns the energy, J, that the `place`-th card of NVML's order used between two times, ns since 1970, in the process of
    /// this id.
    pub fn drawn(&self, process: u32, place: usize, from: u64, to: u64) -> f64 {
        let bytes = fs::read(self.path("nvml").join(format!("{process}.drawn"))).unwrap();
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        let lines: Vec<Vec<u64>> = bytes
            .chunks_exact(8 * (1 + self.cards))
            .map(|line| line.chunks_exact(8).map(number).collect())
            .collect();
        let until = |at: u64| {
            let next = lines.partition_point(|line| line[0] <= at).clamp(1, lines.len() - 1);
            let (before, after) = (&lines[next - 1], &lines[next]);
            let share = (at - before[0]) as f64 / (after[0] - before[0]) as f64;
            let [before, after] = [before, after].map(|line| line[1 + place] as f64);
            (before + (after - before) * share) * 1e-3
        };
        until(to) - until(from)
    }

    /// Sets CUDA's order: UUIDs from the fastest card to the slowest.
    pub fn cuda_order(mut self, uuids: &[&str]) -> Self {
        self.fastest = uuids.join(",");
        self
    }

    /// Removes CUDA's driver: a file that is not a library is found before the machine's own.
    pub fn without_cuda(self) -> Self {
        fs::write(self.path("libcuda.so.1"), "").unwrap();
        self
    }

    /// Removes NVML: a file that is not a library is found before the machine's own.
    pub fn without_nvml(self) -> Self {
        fs::write(self.path("libnvidia-ml.so.1"), "").unwrap();
        self
    }

    /// Adds a GPU that replays recorded readings.
    pub fn replaying(self, trace: &Path) -> Self {
        fs::copy(trace, self.path("nvml.csv")).unwrap();
        self.with_libraries()
    }

    /// Returns the folder of the doubles' files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Removes the energy counter from a GPU's readings, as on a card before Volta.
    pub fn without_counter(&self) {
        let text = fs::read_to_string(self.path("nvml.csv")).unwrap();
        let without = |(index, line): (usize, &str)| {
            let mut cells: Vec<&str> = line.split(',').collect();
            if index > 0 {
                cells[1] = "";
            }
            cells.join(",") + "\n"
        };
        let text: String = text.lines().enumerate().map(without).collect();
        fs::write(self.path("nvml.csv"), text).unwrap();
    }

    /// Adds the doubles of the libraries, each compiled once for all tests.
    fn with_libraries(self) -> Self {
        static NVML: OnceLock<Vec<u8>> = OnceLock::new();
        static CUDA: OnceLock<Vec<u8>> = OnceLock::new();
        for (double, name, file) in
            [(&NVML, "nvml.rs", "libnvidia-ml.so.1"), (&CUDA, "cuda.rs", "libcuda.so.1")]
        {
            fs::write(self.path(file), self.library(double, name)).unwrap();
        }
        self
    }

    /// Returns the bytes of a double that is a library. They are compiled at the first call.
    fn library<'a>(&self, double: &'a OnceLock<Vec<u8>>, name: &str) -> &'a [u8] {
        double.get_or_init(|| {
            let source = fixtures().join("../doubles").join(name);
            let built = self.path("built.so");
            let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            let mut command = Command::new(rustc);
            command.args(["--edition", "2024", "-O", "--crate-type", "cdylib", "-o"]);
            assert!(command.arg(&built).arg(source).status().unwrap().success());
            fs::read(built).unwrap()
        })
    }

    /// Returns the path of a file of a RAPL domain.
    pub fn rapl(&self, folder: &str, file: &str) -> PathBuf {
        self.path("sys/class/powercap").join(folder).join(file)
    }

    /// Adds a RAPL domain with a counter at `microjoules` that starts over at `range`.
    pub fn domain(self, folder: &str, name: &str, microjoules: u64, range: u64) -> Self {
        fs::create_dir_all(self.rapl(folder, "")).unwrap();
        fs::write(self.rapl(folder, "name"), name).unwrap();
        fs::write(self.rapl(folder, "max_energy_range_uj"), range.to_string()).unwrap();
        fs::write(self.rapl(folder, "energy_uj"), microjoules.to_string()).unwrap();
        self
    }

    /// Lets a domain draw `watts` until the guard is dropped. The counter is exact at each reading (`tests/doubles/rapl.rs`).
    pub fn drawing(&self, folder: &str, watts: u64, range: u64) -> Drawing {
        static RAPL: OnceLock<Vec<u8>> = OnceLock::new();
        fs::write(self.path("rapl.so"), self.library(&RAPL, "rapl.rs")).unwrap();
        let file = self.rapl(folder, "energy_uj");
        let first = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let began = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let began_ns = began.tv_sec as u64 * 1_000_000_000 + began.tv_nsec as u64;
        fs::write(&file, format!("drawing {first} {began_ns} {watts} {range}\n")).unwrap();
        Drawing { file, first, began: Instant::now(), watts, range }
    }

    /// Returns a command that runs the binary on this hardware.
    pub fn command(&self, context: &TestContext, args: &[&str]) -> Command {
        let mut command = context.command(args);
        self.environment(&mut command);
        command
    }

    /// Sets the environment of a command so that it sees this hardware.
    pub fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        // Variables of the machine that runs the tests must not reach the double.
        command.env_remove("CUDA_VISIBLE_DEVICES").env_remove("CUDA_DEVICE_ORDER");
        command.env("LD_LIBRARY_PATH", self.folder.path()).env("LLEM_SYS", self.path("sys"));
        let counters = self.path("rapl.so");
        if counters.exists() {
            command.env("LD_PRELOAD", counters);
        }
        let trace = if self.cards > 0 { "nvml" } else { "nvml.csv" };
        command.env("LLEM_TEST_NVML", self.path(trace)).env("LLEM_TEST_CUDA", &self.fastest);
        command.env("LLEM_CACHE", self.path("cache"))
    }

    /// Runs the binary on this hardware to its end.
    pub fn llem(&self, context: &TestContext, args: &[&str]) -> CommandOutput {
        CommandOutput::from_output(self.command(context, args).output().unwrap())
    }
}

/// A RAPL domain that draws power until this guard is dropped. Then the counter stands still.
pub struct Drawing {
    file: PathBuf,
    /// The counter at the beginning, µJ.
    first: u64,
    began: Instant,
    watts: u64,
    /// The value at which the counter starts over, µJ.
    range: u64,
}

impl Drop for Drawing {
    fn drop(&mut self) {
        let drawn = self.began.elapsed().as_micros() as u64 * self.watts;
        fs::write(&self.file, ((self.first + drawn) % self.range).to_string()).unwrap();
    }
}
