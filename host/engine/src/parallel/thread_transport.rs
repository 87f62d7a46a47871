//! Exchanges tensors between ranks that are threads of this process, without copying them.

use super::{
    cpu_group::Transport,
    failure::{FailureState, POLL_INTERVAL},
};
use crate::Result;
use candle_core::Tensor;
use std::{
    collections::VecDeque,
    hint,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How often a rank checks before it sleeps, if there is a core for each rank.
const SPINS: usize = 4000;

/// The memory that the ranks of a group share.
struct ExchangeBuffer {
    /// The model's ranks that are in the group.
    ranks: Vec<usize>,
    failure: Arc<FailureState>,
    /// The tensor of each rank, for even and for odd exchanges. Two are enough: a rank that starts exchange `n + 2`
    /// has seen all others start exchange `n + 1`, so no rank reads the tensors of exchange `n` any more.
    slots: [Vec<Mutex<Option<Tensor>>>; 2],
    /// Number of exchanges that each rank has started.
    arrived: Vec<AtomicUsize>,
    /// Tensors that rank `from` has sent to rank `to`, at index `from · size + to`.
    messages: Vec<Mutex<VecDeque<Tensor>>>,
    sleepers: Mutex<usize>,
    woken: Condvar,
    spins: usize,
}

/// A rank's membership of a group of threads.
pub(super) struct ThreadTransport {
    buffer: Arc<ExchangeBuffer>,
    index: usize,
}

impl ThreadTransport {
    /// Creates a group of the model's ranks `ranks`, with one transport for each.
    pub(super) fn group(ranks: &[usize], failure: &Arc<FailureState>) -> Vec<Self> {
        let size = ranks.len();
        let cores = thread::available_parallelism().map_or(1, |count| count.get());
        let places = || (0..size).map(|_| Mutex::new(None)).collect();
        let buffer = Arc::new(ExchangeBuffer {
            ranks: ranks.to_vec(),
            failure: Arc::clone(failure),
            slots: [places(), places()],
            arrived: (0..size).map(|_| AtomicUsize::new(0)).collect(),
            messages: (0..size * size).map(|_| Mutex::default()).collect(),
            sleepers: Mutex::new(0),
            woken: Condvar::new(),
            spins: if size <= cores { SPINS } else { 0 },
        });
        (0..size).map(|index| Self { buffer: Arc::clone(&buffer), index }).collect()
    }
}

impl ExchangeBuffer {
    /// Waits until `ready` returns a value. `missing` returns the rank of the group that is waited for.
    fn wait<T>(
        &self,
        mut ready: impl FnMut() -> Option<T>,
        missing: impl Fn() -> usize,
    ) -> Result<T> {
        for _ in 0..self.spins {
            if let Some(found) = ready() {
                return Ok(found);
            }
            hint::spin_loop();
        }
        let began = Instant::now();
        let mut sleepers = lock(&self.sleepers);
        loop {
            if let Some(found) = ready() {
                return Ok(found);
            }
            self.failure.check_wait(self.ranks[missing()], began, Duration::ZERO)?;
            *sleepers += 1;
            sleepers = self
                .woken
                .wait_timeout(sleepers, POLL_INTERVAL)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            *sleepers -= 1;
        }
    }

    fn messages(&self, from: usize, to: usize) -> &Mutex<VecDeque<Tensor>> {
        &self.messages[from * self.ranks.len() + to]
    }

    fn wake(&self) {
        if *lock(&self.sleepers) > 0 {
            self.woken.notify_all();
        }
    }
}

impl Transport for ThreadTransport {
    fn exchange(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let buffer = &*self.buffer;
        let round = buffer.arrived[self.index].load(Ordering::Relaxed);
        let slots = &buffer.slots[round % 2];
        *lock(&slots[self.index]) = Some(x.clone());
        buffer.arrived[self.index].store(round + 1, Ordering::Release);
        buffer.wake();
        let late =
            || buffer.arrived.iter().position(|count| count.load(Ordering::Acquire) <= round);
        buffer.wait(|| late().is_none().then_some(()), || late().unwrap_or(self.index))?;
        Ok(slots.iter().filter_map(|place| lock(place).clone()).collect())
    }

    fn send(&self, x: &Tensor, to: usize) -> Result<()> {
        self.buffer.failure.check()?;
        lock(self.buffer.messages(self.index, to)).push_back(x.clone());
        self.buffer.wake();
        Ok(())
    }

    fn recv(&self, from: usize) -> Result<Tensor> {
        let messages = self.buffer.messages(from, self.index);
        self.buffer.wait(|| lock(messages).pop_front(), || from)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::cpu_tensor,
        parallel::{Communicator, cpu_group::CpuGroup},
    };

    fn ranks(count: usize, deadline: Duration) -> Vec<CpuGroup<ThreadTransport>> {
        let failure = Arc::new(FailureState::new(deadline));
        let all: Vec<usize> = (0..count).collect();
        ThreadTransport::group(&all, &failure).into_iter().map(CpuGroup::new).collect()
    }

    /// Sends `x` of rank `root` to all other ranks, and returns it on every rank.
    fn broadcast(group: &impl Communicator, me: usize, x: Tensor, root: usize) -> Tensor {
        if me != root {
            return group.recv(root).expect("received");
        }
        (0..5).filter(|&to| to != root).for_each(|to| group.send(&x, to).expect("sent"));
        x
    }

    fn number(x: f32) -> Tensor {
        cpu_tensor::from_rows(vec![x], 1).expect("a tensor")
    }

    fn value(x: &Tensor) -> f32 {
        x.flatten_all().and_then(|x| x.to_vec1::<f32>()).expect("numbers")[0]
    }

    /// Sums, gathers, broadcasts and messages, often enough that some ranks get ahead of others.
    #[test]
    fn ranks_agree_however_they_are_scheduled() {
        thread::scope(|scope| {
            for (index, group) in ranks(5, Duration::from_secs(20)).into_iter().enumerate() {
                scope.spawn(move || {
                    let me = index as f32;
                    for round in 0..500 {
                        let base = round as f32;
                        let sum = group.all_reduce(number(base + me)).expect("a sum");
                        assert_eq!(value(&sum), 5.0 * base + 10.0);
                        let all = group.all_gather(&number(me)).expect("all");
                        assert_eq!(all.iter().map(value).collect::<Vec<_>>(), [0., 1., 2., 3., 4.]);
                        let root = round % 5;
                        let sent = broadcast(&group, index, number(me + base), root);
                        assert_eq!(value(&sent), root as f32 + base);
                        let (next, last) = ((index + 1) % 5, (index + 4) % 5);
                        group.send(&number(me), next).expect("sent");
                        let got = group.recv(last).expect("received");
                        assert_eq!(value(&got), last as f32);
                    }
                    group.all_gather(&number(me)).expect("all came");
                });
            }
        });
    }

    /// The error of the other ranks names the rank that did not come.
    #[test]
    fn a_rank_that_does_not_come_is_named() {
        // The first missing rank is named, so rank 0 is named even if a busy machine starts another rank late.
        let mut groups = ranks(3, Duration::from_millis(100));
        let _late = groups.remove(0);
        thread::scope(|scope| {
            for group in groups {
                scope.spawn(move || {
                    let error =
                        group.all_gather(&number(0.0)).expect_err("rank 0 never comes").to_string();
                    assert!(error.starts_with("rank 0 failed"), "{error}");
                });
            }
        });
    }
}
