//! One copy of a model, on however many ranks: the first does its part on the caller's thread and tells
//! the others what to do.

use super::{
    Split,
    command::{Attach, Attached, Command, KvCopy, Loaded, Pass, Reply},
    fate::Fate,
    rank::{Rank, RankConfig},
    seat::{self, Seat, Seated},
    worker::{Link, Worker},
};
use crate::{
    AdapterSource, Error, Result,
    adapters::{AdapterId, source::Opened},
    cpu::parallel::{Stop, Team, asking},
    decoder::Stage,
    dtype::{DType, Device},
    gpu::Logits,
    layers::Segment,
    load::{Weights, latency::FixedLatency},
};
use llem_checkpoint::families::Shape;
use std::{
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

/// What replicas are made of.
pub struct ReplicaConfig {
    /// The checkpoint.
    pub weights: Weights,
    /// The model's shape.
    pub shape: Shape,
    /// How it is split.
    pub split: Split,
    /// The device of each rank.
    pub devices: Vec<Device>,
    /// Number format of keys and values; none means that of the weights.
    pub kv_dtype: Option<DType>,
    /// How long ranks wait for one another.
    pub deadline: Duration,
    /// Ranks that share this machine's memory and cores.
    pub neighbours: usize,
    /// Threads of the CPU that those share; none means all.
    pub threads: Option<usize>,
    /// How long passes take, where that is given.
    pub latency: Option<FixedLatency>,
}

impl ReplicaConfig {
    /// What loads rank `rank` on its own thread.
    pub fn loader(
        &self,
        rank: usize,
        seat: Seat,
    ) -> impl FnOnce() -> Result<Rank> + Send + 'static {
        let (weights, shape, split) = (self.weights.clone(), self.shape.clone(), self.split);
        let (device, sharing, latency) = (self.devices[rank], self.neighbours, self.latency);
        let kv_dtype = self.kv_dtype;
        move || {
            let index = rank % split.ranks_of_replica();
            let Seated { shard, pipeline, invitation } = seat.sit(&split, index);
            let stage = index / split.tensor;
            let layers = split.layers_of(stage, shape.layers);
            let stage = Stage { index: stage, count: split.pipeline, layers };
            let microbatches = split.microbatches;
            Rank::load(RankConfig {
                weights,
                shape,
                stage,
                shard,
                pipeline,
                device,
                invitation,
                microbatches,
                kv_dtype,
                sharing,
                latency,
            })
        }
    }

    /// The threads of one rank.
    pub fn team(&self) -> Team {
        Team::of_one_in(self.neighbours, self.threads)
    }
}

/// One copy of a model.
pub struct Replica {
    leader: Rank,
    /// The leader's number among all ranks.
    first: usize,
    others: Vec<Box<dyn Link>>,
    fate: Arc<Fate>,
    team: Team,
    /// What each rank has loaded.
    loaded: Vec<Loaded>,
    /// Open continuous batches, and whether someone still holds them.
    batches: Vec<(u64, Weak<()>)>,
    next_batch: u64,
}

/// The KV memory of a continuous batch, on all ranks. It is freed some time after this is dropped, and
/// before any other is reserved.
pub struct BatchRoom {
    id: u64,
    /// What it takes.
    pub bytes: usize,
    _held: Arc<()>,
}

impl Replica {
    /// Loads replica number `replica`, every rank its part.
    pub fn load(config: &ReplicaConfig, replica: usize) -> Result<Self> {
        let ranks = config.split.ranks_of_replica();
        let (first, fate) = (replica * ranks, Arc::new(Fate::new(config.deadline)));
        let mut seats = seat::among_threads(&config.split, first, config.devices[first], &fate)?
            .into_iter()
            .zip(first..);
        let Some((own, _)) = seats.next() else {
            return Err(Error::Invalid("a split needs at least one rank".to_owned()));
        };
        let others = seats
            .map(|(seat, rank)| {
                let worker = Worker::start(rank, config.team(), &fate, config.loader(rank, seat))?;
                Ok(Box::new(worker) as Box<dyn Link>)
            })
            .collect::<Result<Vec<_>>>()?;
        Self::lead(config, first, own, others, fate)
    }

