//! A model whose ranks are processes: rank 0 runs the program, the others do what it tells them.

use super::{
    Replica, ReplicaConfig, Split,
    command::{Command, Reply},
    fate::{Fate, LOOK},
    group_ids::GroupIds,
    launch::{Launch, beside},
    nccl,
    rank::Rank,
    seat::{self, Seat},
    sockets::{Peer, Sockets},
    worker::Link,
};
use crate::{
    Device, Error, LoadOptions, Result, cpu::parallel::Team, gpu::Place,
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

/// The processes of a launch, as one of them sees them.
pub struct World {
    launch: Launch,
    peers: Vec<Arc<Peer>>,
    /// Ranks on this machine, this one among them.
    neighbours: usize,
    fate: Arc<Fate>,
    /// Whether a model is spread over them: one at a time is.
    taken: AtomicBool,
    /// The UUIDs of the GPUs that CUDA shows to this process, in its order, where its ranks are on GPUs.
    gpus: Vec<Option<String>>,
    /// The UUID of this process' own.
    identity: Option<String>,
}

/// What rank 0 tells another process.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// Load your part of a model.
    Load(Load),
    /// Do this with it.
    Do(Command),
    /// Let go of it.
    Unload,
    /// The run is over.
    Quit,
}

/// What to load: [`LoadOptions`] in words that travel.
#[derive(Debug, Serialize, Deserialize)]
struct Load {
    source: String,
    dtype: Option<String>,
    kv_dtype: Option<String>,
    device: String,
    seed: u64,
    split: Split,
    threads: Option<usize>,
    /// For ranks on GPUs.
    groups: GroupIds,
}

impl World {
    /// The processes that were launched together to share a model split in this way; none where it is not
    /// split, or its ranks are to be threads. A model that is not split is refused to several processes of a launcher, each
    /// of which would load it. Waits until all have come. Each tells the UUID of its GPU: `device` is the
    /// one that is asked for, and `gpus` tells the UUIDs of those that CUDA shows to this process, in CUDA's order.
    pub fn join(
        split: &Split,
        deadline: Duration,
        device: Device,
        gpus: impl FnOnce() -> Vec<Option<String>>,
    ) -> Result<Option<Arc<Self>>> {
        if split.ranks() == 1 {
            return beside().map(|()| None);
        }
        let Some(launch) = Launch::from_environment()? else { return Ok(None) };
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
        let fate = Arc::new(Fate::of_process(deadline, launch.rank));
        let gpus = if matches!(device, Device::Cuda(_)) { gpus() } else { Vec::new() };
        let identity = match device_of(&launch, device) {
            Device::Cuda(ordinal) => gpus.get(ordinal).cloned().flatten(),
            Device::Cpu | Device::Emulated => None,
        };
        let peers = launch.join(deadline, &fate, identity.as_deref())?;
        let neighbours = 1 + peers.iter().filter(|peer| peer.elsewhere.is_none()).count();
        let taken = AtomicBool::new(false);
        Ok(Some(Arc::new(Self { launch, peers, neighbours, fate, taken, gpus, identity })))
    }

    /// Whether this process runs the program, rather than doing what it is told.
    pub fn leads(&self) -> bool {
        self.launch.rank == 0
    }

    /// Processes.
    pub fn size(&self) -> usize {
        self.launch.size
    }

    /// Does what rank 0 says until that has no more to say.
    pub fn serve(&self) -> Result<()> {
        let served = self.obey();
        if let Err(error) = &served {
            self.fate.fail(self.launch.rank, error.to_string());
            self.peers.iter().for_each(|peer| peer.warn());
        }
        served
    }

