//! A model whose ranks are processes. Rank 0 runs the program, and the other processes run its commands.

use super::{
    Replica, ReplicaConfig, Split,
    failure::{FailureState, POLL_INTERVAL},
    group_ids::GroupIds,
    group_membership::GroupMembership,
    launch_environment::{LaunchEnvironment, refuse_launched_copies},
    nccl_init,
    rank::Rank,
    rank_command::{RankCommand, Reply},
    socket_transport::{Peer, SocketTransport},
    worker::RankLink,
};
use crate::{
    DeviceId, Error, LoadOptions, Result, cpu::threads::Team, gpu::Backend,
    load::opened_model::OpenedModel,
};
use llem_checkpoint::DigestOptions;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The processes of one launch, as seen by one of them.
pub struct World {
    launch: LaunchEnvironment,
    peers: Vec<Arc<Peer>>,
    /// Number of ranks on this machine, with this one.
    local_ranks: usize,
    failure: Arc<FailureState>,
    /// Whether a model is spread over the processes now. Only one model can be.
    claimed: AtomicBool,
    /// UUIDs of the GPUs that CUDA shows to this process, in CUDA's order. Empty if the ranks are not on GPUs.
    gpus: Vec<Option<String>>,
    /// UUID of this process's own GPU.
    identity: Option<String>,
}

/// A command of rank 0 to another process.
#[derive(Debug, Serialize, Deserialize)]
enum ProcessCommand {
    /// Loads this process's part of a model.
    Load(LoadCommand),
    /// Runs a command on the loaded part.
    Run(RankCommand),
    /// Drops the loaded part.
    Unload,
    /// Ends the process, because the run is over.
    Quit,
}

/// What to load: the fields of [`LoadOptions`] in a form that can be sent.
#[derive(Debug, Serialize, Deserialize)]
struct LoadCommand {
    source: String,
    dtype: Option<String>,
    kv_dtype: Option<String>,
    device: String,
    seed: u64,
    split: Split,
    threads: Option<usize>,
    /// NCCL ids of the rank's groups, if the ranks are on GPUs.
    groups: GroupIds,
}

impl World {
    /// Joins the processes that were launched together to share a model with this split. Waits until all have joined.
    ///
    /// Returns `None` if the model is not split, or if its ranks are threads because no launcher runs. Each process
    /// tells rank 0 the UUID of its GPU. `device` is the requested device, and `gpus` returns the UUIDs of the GPUs
    /// that CUDA shows to this process, in CUDA's order.
    ///
    /// # Errors
    /// The number of launched processes does not fit the split, a process does not join within `deadline`, or a
    /// launcher started several processes for a model that is not split, because each of them would load the whole
    /// model.
    pub fn join(
        split: &Split,
        deadline: Duration,
        device: DeviceId,
        gpus: impl FnOnce() -> Vec<Option<String>>,
    ) -> Result<Option<Arc<Self>>> {
        if split.ranks() == 1 {
            return refuse_launched_copies().map(|()| None);
        }
        let Some(launch) = LaunchEnvironment::from_environment()? else { return Ok(None) };
        if split.ranks() != launch.size {
            return Err(Error::Invalid(format!(
                "{} processes were launched and {split} makes {} ranks: launch as many, or unset RANK (SLURM_STEP_ID, OMPI_COMM_WORLD_RANK, PMI_RANK) to run ranks as threads",
                launch.size,
                split.ranks()
            )));
        }
        if split.data > 1 {
            return Err(Error::Invalid(
                "--dp over several processes is not supported: launch one llem for each replica, or run ranks as threads"
                    .to_owned(),
            ));
        }
        let failure = Arc::new(FailureState::for_process(deadline, launch.rank));
        let gpus = if matches!(device, DeviceId::Cuda(_)) { gpus() } else { Vec::new() };
        let identity = match device_of(&launch, device) {
            DeviceId::Cuda(ordinal) => gpus.get(ordinal).cloned().flatten(),
            DeviceId::Cpu | DeviceId::Emulated => None,
        };
        let peers = launch.join(deadline, &failure, identity.as_deref())?;
        let local_ranks = 1 + peers.iter().filter(|peer| peer.other_machine.is_none()).count();
        let claimed = AtomicBool::new(false);
        Ok(Some(Arc::new(Self { launch, peers, local_ranks, failure, claimed, gpus, identity })))
    }

    /// Returns true in the process that runs the program (rank 0), and false in those that run its commands.
    pub fn is_leader(&self) -> bool {
        self.launch.rank == 0
    }

    /// Returns the number of processes.
    pub(crate) fn size(&self) -> usize {
        self.launch.size
    }

    /// Runs the commands of rank 0 until it sends the last one.
    ///
    /// # Errors
    /// A command failed in a forward pass, or another rank failed. The other ranks are told the cause.
    pub fn serve(&self) -> Result<()> {
        let served = self.run_commands();
        if let Err(error) = &served {
            self.failure.fail(self.launch.rank, error.to_string());
            self.peers.iter().for_each(|peer| peer.send_failure());
        }
        served
    }

