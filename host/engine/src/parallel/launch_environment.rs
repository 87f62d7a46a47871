//! The environment variables that launchers (torchrun, mpirun, mpiexec, srun) set for the processes that they start.
//!
//! Some of these variables also exist where no launcher runs: in the pods of a Kubeflow job, in interactive steps of
//! Slurm, and in shells within them. So a model that is not split is refused only if a launcher has certainly started
//! several processes ([`refuse_launched_copies`]), and a model that is split reads its rank and size
//! ([`LaunchEnvironment::from_environment`]).

use crate::{Error, Result};
use std::{env, fs::File};

/// The variables of one launcher.
struct Launcher {
    name: &'static str,
    /// The variable of the process's rank.
    rank: &'static str,
    /// Variables of the number of processes. The first one that is set counts.
    sizes: &'static [&'static str],
    /// The variable of the process's index on its machine.
    local: &'static str,
    /// A variable that only processes started by this launcher have.
    marker: &'static str,
}

/// The known launchers. If one launcher has started another, the first in this order counts.
const LAUNCHERS: [Launcher; 4] = [
    Launcher {
        name: "torchrun",
        rank: "RANK",
        sizes: &["WORLD_SIZE"],
        local: "LOCAL_RANK",
        marker: "TORCHELASTIC_RUN_ID",
    },
    // Open MPI.
    Launcher {
        name: "mpirun",
        rank: "OMPI_COMM_WORLD_RANK",
        sizes: &["OMPI_COMM_WORLD_SIZE"],
        local: "OMPI_COMM_WORLD_LOCAL_RANK",
        marker: "OMPI_COMM_WORLD_SIZE",
    },
    // MPICH and Intel MPI.
    Launcher {
        name: "mpiexec",
        rank: "PMI_RANK",
        sizes: &["PMI_SIZE"],
        local: "MPI_LOCALRANKID",
        marker: "PMI_SIZE",
    },
    // A batch script also has the rank and the size, but only processes that srun starts have a step.
    Launcher {
        name: "srun",
        rank: "SLURM_PROCID",
        sizes: &["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"],
        local: "SLURM_LOCALID",
        marker: SLURM_STEP,
    },
];

const SLURM_STEP: &str = "SLURM_STEP_ID";

/// Set in a step with a terminal (`srun --pty`), and in steps that are started from it.
const SLURM_TERMINAL: &str = "SLURM_PTY_PORT";

/// Ids from this one on belong to steps that srun did not start: a batch script or an interactive shell (slurm.h,
/// `SLURM_MAX_NORMAL_STEP_ID`).
const SLURM_SPECIAL_STEPS: u32 = 0xffff_fff0;

/// torchrun sets this if its agent already uses the port for a store of its own.
const AGENT_STORE: &str = "TORCHELASTIC_USE_AGENT_STORE";

/// The default port, as in torch.
const PORT: u16 = 29500;

/// The place of this process among the processes of a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LaunchEnvironment {
    pub rank: usize,
    /// Number of processes of the launch.
    pub size: usize,
    /// Host on which rank 0 listens.
    pub host: String,
    pub port: u16,
    /// Index of this process on its machine.
    pub local: usize,
}

/// Returns the names of all variables that this module reads.
pub fn launcher_variables() -> impl Iterator<Item = &'static str> {
    let of = |launcher: &'static Launcher| {
        [launcher.rank, launcher.local, launcher.marker]
            .into_iter()
            .chain(launcher.sizes.iter().copied())
    };
    let others = ["MASTER_ADDR", "MASTER_PORT", AGENT_STORE, SLURM_TERMINAL];
    LAUNCHERS.iter().flat_map(of).chain(others)
}

/// What a process knows about its launcher.
struct ProcessEnvironment<F> {
    /// Reads a variable of the environment.
    variable: F,
    has_terminal: bool,
}