    fn obey(&self) -> Result<()> {
        let (leader, mut team) = (&self.peers[0], Team::of_one_in(self.neighbours, None));
        let mut rank: Option<Rank> = None;
        let reply = |reply: &Reply| leader.tell(reply);
        loop {
            match leader.listen()? {
                Order::Load(load) => {
                    drop(rank.take());
                    team = Team::of_one_in(self.neighbours, load.threads);
                    let loaded = team.work(|| self.load(&load));
                    reply(&Rank::load_reply(&loaded))?;
                    rank = loaded.ok();
                }
                Order::Do(command) => {
                    let Some(rank) = &mut rank else {
                        let nothing = "the rank has no model".to_owned();
                        return Err(Error::Unsupported(nothing));
                    };
                    let done = team.work(|| rank.execute(&command));
                    match (&command, done) {
                        // Rank 0 sees it when this process ends.
                        (Command::Pass(_), Err(error)) => return Err(error),
                        (Command::Pass(_), Ok(_)) => {}
                        (_, done) => reply(&Reply::of(done))?,
                    }
                }
                Order::Unload => rank = None,
                Order::Quit => {
                    self.peers.iter().for_each(|peer| peer.farewell());
                    return Ok(());
                }
            }
        }
    }

    /// This process' part of a model.
    fn load(&self, load: &Load) -> Result<Rank> {
        let dtype = |name: &Option<String>| name.as_ref().map(|name| name.parse()).transpose();
        let options = LoadOptions {
            dtype: dtype(&load.dtype)?,
            kv_dtype: dtype(&load.kv_dtype)?,
            threads: load.threads,
            device: load.device.parse()?,
            seed: load.seed,
            split: load.split,
            // Rank 0 tells what the model is.
            digests: DigestOptions::nothing(),
            ..LoadOptions::new(load.source.parse()?)
        };
        options.check_threads(self.neighbours)?;
        let opened = OpenedModel::open(&options, &Place::Host)?;
        let device = self.computes_on(&options)?;
        let config = ReplicaConfig {
            weights: opened.weights,
            shape: opened.shape,
            split: load.split,
            devices: vec![device; self.size()],
            kv_dtype: options.kv_dtype,
            deadline: Duration::ZERO,
            neighbours: self.neighbours,
            threads: options.threads,
            latency: opened.latency,
        };
        let seat = self.seat(&load.split, device, load.groups.clone())?;
        config.loader(self.launch.rank, seat)()
    }

    /// The device of this process: the CPU, or a GPU of its own, where the launcher has not left it only
    /// one to see.
    pub fn device(&self, asked: Device) -> Device {
        device_of(&self.launch, asked)
    }

    /// Where this process computes its part of a model.
    fn computes_on(&self, options: &LoadOptions) -> Result<Device> {
        Ok(if options.stands_in()? { Device::Cpu } else { self.device(options.device) })
    }

    /// Loads a model over all processes; this one leads.
    pub fn lead(
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
        options.check_threads(self.neighbours)?;
        let device = self.computes_on(options)?;
        let mut groups = match device {
            Device::Cpu | Device::Emulated => vec![GroupIds::default(); self.size()],
            Device::Cuda(_) => nccl::group_ids(&options.split)?,
        };
        self.take()?;
        config.neighbours = self.neighbours;
        let load = |groups: GroupIds| Load {
            source: options.source.to_string(),
            dtype: options.dtype.map(|dtype| dtype.to_string()),
            kv_dtype: options.kv_dtype.map(|dtype| dtype.to_string()),
            device: options.device.to_string(),
            seed: options.seed,
            split: options.split,
            threads: options.threads,
            groups,
        };
        let link = |peer: &Arc<Peer>| Process { peer: Arc::clone(peer), world: Arc::clone(self) };
        let others: Vec<Process> = self.peers.iter().map(link).collect();
        for process in &others {
            process.peer.tell(&Order::Load(load(groups[process.peer.rank].clone())))?;
        }
        let others = others.into_iter().map(|process| Box::new(process) as Box<dyn Link>);
        let seat = self.seat(&options.split, device, groups.swap_remove(0))?;
        Replica::lead(config, 0, seat, others.collect(), Arc::clone(&self.fate))
    }

    /// Refuses a second model. Who lets go of one knows that it has gone when its drop has returned.
    fn take(&self) -> Result<()> {
        match self.taken.swap(true, Ordering::AcqRel) {
            false => Ok(()),
            true => Err(Error::Invalid(
                "one model at a time can be spread over processes: drop the other and its batches first"
                    .to_owned(),
            )),
        }
    }

