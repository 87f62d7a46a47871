//! One copy of a model on one or more ranks. The first rank leads: it runs on the caller's thread and sends commands
//! to the other ranks.

use super::{
    Split,
    failure::FailureState,
    group_membership::{GroupMembership, JoinedGroups},
    rank::{Rank, RankConfig},
    rank_command::{Attach, AttachedPart, KvCopy, LoadedPart, Pass, RankCommand, Reply},
    worker::{RankLink, Worker},
};
use crate::{
    AdapterSource, DType, DeviceId, Error, Result,
    adapters::{AdapterId, adapter_source::OpenedAdapter},
    cpu::threads::{StopCheck, Team, with_stop},
    decoder::Stage,
    gpu::Logits,
    layers::PassSegment,
    load::{SyntheticPasses, Weights, fixed_latency::FixedLatency},
};
use llem_checkpoint::Shape;
use std::{
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

/// What a model's replicas are loaded from.
pub(crate) struct ReplicaConfig {
    pub weights: Weights,
    pub shape: Shape,
    pub split: Split,
    pub devices: Vec<DeviceId>,
    /// Number format of keys and values. `None` means the format of the weights.
    pub kv_dtype: Option<DType>,
    /// How long ranks wait for one another.
    pub deadline: Duration,
    /// Number of ranks that share this machine's memory and cores.
    pub local_ranks: usize,
    /// CPU threads that the ranks of this machine share. `None` means all.
    pub threads: Option<usize>,
    /// How long passes take, for a model with a fixed latency.
    pub latency: Option<FixedLatency>,
    /// The given passes of a synthetic host, with the key of the model's logits.
    pub synthetic: Option<(SyntheticPasses, u64)>,
}

impl ReplicaConfig {
    /// Returns a function that loads rank `rank`. It must be called on the rank's own thread.
    pub(crate) fn loader(
        &self,
        rank: usize,
        membership: GroupMembership,
    ) -> impl FnOnce() -> Result<Rank> + Send + 'static {
        let (weights, shape, split) = (self.weights.clone(), self.shape.clone(), self.split);
        let (device, local_ranks, latency) = (self.devices[rank], self.local_ranks, self.latency);
        let (kv_dtype, synthetic) = (self.kv_dtype, self.synthetic.clone());
        move || {
            let index = rank % split.ranks_of_replica();
            let JoinedGroups { shard, pipeline, nccl_init } = membership.join(&split, index);
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
                nccl_init,
                microbatches,
                kv_dtype,
                local_ranks,
                latency,
                synthetic,
            })
        }
    }

    /// Returns the threads of one rank.
    pub(crate) fn team(&self) -> Team {
        Team::new(self.local_ranks, self.threads)
    }
}

pub(crate) struct Replica {
    leader: Rank,
    /// The number of the leader among all ranks.
    first: usize,
    others: Vec<Box<dyn RankLink>>,
    failure: Arc<FailureState>,
    team: Team,
    /// What each rank has loaded, the leader first.
    loaded: Vec<LoadedPart>,
    /// The continuous batches by their ids. The reference is dead once the batch is dropped.
    batches: Vec<(u64, Weak<()>)>,
    next_batch: u64,
}

/// The KV memory of a continuous batch on all ranks. It is freed some time after this is dropped, and before any
/// other KV memory is reserved.
pub(crate) struct BatchMemory {
    id: u64,
    /// Bytes of the reserved memory, on all ranks.
    pub bytes: usize,
    _open: Arc<()>,
}

impl Replica {
    /// Loads replica number `replica` with its ranks as threads of this process.
    pub(crate) fn load(config: &ReplicaConfig, replica: usize) -> Result<Self> {
        let ranks = config.split.ranks_of_replica();
        let (first, failure) = (replica * ranks, Arc::new(FailureState::new(config.deadline)));
        let mut memberships =
            GroupMembership::for_threads(&config.split, first, config.devices[first], &failure)?
                .into_iter()
                .zip(first..);
        let Some((own, _)) = memberships.next() else {
            return Err(Error::Invalid("a split needs at least one rank".to_owned()));
        };
        let others = memberships
            .map(|(membership, rank)| {
                let worker =
                    Worker::start(rank, config.team(), &failure, config.loader(rank, membership))?;
                Ok(Box::new(worker) as Box<dyn RankLink>)
            })
            .collect::<Result<Vec<_>>>()?;
        Self::lead(config, first, own, others, failure)
    }