/// Returns what this process knows about its launcher.
fn this_process() -> ProcessEnvironment<impl Fn(&str) -> Option<String>> {
    let variable = |name: &str| env::var(name).ok();
    ProcessEnvironment { variable, has_terminal: File::open("/dev/tty").is_ok() }
}

impl<F: Fn(&str) -> Option<String>> ProcessEnvironment<F> {
    /// Returns a variable. An empty variable counts as not set.
    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.trim().is_empty())
    }

    fn number(&self, name: &str) -> Result<Option<usize>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| {
            Error::Invalid(format!("the environment's {name} must be a number, not '{text}'"))
        })
    }

    fn size(&self, launcher: &Launcher) -> Result<Option<usize>> {
        let set = launcher.sizes.iter().find(|name| self.get(name).is_some());
        set.map_or(Ok(None), |name| self.number(name))
    }

    /// Returns true if srun has started this process as one of its tasks. A shell in an interactive step also has
    /// task variables, for as many tasks as it has cores. It differs by its terminal, which tasks do not have.
    fn has_step(&self) -> bool {
        let id = self.get(SLURM_STEP).and_then(|id| id.trim().parse().ok());
        let is_shell = self.has_terminal && self.get(SLURM_TERMINAL).is_some();
        id.is_some_and(|id: u32| id < SLURM_SPECIAL_STEPS) && !is_shell
    }

    /// Returns the launchers that may have started this process.
    fn launchers(&self) -> impl Iterator<Item = &'static Launcher> {
        LAUNCHERS.iter().filter(|launcher| launcher.marker != SLURM_STEP || self.has_step())
    }

    fn launch(&self) -> Result<Option<LaunchEnvironment>> {
        for launcher in self.launchers() {
            let (rank, size) = (self.number(launcher.rank)?, self.size(launcher)?);
            let (Some(rank), Some(size)) = (rank, size) else { continue };
            return if size < 2 { Ok(None) } else { self.rank_of(launcher, rank, size).map(Some) };
        }
        Ok(None)
    }

    fn rank_of(&self, launcher: &Launcher, rank: usize, size: usize) -> Result<LaunchEnvironment> {
        if rank >= size {
            return Err(Error::Invalid(format!(
                "the environment's {} says rank {rank} of {size} processes: ranks count from 0; unset it to run ranks as threads",
                launcher.rank
            )));
        }
        let host = self.get("MASTER_ADDR").ok_or_else(|| {
            Error::Invalid(format!(
                "MASTER_ADDR is not set: it names the machine of rank 0 (under Slurm: export MASTER_ADDR=$(scontrol show hostnames | head -n 1)); or unset {} to run ranks as threads",
                launcher.rank
            ))
        })?;
        let port = self.number("MASTER_PORT")?.unwrap_or(usize::from(PORT));
        let taken = self.get(AGENT_STORE).is_some_and(|value| value == "True");
        let port = u16::try_from(port + usize::from(taken))
            .map_err(|_| Error::Invalid(format!("MASTER_PORT {port} is not a port")))?;
        // Without a local rank, the process is taken to be alone on its machine.
        let local = self.number(launcher.local)?.unwrap_or(0);
        Ok(LaunchEnvironment { rank, size, host, port, local })
    }

    fn refuse_launched_copies(&self) -> Result<()> {
        for launcher in self.launchers().filter(|launcher| self.get(launcher.marker).is_some()) {
            // A value that is not a number is not from a launcher.
            let size = self.size(launcher).ok().flatten().unwrap_or(1);
            if size > 1 && self.get(launcher.rank).is_some() {
                return Err(Error::Invalid(format!(
                    "{} started {size} processes, of which each would make the whole run and measure the others with it: split the model over them (--tp {size}), or start each through 'env -u {}' where runs of their own on devices of their own are meant",
                    launcher.name, launcher.marker
                )));
            }
        }
        Ok(())
    }
}

