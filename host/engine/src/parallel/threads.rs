//! Ranks that are threads of this process: tensors are handed over without a copy.

use super::{
    cpu_group::Transport,
    fate::{Fate, LOOK},
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

/// Looks that a rank takes before it sleeps, where there is a core for each.
const SPINS: usize = 4000;

/// What the ranks of a group share.
struct Room {
    /// The ranks of the model that are in the group.
    ranks: Vec<usize>,
    fate: Arc<Fate>,
    /// What each rank shows, for even and odd exchanges: a rank that comes to the next but one has seen
    /// all others arrive at the next, so that nobody reads the last any more.
    shown: [Vec<Mutex<Option<Tensor>>>; 2],
    /// Exchanges that each rank has come to.
    arrived: Vec<AtomicUsize>,
    /// What rank `from` has sent to rank `to`, at `from · size + to`.
    letters: Vec<Mutex<VecDeque<Tensor>>>,
    asleep: Mutex<usize>,
    woken: Condvar,
    spins: usize,
}

/// A rank's place in the room.
pub struct Threads {
    room: Arc<Room>,
    index: usize,
}

impl Threads {
    /// A group of these ranks of a model, which share `fate`: one transport for each.
    pub fn group(ranks: &[usize], fate: &Arc<Fate>) -> Vec<Self> {
        let size = ranks.len();
        let cores = thread::available_parallelism().map_or(1, |count| count.get());
        let places = || (0..size).map(|_| Mutex::new(None)).collect();
        let room = Arc::new(Room {
            ranks: ranks.to_vec(),
            fate: Arc::clone(fate),
            shown: [places(), places()],
            arrived: (0..size).map(|_| AtomicUsize::new(0)).collect(),
            letters: (0..size * size).map(|_| Mutex::default()).collect(),
            asleep: Mutex::new(0),
            woken: Condvar::new(),
            spins: if size <= cores { SPINS } else { 0 },
        });
        (0..size).map(|index| Self { room: Arc::clone(&room), index }).collect()
    }
}

impl Room {
    /// Waits until `ready` finds something; `missing` says which rank's place keeps it waiting.
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
        let mut asleep = lock(&self.asleep);
        loop {
            if let Some(found) = ready() {
                return Ok(found);
            }
            self.fate.waiting(self.ranks[missing()], began, Duration::ZERO)?;
            *asleep += 1;
            asleep =
                self.woken.wait_timeout(asleep, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            *asleep -= 1;
        }
    }

    fn wake(&self) {
        if *lock(&self.asleep) > 0 {
            self.woken.notify_all();
        }
    }
}

impl Transport for Threads {
    fn index(&self) -> usize {
        self.index
    }

    fn size(&self) -> usize {
        self.room.ranks.len()
    }

    fn exchange(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let room = &*self.room;
        let round = room.arrived[self.index].load(Ordering::Relaxed);
        let shown = &room.shown[round % 2];
        *lock(&shown[self.index]) = Some(x.clone());
        room.arrived[self.index].store(round + 1, Ordering::Release);
        room.wake();
        let late = || room.arrived.iter().position(|count| count.load(Ordering::Acquire) <= round);
        room.wait(|| late().is_none().then_some(()), || late().unwrap_or(self.index))?;
        Ok(shown.iter().filter_map(|place| lock(place).clone()).collect())
    }

    fn send(&self, x: &Tensor, to: usize) -> Result<()> {
        self.room.fate.check()?;
        lock(&self.room.letters[self.index * self.size() + to]).push_back(x.clone());
        self.room.wake();
        Ok(())
    }

    fn recv(&self, from: usize) -> Result<Tensor> {
        let letters = &self.room.letters[from * self.size() + self.index];
        self.room.wait(|| lock(letters).pop_front(), || from)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::host,
        parallel::{Communicator, cpu_group::CpuGroup},
    };

    fn ranks(count: usize, deadline: Duration) -> Vec<CpuGroup<Threads>> {
        let fate = Arc::new(Fate::new(deadline));
        let all: Vec<usize> = (0..count).collect();
        Threads::group(&all, &fate).into_iter().map(CpuGroup::new).collect()
    }

    fn number(x: f32) -> Tensor {
        host::rows(vec![x], 1).expect("a tensor")
    }

    fn value(x: &Tensor) -> f32 {
        x.flatten_all().and_then(|x| x.to_vec1::<f32>()).expect("numbers")[0]
    }

    /// Sums, gathers, broadcasts and messages, often enough for ranks to overtake one another.
    #[test]
    fn ranks_agree_however_they_are_scheduled() {
        thread::scope(|scope| {
            for group in ranks(5, Duration::from_secs(20)) {
                scope.spawn(move || {
                    let me = group.index() as f32;
                    for round in 0..500 {
                        let base = round as f32;
                        let sum = group.all_reduce(number(base + me)).expect("a sum");
                        assert_eq!(value(&sum), 5.0 * base + 10.0);
                        let all = group.all_gather(&number(me)).expect("all");
                        assert_eq!(all.iter().map(value).collect::<Vec<_>>(), [0., 1., 2., 3., 4.]);
                        let root = round % 5;
                        let told = group.broadcast(&number(me + base), root).expect("told");
                        assert_eq!(value(&told), root as f32 + base);
                        let (next, last) = ((group.index() + 1) % 5, (group.index() + 4) % 5);
                        group.send(&number(me), next).expect("sent");
                        let got = group.recv(last).expect("received");
                        assert_eq!(value(&got), last as f32);
                    }
                    group.barrier().expect("all came");
                });
            }
        });
    }

    /// The others are told which rank it was that did not come.
    #[test]
    fn a_rank_that_does_not_come_is_named() {
        let mut groups = ranks(3, Duration::from_millis(100));
        let _late = groups.remove(1);
        thread::scope(|scope| {
            for group in groups {
                scope.spawn(move || {
                    let error = group.barrier().expect_err("rank 1 never comes").to_string();
                    assert!(error.starts_with("rank 1 failed"), "{error}");
                });
            }
        });
    }
}
