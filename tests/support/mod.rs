//! What the tests share: the binary in a folder of its own, launches of ranks, doubles of hardware.
//!
//! Start at [`TestContext`], which runs the binary, [`CommandOutput`], which says how it ended, [`Launch`] for
//! ranks, and [`Hardware`] for energy counters and GPUs.

pub mod changed_folders;
mod command_output;
mod context;
mod deadline;
mod gpu_reading;
mod hardware;
mod launch;
pub mod metering;
pub mod processor_time;
mod python_compiler;
mod running;

pub use command_output::CommandOutput;
pub use context::TestContext;
pub use deadline::ended_by_deadline;
pub use gpu_reading::{GPU_IS_LOST, GpuReading, NO_PERMISSION};
pub use hardware::Hardware;
pub use launch::{Launch, free_port};
pub use python_compiler::PythonCompiler;
pub use running::Running;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
};

/// The devices on which claims about numbers are tested: the CPU, and the emulated device in place of a GPU.
pub const DEVICES: [&str; 2] = ["cpu", "emulated"];

/// Returns the path of `tests/fixtures/`.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").canonicalize().unwrap()
}

/// Returns the folder into which `scripts/tools/build-guests` puts components: `guests/` beside the profile's folder.
pub fn guests() -> PathBuf {
    let guests =
        Path::new(env!("CARGO_BIN_EXE_llem")).parent().unwrap().parent().unwrap().join("guests");
    assert!(guests.is_dir(), "no test components: run scripts/tools/build-guests");
    guests
}

/// Returns the path of a test component, as an argument.
pub fn guest(name: &str) -> String {
    let path = guests().join(format!("{name}.wasm"));
    assert!(path.is_file(), "no component {name}: run scripts/tools/build-guests");
    path.to_str().unwrap().to_owned()
}

/// Writes a file that can be run.
pub fn write_program(path: &Path, content: &str) {
    let source = path.with_extension("source");
    fs::write(&source, content).unwrap();
    install_program(&source, path);
    fs::remove_file(source).unwrap();
}

/// Copies a file to one that can be run. Another process writes it: a file cannot be run while a process has it open for
/// writing, and a process that another test starts meanwhile holds every file that this process has open.
pub fn install_program(from: &Path, to: &Path) {
    let mut command = Command::new("install");
    assert!(command.args(["-m", "755"]).arg(from).arg(to).status().unwrap().success());
}

/// Sends a signal, such as `-INT`, to a child that has not been waited for.
pub fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// Returns the events of one kind.
pub fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// Defines a test for each listed folder of the fixtures, and one that fails if a folder is not listed.
macro_rules! for_each_folder {
    ($parent:literal, $check:path; $($test:ident: $folder:literal,)*) => {
        $(
            #[test]
            fn $test() {
                $check($folder);
            }
        )*

        #[test]
        fn every_folder_has_a_test() {
            let mut folders: Vec<String> = std::fs::read_dir(crate::support::fixtures().join($parent))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            folders.sort();
            let mut tested = vec![$($folder.to_owned()),*];
            tested.sort();
            assert_eq!(folders, tested);
        }
    };
}

/// Returns the version of the package in `wit/`.
pub fn contract_version() -> String {
    let world = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/world.wit");
    let world = fs::read_to_string(world).unwrap();
    let after = world.split_once("llem:experiment@").unwrap().1;
    after.split_once(';').unwrap().0.to_owned()
}
