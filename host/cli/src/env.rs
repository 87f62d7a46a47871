//! The environment variables of llem. `llem --help` prints this table.

use llem_engine::{COMMUNICATOR_VARIABLE, LIBRARY_FOLDERS_VARIABLE, cpu::INSTRUCTION_SET_VARIABLE};
use llem_meter::{PROC_VARIABLE, SYS_VARIABLE};
use std::{env, ffi::OsString, fmt::Write};
use tracing_subscriber::EnvFilter;

/// An environment variable that the program or one of its crates reads.
struct Variable {
    name: &'static str,
    help: &'static str,
}

/// What the log shows unless [`LOG`] is set: warnings of all crates, and how the engine prepares its work.
const DEFAULT_LOG: &str = "llem=warn,llem_checkpoint=info,llem_engine=info,warn";

/// The spans of host calls, whose level is TRACE.
const HOST_CALLS: &str = "llem_runtime::bindings=trace";

/// The folder for what later runs reuse: compiled components, digests, baselines, peak rates.
const CACHE: &str = "LLEM_CACHE";
/// The Python interpreter of `llem build` and `llem test`, in whose folder componentize-py and pytest are looked for first.
pub(crate) const PYTHON: &str = "LLEM_PYTHON";
/// The folder whose `node_modules` has esbuild and componentize-qjs, where a project has none.
pub(crate) const NODE_TOOLS: &str = "LLEM_NODE_TOOLS";
/// What the program writes to its log, on standard error. `debug` shows a span for each host call, engine command and
/// rank.
const LOG: &str = "LLEM_LOG";

/// The program that the SDKs' `testing` modules run. `llem test` sets it to itself.
pub(crate) const PROGRAM: &str = "LLEM";

/// All variables that the host reads. Crates below this one read those that concern them, and have constants of their
/// names.
const VARIABLES: [Variable; 10] = [
    Variable {
        name: CACHE,
        help: "folder for what later runs reuse [default: llem in the user's cache folder]",
    },
    Variable {
        name: LOG,
        help: "error, warn, info, debug (with a span for each host call), or MODULE=LEVEL,...",
    },
    Variable {
        name: PYTHON,
        help: "Python that builds and tests Python projects [default: the active environment's]",
    },
    Variable {
        name: NODE_TOOLS,
        help: "folder whose node_modules has the tools of JavaScript projects that have none",
    },
    Variable {
        name: PROGRAM,
        help: "the llem that tests of experiments run [default: on PATH; llem test sets it to itself]",
    },
    Variable {
        name: INSTRUCTION_SET_VARIABLE,
        help: "instruction set of kernels: portable, avx2, avx512, amx [default: the best]",
    },
    Variable {
        name: LIBRARY_FOLDERS_VARIABLE,
        help: "folders with CUDA's libraries, separated by colons",
    },
    Variable {
        name: COMMUNICATOR_VARIABLE,
        help: "nccl: even a single rank uses NCCL, to try it with one GPU",
    },
    Variable { name: PROC_VARIABLE, help: "folder that is read in place of /proc" },
    Variable { name: SYS_VARIABLE, help: "folder that is read in place of /sys" },
];

/// The variables with their meaning, for the help.
pub(crate) fn help() -> String {
    let mut text = "Environment variables:\n".to_owned();
    for Variable { name, help } in VARIABLES {
        let _ = writeln!(text, "  {name:<18} {help}");
    }
    text
}

/// The folder in [`CACHE`], if it is set and not empty.
pub(crate) fn cache() -> Option<OsString> {
    env::var_os(CACHE).filter(|folder| !folder.is_empty())
}

/// The interpreter in [`PYTHON`], if it is set and not empty.
pub(crate) fn python() -> Option<OsString> {
    env::var_os(PYTHON).filter(|python| !python.is_empty())
}

/// The folder in [`NODE_TOOLS`], if it is set and not empty.
pub(crate) fn node_tools() -> Option<OsString> {
    env::var_os(NODE_TOOLS).filter(|folder| !folder.is_empty())
}

/// The log filter in [`LOG`], or the default if it is not set or cannot be read.
pub(crate) fn log_filter() -> EnvFilter {
    env::var(LOG)
        .ok()
        .and_then(|text| parse_filter(&text))
        .unwrap_or_else(|| EnvFilter::new(DEFAULT_LOG))
}

/// Parses a log filter. A filter that shows debug messages of all modules, or of the runtime, also shows host calls.
fn parse_filter(text: &str) -> Option<EnvFilter> {
    let filter = EnvFilter::try_new(text).ok()?;
    let is_debug = |part: &str| {
        let part = part.trim().to_ascii_lowercase();
        part == "debug" || part == "llem_runtime=debug"
    };
    match text.split(',').any(is_debug) {
        true => Some(filter.add_directive(HOST_CALLS.parse().ok()?)),
        false => Some(filter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    /// The Rust files below a folder, without those that are only tests.
    fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let is_test = name.to_string_lossy().trim_end_matches(".rs").ends_with("tests");
            match path.is_dir() {
                _ if is_test => {}
                true => sources(&path, files),
                false if path.extension().is_some_and(|ending| ending == "rs") => files.push(path),
                false => {}
            }
        }
    }

    /// The texts in quotes that are names of variables.
    fn names(text: &str) -> impl Iterator<Item = &str> {
        let is_name = |word: &&str| {
            word.starts_with("LLEM_")
                && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        };
        text.split('"').filter(is_name)
    }

    #[test]
    fn every_variable_that_the_host_reads_is_in_the_table() {
        let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        sources(&host, &mut files);
        let known: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
        let mut seen = BTreeSet::new();
        for file in files {
            let text = fs::read_to_string(&file).expect("a source");
            // What follows is only compiled for tests.
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for name in names(text) {
                let is_internal = name.starts_with("LLEM_BUILD") || name.starts_with("LLEM_TEST");
                if name != "LLEM_" && !is_internal {
                    assert!(known.contains(name), "{} reads {name}", file.display());
                    seen.insert(name.to_owned());
                }
            }
        }
        assert!(seen.len() >= 6, "{seen:?}");
    }

    #[test]
    fn the_help_names_every_variable() {
        let help = help();
        assert_eq!(help.lines().count(), VARIABLES.len() + 1);
        assert!(VARIABLES.iter().all(|variable| help.contains(variable.name)));
    }

    #[test]
    fn a_filter_for_debug_messages_shows_host_calls() {
        let filter = |text: &str| parse_filter(text).expect("a filter").to_string();
        assert!(filter("debug").contains(HOST_CALLS));
        assert!(filter("warn,llem_runtime=debug").contains(HOST_CALLS));
        assert!(!filter("info").contains(HOST_CALLS));
        assert!(!filter("llem_engine=debug").contains(HOST_CALLS));
        assert!(parse_filter("llem=nonsense").is_none());
    }
}