    /// Loads the leader while the others load, and waits for them.
    pub fn lead(
        config: &ReplicaConfig,
        first: usize,
        seat: Seat,
        mut others: Vec<Box<dyn Link>>,
        fate: Arc<Fate>,
    ) -> Result<Self> {
        let (began, team) = (Instant::now(), config.team());
        let leader = team.work(config.loader(first, seat))?;
        let mut loaded = vec![leader.loaded()];
        for reply in replies(&mut others, began)? {
            if let Reply::Loaded(part) = reply {
                loaded.push(part);
            }
        }
        let (batches, next_batch) = (Vec::new(), 0);
        Ok(Self { leader, first, others, fate, team, loaded, batches, next_batch })
    }

    /// What each rank has loaded.
    pub fn loaded(&self) -> &[Loaded] {
        &self.loaded
    }

    /// Whether its leader computes on the CPU, where a pass is done when it returns.
    pub fn is_on_cpu(&self) -> bool {
        self.leader.is_on_cpu()
    }

    /// Makes room for so many tokens of each sequence of a static batch.
    pub fn reserve(&mut self, capacities: &[usize]) -> Result<()> {
        self.sweep()?;
        self.all(&Command::Reserve(capacities.to_vec())).map(drop)
    }

    /// Reserves the memory of a continuous batch.
    pub fn open_batch(&mut self, count: usize, capacity: usize) -> Result<BatchRoom> {
        self.sweep()?;
        let (id, held) = (self.next_batch, Arc::new(()));
        self.next_batch += 1;
        let replies = self.all(&Command::Open(id, count, capacity))?;
        let bytes = replies.iter().map(|reply| match reply {
            Reply::Reserved(bytes) => *bytes,
            _ => 0,
        });
        self.batches.push((id, Arc::downgrade(&held)));
        Ok(BatchRoom { id, bytes: bytes.sum(), _held: held })
    }

    /// Whether a continuous batch is open.
    pub fn has_open_batch(&self) -> bool {
        self.batches.iter().any(|(_, held)| held.strong_count() > 0)
    }

    /// Copies keys and values between the caches of a continuous batch, in this order.
    pub fn copy(&mut self, room: &BatchRoom, copies: &[KvCopy]) -> Result<()> {
        if copies.is_empty() {
            return Ok(());
        }
        self.all(&Command::Copy(room.id, copies.to_vec())).map(drop)
    }

