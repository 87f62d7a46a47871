//! What launchers tell the processes that they start, through their environment.
//!
//! Variables stay behind: pods of a Kubeflow job, interactive steps of Slurm and shells within them have some of these,
//! and no launcher runs. So a model that is not split asks only for what a launcher leaves to several processes that it
//! has started itself ([`beside`]), and a split model for a rank among as many ([`Launch::from_environment`]).

use crate::{Error, Result};
use std::{env, fs::File};

/// The variables of a launcher.
struct Launcher {
    name: &'static str,
    /// The process' rank.
    rank: &'static str,
    /// All processes: the first of these that is set.
    sizes: &'static [&'static str],
    /// The process' place among those of its machine.
    local: &'static str,
    /// What only processes that it started itself have.
    mark: &'static str,
}

/// Those that are known, in the order in which they count where one has started another.
const LAUNCHERS: [Launcher; 4] = [
    Launcher {
        name: "torchrun",
        rank: "RANK",
        sizes: &["WORLD_SIZE"],
        local: "LOCAL_RANK",
        mark: "TORCHELASTIC_RUN_ID",
    },
    // Open MPI.
    Launcher {
        name: "mpirun",
        rank: "OMPI_COMM_WORLD_RANK",
        sizes: &["OMPI_COMM_WORLD_SIZE"],
        local: "OMPI_COMM_WORLD_LOCAL_RANK",
        mark: "OMPI_COMM_WORLD_SIZE",
    },
    // MPICH and Intel MPI.
    Launcher {
        name: "mpiexec",
        rank: "PMI_RANK",
        sizes: &["PMI_SIZE"],
        local: "MPI_LOCALRANKID",
        mark: "PMI_SIZE",
    },
    // A batch script has the rank and the size too, but only what srun starts has a step.
    Launcher {
        name: "srun",
        rank: "SLURM_PROCID",
        sizes: &["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"],
        local: "SLURM_LOCALID",
        mark: SLURM_STEP,
    },
];

const SLURM_STEP: &str = "SLURM_STEP_ID";

/// Set in a step with a terminal (`srun --pty`), and in the steps that are started from that.
const SLURM_TERMINAL: &str = "SLURM_PTY_PORT";

/// Ids from this on are of steps that are no srun's: a batch script, an interactive shell (slurm.h,
/// `SLURM_MAX_NORMAL_STEP_ID`).
const SLURM_SPECIAL_STEPS: u32 = 0xffff_fff0;

/// torchrun says that its agent keeps a store of its own at the port.
const AGENT_STORE: &str = "TORCHELASTIC_USE_AGENT_STORE";

/// The port, unless the launcher names one: torch's.
const PORT: u16 = 29500;

/// What a launcher told this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// This process' rank.
    pub rank: usize,
    /// All processes.
    pub size: usize,
    /// Where rank 0 waits for the others.
    pub host: String,
    /// On which port.
    pub port: u16,
    /// Its place among the processes of its machine.
    pub local: usize,
}

/// The names of all variables that are read here.
pub fn launcher_variables() -> impl Iterator<Item = &'static str> {
    let of = |launcher: &'static Launcher| {
        [launcher.rank, launcher.local, launcher.mark]
            .into_iter()
            .chain(launcher.sizes.iter().copied())
    };
    let others = ["MASTER_ADDR", "MASTER_PORT", AGENT_STORE, SLURM_TERMINAL];
    LAUNCHERS.iter().flat_map(of).chain(others)
}

/// What a process can know of its launcher.
struct Surroundings<F> {
    /// A variable of the environment.
    variable: F,
    /// Whether the process has a controlling terminal.
    has_terminal: bool,
}

/// Those of this process.
fn own() -> Surroundings<impl Fn(&str) -> Option<String>> {
    let variable = |name: &str| env::var(name).ok();
    Surroundings { variable, has_terminal: File::open("/dev/tty").is_ok() }
}

impl<F: Fn(&str) -> Option<String>> Surroundings<F> {
    /// A variable; an empty one is not set.
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