    fn run_commands(&self) -> Result<()> {
        let (leader, mut team) = (&self.peers[0], Team::new(self.local_ranks, None));
        let mut rank: Option<Rank> = None;
        let reply = |reply: &Reply| leader.send_message(reply);
        loop {
            match leader.wait_for_message()? {
                ProcessCommand::Load(load) => {
                    drop(rank.take());
                    team = Team::new(self.local_ranks, load.threads);
                    let loaded = team.work(|| self.load(&load));
                    reply(&Rank::load_reply(&loaded))?;
                    rank = loaded.ok();
                }
                ProcessCommand::Run(command) => {
                    let Some(rank) = &mut rank else {
                        let nothing = "the rank has no model".to_owned();
                        return Err(Error::Unsupported(nothing));
                    };
                    let done = team.work(|| rank.execute(&command));
                    match (&command, done) {
                        // Rank 0 learns of the failure when this process ends.
                        (RankCommand::Pass(_), Err(error)) => return Err(error),
                        (RankCommand::Pass(_), Ok(_)) => {}
                        (_, done) => reply(&Reply::from(done))?,
                    }
                }
                ProcessCommand::Unload => rank = None,
                ProcessCommand::Quit => {
                    self.peers.iter().for_each(|peer| peer.send_farewell());
                    return Ok(());
                }
            }
        }
    }

    /// Loads this process's part of a model.
    fn load(&self, load: &LoadCommand) -> Result<Rank> {
        let dtype = |name: &Option<String>| name.as_ref().map(|name| name.parse()).transpose();
        let options = LoadOptions {
            dtype: dtype(&load.dtype)?,
            kv_dtype: dtype(&load.kv_dtype)?,
            threads: load.threads,
            device: load.device.parse()?,
            seed: load.seed,
            split: load.split,
            // Rank 0 computes the digests.
            digests: DigestOptions::disabled(),
            ..LoadOptions::new(load.source.parse()?)
        };
        options.check_threads(self.local_ranks)?;
        let opened = OpenedModel::open(&options, &Backend::Cpu)?;
        let device = self.compute_device(&options)?;
        let config = ReplicaConfig {
            weights: opened.weights,
            shape: opened.shape,
            split: load.split,
            devices: vec![device; self.size()],
            kv_dtype: options.kv_dtype,
            deadline: Duration::ZERO,
            local_ranks: self.local_ranks,
            threads: options.threads,
            latency: opened.latency,
            synthetic: None,
        };
        let membership = self.membership(&load.split, device, load.groups.clone())?;
        config.loader(self.launch.rank, membership)()
    }

    /// Returns the device of this process. If `asked` is a GPU and CUDA shows several GPUs, each process of a machine
    /// uses its own one. If the launcher shows only one GPU to each process, that one is used.
    pub(crate) fn device(&self, asked: DeviceId) -> DeviceId {
        device_of(&self.launch, asked)
    }

    /// Returns the device that computes this process's part of a model.
    fn compute_device(&self, options: &LoadOptions) -> Result<DeviceId> {
        Ok(if options.stands_in()? { DeviceId::Cpu } else { self.device(options.device) })
    }

    /// Loads a model over all processes, with this process as the leader.
    ///
    /// # Errors
    /// The split does not use all processes, another model is still spread over them, or a rank fails to load its
    /// part.
    pub(crate) fn lead(
        self: &Arc<Self>,
        config: &mut ReplicaConfig,
        options: &LoadOptions,
    ) -> Result<Replica> {
        if options.split.ranks() != self.size() {
            return Err(Error::Invalid(format!(
                "{} makes {} ranks, and {} processes were launched: a script can only split its model over all",
                options.split,
                options.split.ranks(),
                self.size()
            )));
        }
        options.check_threads(self.local_ranks)?;
        let device = self.compute_device(options)?;
        let mut groups = match device {
            DeviceId::Cpu | DeviceId::Emulated => vec![GroupIds::default(); self.size()],
            DeviceId::Cuda(_) => nccl_init::group_ids(&options.split)?,
        };
        self.claim()?;
        config.local_ranks = self.local_ranks;
        let load = |groups: GroupIds| LoadCommand {
            source: options.source.to_string(),
            dtype: options.dtype.map(|dtype| dtype.to_string()),
            kv_dtype: options.kv_dtype.map(|dtype| dtype.to_string()),
            device: options.device.to_string(),
            seed: options.seed,
            split: options.split,
            threads: options.threads,
            groups,
        };
        let link =
            |peer: &Arc<Peer>| ProcessLink { peer: Arc::clone(peer), world: Arc::clone(self) };
        let others: Vec<ProcessLink> = self.peers.iter().map(link).collect();
        for process in &others {
            process
                .peer
                .send_message(&ProcessCommand::Load(load(groups[process.peer.rank].clone())))?;
        }
        let others = others.into_iter().map(|process| Box::new(process) as Box<dyn RankLink>);
        let membership = self.membership(&options.split, device, groups.swap_remove(0))?;
        Replica::lead(config, 0, membership, others.collect(), Arc::clone(&self.failure))
    }