    /// Loads the leader while the other ranks load, and waits for them.
    pub(crate) fn lead(
        config: &ReplicaConfig,
        first: usize,
        membership: GroupMembership,
        mut others: Vec<Box<dyn RankLink>>,
        failure: Arc<FailureState>,
    ) -> Result<Self> {
        let (began, team) = (Instant::now(), config.team());
        let leader = team.work(config.loader(first, membership))?;
        let mut loaded = vec![leader.loaded()];
        for reply in replies(&mut others, began)? {
            if let Reply::Loaded(part) = reply {
                loaded.push(part);
            }
        }
        let (batches, next_batch) = (Vec::new(), 0);
        Ok(Self { leader, first, others, failure, team, loaded, batches, next_batch })
    }

    /// Returns what each rank has loaded, the leader first.
    pub(crate) fn loaded(&self) -> &[LoadedPart] {
        &self.loaded
    }

    /// Returns true if the leader computes on the CPU. A pass on the CPU has finished when it returns.
    pub(crate) fn is_on_cpu(&self) -> bool {
        self.leader.is_on_cpu()
    }

    /// Reserves KV caches for a static batch: the number of tokens of each sequence.
    pub(crate) fn reserve(&mut self, capacities: &[usize]) -> Result<()> {
        self.close_dropped_batches()?;
        self.all(&RankCommand::Reserve(capacities.to_vec())).map(drop)
    }

    /// Reserves the KV caches of a continuous batch: `count` sequences of at most `capacity` tokens each.
    pub(crate) fn open_batch(&mut self, count: usize, capacity: usize) -> Result<BatchMemory> {
        self.close_dropped_batches()?;
        let (id, open) = (self.next_batch, Arc::new(()));
        self.next_batch += 1;
        let replies = self.all(&RankCommand::Open(id, count, capacity))?;
        let bytes = replies.iter().map(|reply| match reply {
            Reply::Reserved(bytes) => *bytes,
            _ => 0,
        });
        self.batches.push((id, Arc::downgrade(&open)));
        Ok(BatchMemory { id, bytes: bytes.sum(), _open: open })
    }

    /// Returns true while a continuous batch is open.
    pub(crate) fn has_open_batch(&self) -> bool {
        self.batches.iter().any(|(_, open)| open.strong_count() > 0)
    }

    /// Copies keys and values between the caches of a continuous batch, in this order.
    pub(crate) fn copy(&mut self, memory: &BatchMemory, copies: &[KvCopy]) -> Result<()> {
        if copies.is_empty() {
            return Ok(());
        }
        self.all(&RankCommand::Copy(memory.id, copies.to_vec())).map(drop)
    }