    /// Runs new tokens of several sequences and returns the logits of the `wanted` rows; none where none are wanted.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once `stop` says so, within about 100 ms. Ranks that are processes finish the pass first.
    pub fn pass(
        &mut self,
        room: Option<&BatchRoom>,
        segments: &[Segment<'_>],
        wanted: &[u32],
        stop: &Stop<'_>,
    ) -> Result<Option<Logits>> {
        let batch = room.map(|room| room.id);
        if !self.others.is_empty() {
            let segments = segments.iter().map(Into::into).collect();
            let command = Command::Pass(Pass { batch, segments, wanted: wanted.to_vec() });
            self.others.iter_mut().try_for_each(|other| other.tell(&command))?;
        }
        let (leader, team) = (&mut self.leader, &self.team);
        let stop = self.others.iter().all(|other| other.is_thread()).then_some(stop);
        let result = team.work(|| asking(stop, || leader.pass(batch, segments, wanted)));
        if let Err(error) = &result
            && !self.others.is_empty()
        {
            // The others wait for what the leader will never do.
            self.fate.fail(self.first, error.to_string());
            if !matches!(error, Error::Interrupted) {
                self.fate.check()?;
            }
        }
        result
    }

    /// Does work on the host with the leader's threads.
    pub fn work<R>(&self, work: impl FnOnce() -> R) -> R {
        self.team.work(work)
    }

    /// Takes an adapter's tensors in, every rank what is its own. On an error none has any.
    pub fn attach(
        &mut self,
        id: AdapterId,
        source: &AdapterSource,
        seed: u64,
        opened: &mut Opened,
    ) -> Result<Attached> {
        let command = Command::Attach(Attach { id, source: source.to_string(), seed });
        let tensors = &mut opened.tensors;
        let attached = self.together(&command, |leader| leader.attach(id, tensors));
        let taken = attached.and_then(|(mut taken, theirs)| {
            for reply in theirs {
                if let Reply::Attached(more) = reply {
                    taken.and(more);
                }
            }
            opened.tensors.finish(&taken.leftovers)?;
            match taken.added.modules {
                0 => Err(opened.tensors.bad("it changes no module of the base model")),
                _ => Ok(taken),
            }
        });
        if taken.is_err() {
            // What went wrong is told, rather than that undoing it did.
            let _ = self.all(&Command::Detach(id));
        }
        taken
    }

    /// Has every rank do the same, and returns what it came to, the leader's first.
    pub fn all(&mut self, command: &Command) -> Result<Vec<Reply>> {
        let (own, theirs) = self.together(command, |leader| leader.execute(command))?;
        Ok([vec![own], theirs].concat())
    }

    /// Has the other ranks do what they are told while the leader does its part of the same. The leader's
    /// failure goes before theirs.
    fn together<T>(
        &mut self,
        command: &Command,
        own: impl FnOnce(&mut Rank) -> Result<T>,
    ) -> Result<(T, Vec<Reply>)> {
        let began = Instant::now();
        self.others.iter_mut().try_for_each(|other| other.tell(command))?;
        let (leader, team) = (&mut self.leader, &self.team);
        let own = team.work(|| own(leader));
        let theirs = replies(&mut self.others, began);
        Ok((own?, theirs?))
    }

    /// Frees the memory of batches that nobody holds any more.
    fn sweep(&mut self) -> Result<()> {
        let gone: Vec<_> =
            self.batches.extract_if(.., |(_, held)| held.strong_count() == 0).collect();
        gone.into_iter().try_for_each(|(id, _)| self.all(&Command::Close(id)).map(drop))
    }
}

/// What each has done of what it was told at `began`. Every reply is taken, so that the next is not
/// mistaken for one of these; the first failure is what counts.
fn replies(others: &mut [Box<dyn Link>], began: Instant) -> Result<Vec<Reply>> {
    // The others may be as slow again as the leader was.
    let own = began.elapsed();
    let all: Vec<_> = others.iter_mut().map(|other| other.reply(own)).collect();
    all.into_iter().collect()
}

/// Does the same on several at the same time, the first on the caller's thread. All end before this
/// does; the first failure is returned.
pub fn at_once<T: Send, R: Send>(
    all: &mut [T],
    work: impl Fn(usize, &mut T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let Some((first, others)) = all.split_first_mut() else { return Ok(Vec::new()) };
    if others.is_empty() {
        return Ok(vec![work(0, first)?]);
    }
    thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = (1..)
            .zip(others)
            .map(|(index, other)| scope.spawn(move || work(index, other)))
            .collect();
        let mut results = vec![work(0, first)];
        let ended = others.into_iter().zip(1..).map(|(other, replica)| {
            let panicked =
                || Error::Rank { rank: replica, reason: "its replica panicked".to_owned() };
            other.join().unwrap_or_else(|_| Err(panicked()))
        });
        results.extend(ended);
        results.into_iter().collect()
    })
}

impl Drop for Replica {
    fn drop(&mut self) {
        if thread::panicking() {
            self.fate.fail(self.first, "it panicked; its last words are on standard error");
        }
    }
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