    /// Refuses a second model. When the drop of the first one has returned, the next one is accepted.
    fn claim(&self) -> Result<()> {
        match self.claimed.swap(true, Ordering::AcqRel) {
            false => Ok(()),
            true => Err(Error::Invalid(
                "one model at a time can be spread over processes: drop the other and its batches first"
                    .to_owned(),
            )),
        }
    }

    fn membership(
        &self,
        split: &Split,
        device: DeviceId,
        groups: GroupIds,
    ) -> Result<GroupMembership> {
        let own = self.launch.rank;
        if matches!(device, DeviceId::Cuda(_)) {
            return Ok(GroupMembership::for_gpu(split, own, own, groups, &self.failure));
        }
        let (stage, index) = (own / split.tensor, own % split.tensor);
        let tensor: Vec<usize> = (0..split.tensor).map(|i| stage * split.tensor + i).collect();
        let pipeline: Vec<usize> = (0..split.pipeline).map(|s| s * split.tensor + index).collect();
        Ok(GroupMembership::with_transports(
            SocketTransport::new(&tensor, &self.peers),
            SocketTransport::new(&pipeline, &self.peers),
        ))
    }

    /// Leaves the other ranks in good order, so that they do not take the end of this process for a failure.
    ///
    /// Waits until all models over the processes are dropped, because their threads may still run after a run was
    /// interrupted. Waits for `timeout` at most.
    pub fn leave(self: Arc<Self>, timeout: Duration) {
        let until = Instant::now() + timeout;
        while Arc::strong_count(&self) > 1 && Instant::now() < until {
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Returns the address of a rank's machine if it is another machine, whose devices this one cannot measure.
    pub(crate) fn other_machine(&self, rank: usize) -> Option<IpAddr> {
        self.peers.iter().find(|peer| peer.rank == rank)?.other_machine
    }

    /// Returns the UUID of a rank's GPU, as the rank told rank 0.
    pub(crate) fn identity(&self, rank: usize) -> Option<String> {
        match self.peers.iter().find(|peer| peer.rank == rank) {
            Some(peer) => peer.identity.clone(),
            None => self.identity.clone(),
        }
    }

    /// Returns this process's id of a rank's device, which the rank itself calls `device`.
    ///
    /// Returns `None` for a GPU that CUDA does not show to this process, and for a GPU without a UUID, because it
    /// cannot be told apart from others.
    pub(crate) fn local_device(&self, rank: usize, device: DeviceId) -> Option<DeviceId> {
        if rank == self.launch.rank || !matches!(device, DeviceId::Cuda(_)) {
            return Some(device);
        }
        visible_gpu(&self.gpus, &self.identity(rank)?)
    }

    /// Returns the UUIDs of GPUs that other ranks on this machine use and that CUDA does not show to this process.
    pub fn hidden_gpus(&self) -> Vec<String> {
        let near = self.peers.iter().filter(|peer| peer.other_machine.is_none());
        let others = near.filter_map(|peer| peer.identity.clone());
        others.filter(|identity| visible_gpu(&self.gpus, identity).is_none()).collect()
    }
}

/// Returns the device of one process of a launch if `asked` is the requested device.
fn device_of(launch: &LaunchEnvironment, asked: DeviceId) -> DeviceId {
    match asked {
        DeviceId::Cuda(first) if DeviceId::cuda_count() > 1 => DeviceId::Cuda(first + launch.local),
        other => other,
    }
}

/// Returns this process's id of the GPU with this UUID, or `None` if CUDA does not show it.
fn visible_gpu(gpus: &[Option<String>], identity: &str) -> Option<DeviceId> {
    gpus.iter().position(|gpu| gpu.as_deref() == Some(identity)).map(DeviceId::Cuda)
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.launch.rank, self.launch.size)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.is_leader() {
            for peer in &self.peers {
                // A process that has ended already does not need the command.
                if peer.send_message(&ProcessCommand::Quit).is_err() {
                    peer.send_failure();
                }
                peer.send_farewell();
            }
        }
    }
}

/// Sends commands to a rank that is a process.
struct ProcessLink {
    peer: Arc<Peer>,
    world: Arc<World>,
}

impl RankLink for ProcessLink {
    fn is_thread(&self) -> bool {
        false
    }

    fn send(&mut self, command: &RankCommand) -> Result<()> {
        self.peer.send_message(&ProcessCommand::Run(command.clone()))
    }

    fn wait_for_reply(&mut self, more: Duration) -> Result<Reply> {
        self.peer.receive_message::<Reply>(more)?.into_result(self.peer.rank)
    }
}

impl Drop for ProcessLink {
    fn drop(&mut self) {
        // A process that has ended already has no part to drop.
        let _ = self.peer.send_message(&ProcessCommand::Unload);
        self.world.claimed.store(false, Ordering::Release);
    }
}