impl LaunchEnvironment {
    /// Reads this process's place from the variables of a launcher. `MASTER_ADDR` and `MASTER_PORT` say where rank 0
    /// listens. Returns `None` if no launcher runs, or if it started only one process.
    ///
    /// # Errors
    /// A variable contradicts another one or is not a number. The message names it and the remedy.
    pub(super) fn from_environment() -> Result<Option<Self>> {
        this_process().launch()
    }
}

/// Refuses to run if a launcher has started several processes, each of which would make the whole run.
///
/// # Errors
/// A launcher that runs has started several processes. Variables left over from launchers that do not run are
/// ignored.
pub(super) fn refuse_launched_copies() -> Result<()> {
    this_process().refuse_launched_copies()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::{collections::BTreeMap, fs, path::Path};

    /// A process that a launcher started, as it wrote down itself.
    #[derive(Deserialize)]
    struct Process {
        variables: BTreeMap<String, String>,
        has_terminal: bool,
    }

    impl Process {
        fn of(variables: &[(&str, &str)]) -> Self {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            Self { variables: variables.iter().map(owned).collect(), has_terminal: true }
        }

        fn environment(&self) -> ProcessEnvironment<impl Fn(&str) -> Option<String>> {
            let variable = |name: &str| self.variables.get(name).cloned();
            ProcessEnvironment { variable, has_terminal: self.has_terminal }
        }

        fn with(mut self, name: &str, value: &str) -> Self {
            self.variables.insert(name.to_owned(), value.to_owned());
            self
        }
    }

    /// What real launchers give (`tests/fixtures/make-launches`).
    fn launches() -> BTreeMap<String, Vec<Process>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/launches.json");
        serde_json::from_slice(&fs::read(path).expect("a fixture")).expect("JSON")
    }

    #[test]
    fn processes_of_launchers_are_told_apart_from_what_launchers_leave() {
        let launches = launches();
        for (name, processes) in &launches {
            let launcher = LAUNCHERS.iter().find(|launcher| name.starts_with(launcher.name));
            for (rank, process) in processes.iter().enumerate() {
                let size = processes.len();
                let refusal = process
                    .environment()
                    .refuse_launched_copies()
                    .map_err(|error| error.to_string());
                let launch = Process { variables: process.variables.clone(), ..*process }
                    .with("MASTER_ADDR", "a")
                    .environment()
                    .launch()
                    .expect("it is understood");
                if size == 1 {
                    assert_eq!((refusal, launch), (Ok(()), None), "{name}");
                    continue;
                }
                let launcher = launcher.expect("a known launcher");
                let sentence = refusal.expect_err(name);
                for word in [
                    format!("{} started {size} processes", launcher.name),
                    format!("--tp {size}"),
                    format!("env -u {}", launcher.marker),
                ] {
                    assert!(sentence.contains(&word), "{name}: {sentence}");
                }
                let launch = launch.expect(name);
                assert_eq!((launch.rank, launch.size, launch.local), (rank, size, rank), "{name}");
                // As the sentence says.
                let mut alone = process.variables.clone();
                alone.remove(launcher.marker);
                let alone = Process { variables: alone, ..*process };
                assert!(alone.environment().refuse_launched_copies().is_ok(), "{name}");
            }
        }
        let started = |name: &str| launches.get(name).map_or(0, Vec::len);
        assert_eq!(started("torchrun --nproc-per-node 2"), 2);
        assert_eq!(started("srun -n 2"), 2);
        assert_eq!(started("mpirun -n 2"), 2);
        assert_eq!(started("salloc -n 2, its shell"), 1);
        assert_eq!(started("srun -n 2 --pty, its shell"), 1);
    }

    #[test]
    fn what_is_left_of_no_launcher_does_no_harm() {
        let kubeflow = [
            ("MASTER_ADDR", "job-master-0"),
            ("MASTER_PORT", "23456"),
            ("RANK", "0"),
            ("WORLD_SIZE", "2"),
            ("PET_MASTER_ADDR", "job-master-0"),
            ("PET_NNODES", "2"),
            ("PET_NODE_RANK", "0"),
            ("PET_NPROC_PER_NODE", "1"),
        ];
        let ray =
            [("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")];
        for left in [
            &[][..],
            &[("RANK", "0"), ("WORLD_SIZE", "2")],
            &[("RANK", "5"), ("WORLD_SIZE", "2")],
            &[("RANK", "zero"), ("WORLD_SIZE", "two"), ("TORCHELASTIC_RUN_ID", "none")],
            &[("RANK", ""), ("WORLD_SIZE", ""), ("LOCAL_RANK", ""), ("SLURM_STEP_ID", "")],
            &[("MASTER_ADDR", "a"), ("MASTER_PORT", "-")],
            &[("LOCAL_RANK", "1")],
            &[("TORCHELASTIC_RUN_ID", "none")],
            &[("SLURM_JOB_ID", "7"), ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2")],
            &[("SLURM_STEP_ID", "0"), ("SLURM_NTASKS", "8")],
            &[("SLURM_STEP_ID", "0"), ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1")],
            &[("SLURM_STEP_ID", "4294967291"), ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2")],
            &[("OMPI_COMM_WORLD_SIZE", "2")],
            &[("PMI_RANK", "0"), ("PMI_SIZE", "1")],
            &kubeflow,
            &ray,
        ] {
            assert!(Process::of(left).environment().refuse_launched_copies().is_ok(), "{left:?}");
        }
    }

    fn launch(variables: &[(&str, &str)]) -> Result<Option<LaunchEnvironment>> {
        Process::of(variables).environment().launch()
    }

    #[test]
    fn launchers_are_understood() {
        let of = |rank, size, port, local| {
            let host = "a".to_owned();
            LaunchEnvironment { rank, size, host, port, local }
        };
        let torchrun =
            [("RANK", "1"), ("LOCAL_RANK", "3"), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "a")];
        assert_eq!(launch(&torchrun).ok().flatten(), Some(of(1, 4, PORT, 3)));
        let agent =
            [&torchrun[..], &[("MASTER_PORT", "7"), ("TORCHELASTIC_USE_AGENT_STORE", "True")]];
        assert_eq!(launch(&agent.concat()).ok().flatten(), Some(of(1, 4, 8, 3)));
        let task = [("SLURM_PROCID", "2"), ("SLURM_NTASKS", "3"), ("MASTER_ADDR", "a")];
        assert_eq!(launch(&task).ok().flatten(), None, "a batch script is no task");
        let step = [&task[..], &[("SLURM_STEP_ID", "0")]].concat();
        assert_eq!(launch(&step).ok().flatten(), Some(of(2, 3, PORT, 0)));
        // If one launcher has started another, the outer one only knows the number of nodes.
        let nodes = [&step[..], &torchrun[..]].concat();
        assert_eq!(launch(&nodes).ok().flatten(), Some(of(1, 4, PORT, 3)));
        let hydra =
            [("PMI_RANK", "1"), ("PMI_SIZE", "2"), ("MPI_LOCALRANKID", "1"), ("MASTER_ADDR", "a")];
        assert_eq!(launch(&hydra).ok().flatten(), Some(of(1, 2, PORT, 1)));
        assert_eq!(launch(&[]).ok().flatten(), None);
        assert_eq!(launch(&[("RANK", ""), ("WORLD_SIZE", "2")]).ok().flatten(), None);
        for (refused, word) in [
            (
                &[("RANK", "4"), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "a")][..],
                "RANK says rank 4 of 4",
            ),
            (&[("RANK", "0"), ("WORLD_SIZE", "2")], "MASTER_ADDR is not set"),
            (&[("RANK", "x"), ("WORLD_SIZE", "2")], "RANK must be a number, not 'x'"),
        ] {
            let sentence = launch(refused).expect_err("refused").to_string();
            assert!(sentence.contains(word), "{sentence}");
        }
    }
}