    fn seat(&self, split: &Split, device: Device, groups: GroupIds) -> Result<Seat> {
        let own = self.launch.rank;
        if matches!(device, Device::Cuda(_)) {
            return Ok(seat::among_gpus(split, own, own, groups, &self.fate));
        }
        let (stage, index) = (own / split.tensor, own % split.tensor);
        let tensor: Vec<usize> = (0..split.tensor).map(|i| stage * split.tensor + i).collect();
        let pipeline: Vec<usize> = (0..split.pipeline).map(|s| s * split.tensor + index).collect();
        Ok(Seat::over(
            Sockets::new(own, &tensor, &self.peers),
            Sockets::new(own, &pipeline, &self.peers),
        ))
    }

    /// Takes leave of the other ranks, who would take this process's end for a failure: as soon as the models over them are
    /// gone, whose threads may still be at it when a run has been interrupted, and after `patience` at the latest.
    pub fn leave(self: Arc<Self>, patience: Duration) {
        let until = Instant::now() + patience;
        while Arc::strong_count(&self) > 1 && Instant::now() < until {
            thread::sleep(LOOK);
        }
    }

    /// The address of a rank on another machine, whose devices this one cannot measure.
    pub fn elsewhere(&self, rank: usize) -> Option<IpAddr> {
        self.peers.iter().find(|peer| peer.rank == rank)?.elsewhere
    }

    /// The UUID of a rank's GPU, as it told rank 0.
    pub fn identity(&self, rank: usize) -> Option<String> {
        match self.peers.iter().find(|peer| peer.rank == rank) {
            Some(peer) => peer.identity.clone(),
            None => self.identity.clone(),
        }
    }

    /// What this process calls the device of a rank, which calls it `device` itself: a GPU that it does not see it has
    /// no name for, and one without a UUID it cannot tell from others.
    pub fn here(&self, rank: usize, device: Device) -> Option<Device> {
        if rank == self.launch.rank || !matches!(device, Device::Cuda(_)) {
            return Some(device);
        }
        seen(&self.gpus, &self.identity(rank)?)
    }

    /// The UUIDs of GPUs that other ranks on this machine use, and that CUDA does not show to this process.
    pub fn other_gpus(&self) -> Vec<String> {
        let near = self.peers.iter().filter(|peer| peer.elsewhere.is_none());
        let others = near.filter_map(|peer| peer.identity.clone());
        others.filter(|identity| seen(&self.gpus, identity).is_none()).collect()
    }
}

/// The device of a process of a launch, where `asked` was asked for.
fn device_of(launch: &Launch, asked: Device) -> Device {
    match asked {
        Device::Cuda(first) if Device::cuda_count() > 1 => Device::Cuda(first + launch.local),
        other => other,
    }
}

/// What a process calls the GPU with a UUID, where it sees it.
fn seen(gpus: &[Option<String>], identity: &str) -> Option<Device> {
    gpus.iter().position(|gpu| gpu.as_deref() == Some(identity)).map(Device::Cuda)
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.launch.rank, self.launch.size)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.leads() {
            for peer in &self.peers {
                // One that is gone needs not be told.
                if peer.tell(&Order::Quit).is_err() {
                    peer.warn();
                }
                peer.farewell();
            }
        }
    }
}

/// The way to a rank that is a process.
struct Process {
    peer: Arc<Peer>,
    world: Arc<World>,
}

impl Link for Process {
    fn is_thread(&self) -> bool {
        false
    }

    fn tell(&mut self, command: &Command) -> Result<()> {
        self.peer.tell(&Order::Do(command.clone()))
    }

    fn reply(&mut self, more: Duration) -> Result<Reply> {
        self.peer.hear::<Reply>(more)?.of_rank(self.peer.rank)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that is gone has nothing to let go of.
        let _ = self.peer.tell(&Order::Unload);
        self.world.taken.store(false, Ordering::Release);
    }
}