    /// Whether srun has started this process as one of its tasks. A shell in an interactive step is told of tasks too, as
    /// many as it was given cores for, and has a terminal, which tasks do not.
    fn has_step(&self) -> bool {
        let id = self.get(SLURM_STEP).and_then(|id| id.trim().parse().ok());
        let is_shell = self.has_terminal && self.get(SLURM_TERMINAL).is_some();
        id.is_some_and(|id: u32| id < SLURM_SPECIAL_STEPS) && !is_shell
    }

    /// The launchers that may have started this process.
    fn launchers(&self) -> impl Iterator<Item = &'static Launcher> {
        LAUNCHERS.iter().filter(|launcher| launcher.mark != SLURM_STEP || self.has_step())
    }

    fn launch(&self) -> Result<Option<Launch>> {
        for launcher in self.launchers() {
            let (rank, size) = (self.number(launcher.rank)?, self.size(launcher)?);
            let (Some(rank), Some(size)) = (rank, size) else { continue };
            return if size < 2 { Ok(None) } else { self.rank_of(launcher, rank, size).map(Some) };
        }
        Ok(None)
    }

    fn rank_of(&self, launcher: &Launcher, rank: usize, size: usize) -> Result<Launch> {
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
        // Who is not told is alone on its machine.
        let local = self.number(launcher.local)?.unwrap_or(0);
        Ok(Launch { rank, size, host, port, local })
    }

    fn beside(&self) -> Result<()> {
        for launcher in self.launchers().filter(|launcher| self.get(launcher.mark).is_some()) {
            // What is no number is nobody's.
            let size = self.size(launcher).ok().flatten().unwrap_or(1);
            if size > 1 && self.get(launcher.rank).is_some() {
                return Err(Error::Invalid(format!(
                    "{} started {size} processes, of which each would make the whole run and measure the others with it: split the model over them (--tp {size}), or start each through 'env -u {}' where runs of their own on devices of their own are meant",
                    launcher.name, launcher.mark
                )));
            }
        }
        Ok(())
    }
}

impl Launch {
    /// This process' rank, from the variables of a launcher; `MASTER_ADDR` and `MASTER_PORT` tell where rank 0 is. None
    /// where there is one process, or nothing to tell.
    ///
    /// # Errors
    /// A variable that contradicts another or is no number, named with the remedy.
    pub fn from_environment() -> Result<Option<Self>> {
        own().launch()
    }
}

/// Refuses a run that several processes of a launcher would make beside one another.
///
/// # Errors
/// A launcher that runs has started several processes. What is left of others is passed over.
pub fn beside() -> Result<()> {
    own().beside()
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

        fn surroundings(&self) -> Surroundings<impl Fn(&str) -> Option<String>> {
            let variable = |name: &str| self.variables.get(name).cloned();
            Surroundings { variable, has_terminal: self.has_terminal }
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
                let refusal = process.surroundings().beside().map_err(|error| error.to_string());
                let launch = Process { variables: process.variables.clone(), ..*process }
                    .with("MASTER_ADDR", "a")
                    .surroundings()
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
                    format!("env -u {}", launcher.mark),
                ] {
                    assert!(sentence.contains(&word), "{name}: {sentence}");
                }
                let launch = launch.expect(name);
                assert_eq!((launch.rank, launch.size, launch.local), (rank, size, rank), "{name}");
                // As the sentence says.
                let mut alone = process.variables.clone();
                alone.remove(launcher.mark);
                let alone = Process { variables: alone, ..*process };
                assert!(alone.surroundings().beside().is_ok(), "{name}");
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
            assert!(Process::of(left).surroundings().beside().is_ok(), "{left:?}");
        }
    }

    fn launch(variables: &[(&str, &str)]) -> Result<Option<Launch>> {
        Process::of(variables).surroundings().launch()
    }

    #[test]
    fn launchers_are_understood() {
        let of = |rank, size, port, local| {
            let host = "a".to_owned();
            Launch { rank, size, host, port, local }
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
        // One that has started another tells how many nodes there are.
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