    /// Runs new tokens of several sequences.
    ///
    /// # Shapes
    /// - `segments`: the new tokens, `[rows]` in all
    /// - `wanted`: the rows whose logits are needed, in ascending order
    /// - returns: `[wanted, vocab]`, or `None` if no logits are wanted
    ///
    /// # Errors
    /// [`Error::Interrupted`] within about 100 ms after `stop` returns true. If ranks are processes, they finish the
    /// pass first.
    pub(crate) fn pass(
        &mut self,
        memory: Option<&BatchMemory>,
        segments: &[PassSegment<'_>],
        wanted: &[u32],
        stop: &StopCheck<'_>,
    ) -> Result<Option<Logits>> {
        let batch = memory.map(|memory| memory.id);
        if !self.others.is_empty() {
            let segments = segments.iter().map(Into::into).collect();
            let command = RankCommand::Pass(Pass { batch, segments, wanted: wanted.to_vec() });
            self.others.iter_mut().try_for_each(|other| other.send(&command))?;
        }
        let (leader, team) = (&mut self.leader, &self.team);
        let stop = self.others.iter().all(|other| other.is_thread()).then_some(stop);
        let result = team.work(|| with_stop(stop, || leader.pass(batch, segments, wanted)));
        if let Err(error) = &result
            && !self.others.is_empty()
        {
            // The other ranks wait for tensors that the leader will never send.
            self.failure.fail(self.first, error.to_string());
            if !matches!(error, Error::Interrupted) {
                self.failure.check()?;
            }
        }
        result
    }

    /// Runs work on the host with the leader's threads.
    pub(crate) fn work<R>(&self, work: impl FnOnce() -> R) -> R {
        self.team.work(work)
    }

    /// Attaches an adapter on every rank. If that fails on one rank, the adapter is detached on all.
    pub(crate) fn attach(
        &mut self,
        id: AdapterId,
        source: &AdapterSource,
        seed: u64,
        opened: &mut OpenedAdapter,
    ) -> Result<AttachedPart> {
        let command = RankCommand::Attach(Attach { id, source: source.to_string(), seed });
        let tensors = &mut opened.tensors;
        let attached = self.run_with_leader(&command, |leader| leader.attach(id, tensors));
        let taken = attached.and_then(|(mut taken, theirs)| {
            for reply in theirs {
                if let Reply::Attached(more) = reply {
                    taken.add(more);
                }
            }
            opened.tensors.check_leftovers(&taken.leftovers)?;
            match taken.added.modules {
                0 => Err(opened.tensors.file_error("it changes no module of the base model")),
                _ => Ok(taken),
            }
        });
        if taken.is_err() {
            // The first error is reported, even if the cleanup fails too.
            let _ = self.all(&RankCommand::Detach(id));
        }
        taken
    }

    /// Runs a command on every rank and returns the replies, the leader's first.
    pub(crate) fn all(&mut self, command: &RankCommand) -> Result<Vec<Reply>> {
        let (own, theirs) = self.run_with_leader(command, |leader| leader.execute(command))?;
        Ok([vec![own], theirs].concat())
    }

    /// Sends a command to the other ranks while the leader runs its own part. An error of the leader is returned
    /// before the errors of others.
    fn run_with_leader<T>(
        &mut self,
        command: &RankCommand,
        own: impl FnOnce(&mut Rank) -> Result<T>,
    ) -> Result<(T, Vec<Reply>)> {
        let began = Instant::now();
        self.others.iter_mut().try_for_each(|other| other.send(command))?;
        let (leader, team) = (&mut self.leader, &self.team);
        let own = team.work(|| own(leader));
        let theirs = replies(&mut self.others, began);
        Ok((own?, theirs?))
    }

    /// Frees the memory of batches that have been dropped.
    fn close_dropped_batches(&mut self) -> Result<()> {
        let gone: Vec<_> =
            self.batches.extract_if(.., |(_, open)| open.strong_count() == 0).collect();
        gone.into_iter().try_for_each(|(id, _)| self.all(&RankCommand::Close(id)).map(drop))
    }
}

/// Collects the replies to a command that was sent at `began`. Every reply is taken, so that none is mistaken for the
/// reply to the next command. Returns the first error.
fn replies(others: &mut [Box<dyn RankLink>], began: Instant) -> Result<Vec<Reply>> {
    // The other ranks may take as much longer as the leader took.
    let own = began.elapsed();
    let all: Vec<_> = others.iter_mut().map(|other| other.wait_for_reply(own)).collect();
    all.into_iter().collect()
}

/// Runs `work` on all replicas at the same time, the first one on the caller's thread. Returns after all have ended,
/// with the first error if there is one.
pub(crate) fn run_on_replicas<T: Send, R: Send>(
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
            self.failure.fail(self.first, "it panicked; its last words are on standard error");
        }
    }
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
