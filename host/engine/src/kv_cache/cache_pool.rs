//! The KV caches of static batches, which are reused from one request to the next.
//!
//! ```text
//! requested  900    60    60
//! pool      1024   512    64    64      capacity, tokens
//! in use    1024    64    64            the smallest capacity that is enough
//! unused           512
//! ```
//!
//! If no cache of the pool is large enough for a sequence, a new cache replaces the largest unused one. Therefore,
//! with its caches ordered by capacity, the pool has at each index the largest capacity that a request has needed
//! there. A request of a shape that was there before finds all its memory, whatever requests came between.

use super::{CacheLayout, KvCache};
use crate::{Result, memory};
use std::cmp::Reverse;

/// The KV caches of static batches. They are kept between requests, so that a measured request does not reserve
/// memory if a warm-up request had the same shape.
#[derive(Default)]
pub(crate) struct CachePool {
    /// The caches in use, by the slots of their sequences, and then the unused ones.
    caches: Vec<KvCache>,
    in_use: usize,
}

impl CachePool {
    /// Reserves a cache of at least `capacities[i]` tokens for each sequence `i`. Returns the number of caches that
    /// had to be made.
    ///
    /// # Errors
    /// Returns an error if memory is short even after unused caches are freed, the largest first.
    pub(crate) fn reserve(&mut self, layout: &CacheLayout, capacities: &[usize]) -> Result<usize> {
        self.reserve_within(layout, capacities, || layout.available())
    }

    fn reserve_within(
        &mut self,
        layout: &CacheLayout,
        capacities: &[usize],
        available: impl FnOnce() -> Option<usize>,
    ) -> Result<usize> {
        self.in_use = 0;
        let chosen = best_fit(&self.caches, capacities);
        let wanted: Vec<usize> = (chosen.iter().zip(capacities))
            .filter(|(held, _)| held.is_none())
            .map(|(_, &capacity)| round_up(capacity))
            .collect();
        let is_chosen = |index: usize| chosen.contains(&Some(index));
        let unused = (0..self.caches.len()).filter(|&index| !is_chosen(index)).collect();
        let keep = choose_kept(
            &self.caches,
            unused,
            layout,
            (
                wanted.len(),
                saturating_sum(wanted.iter().map(|&capacity| layout.bytes_of(capacity))),
            ),
            wanted.len(),
            available,
        )?;

        let mut held: Vec<Option<KvCache>> =
            std::mem::take(&mut self.caches).into_iter().map(Some).collect();
        let mut taken: Vec<Option<KvCache>> =
            chosen.iter().map(|&index| held[index?].take()).collect();
        let mut unused: Vec<KvCache> =
            keep.into_iter().filter_map(|index| held[index].take()).collect();
        // The caches that are replaced are freed before new ones are made.
        drop(held);
        let mut new = wanted
            .iter()
            .map(|&capacity| retry_without_unused(|| KvCache::new(layout, capacity), &mut unused));
        let result = taken.iter_mut().filter(|cache| cache.is_none()).try_for_each(|cache| {
            *cache = new.next().transpose()?;
            Ok(())
        });
        drop(new);
        self.caches.extend(taken.into_iter().flatten());
        if result.is_ok() {
            self.in_use = capacities.len();
        }
        self.caches.append(&mut unused);
        result.map(|()| wanted.len())
    }

    /// Reserves `count` caches of one capacity that do not belong to the pool. The pool's own caches must not be in
    /// use.
    ///
    /// # Errors
    /// Returns an error if memory is short even after the pool's caches are freed, the largest first.
    pub(crate) fn reserve_apart(
        &mut self,
        layout: &CacheLayout,
        count: usize,
        capacity: usize,
    ) -> Result<Vec<KvCache>> {
        self.in_use = 0;
        let all = (0..self.caches.len()).collect();
        let mut keep = choose_kept(
            &self.caches,
            all,
            layout,
            (count, layout.bytes_of(capacity).saturating_mul(count)),
            0,
            || layout.available(),
        )?;
        keep.sort_unstable();
        let mut index = 0..;
        self.caches
            .retain(|_| index.next().is_some_and(|index| keep.binary_search(&index).is_ok()));
        retry_without_unused(|| KvCache::with_count(layout, count, capacity), &mut self.caches)
    }

    /// Returns the caches in use, by the slots of their sequences.
    pub(crate) fn caches(&mut self) -> &mut [KvCache] {
        &mut self.caches[..self.in_use]
    }

    /// Returns the memory of all caches, in use or not, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.caches.iter().map(KvCache::bytes).sum()
    }
}

/// Chooses for each capacity the smallest cache that is large enough, and each cache at most once. The choice is
/// `None` if there is no such cache.
fn best_fit(caches: &[KvCache], capacities: &[usize]) -> Vec<Option<usize>> {
    let mut by_room: Vec<usize> = (0..caches.len()).collect();
    by_room.sort_by_key(|&index| caches[index].capacity());
    let mut by_need: Vec<usize> = (0..capacities.len()).collect();
    // The largest capacity first: its cache would be large enough for all others too, so that no sequence is left
    // without a cache that it could have had.
    by_need.sort_by_key(|&slot| Reverse(capacities[slot]));
    let mut chosen = vec![None; capacities.len()];
    for slot in by_need {
        let first = by_room.partition_point(|&index| caches[index].capacity() < capacities[slot]);
        if first < by_room.len() {
            chosen[slot] = Some(by_room.remove(first));
        }
    }
    chosen
}

/// Chooses the unused caches that stay when `count` new ones of `bytes` bytes in all are made. The `replaced` largest
/// are freed in any case, and then more, the largest first, while memory is short. `available` returns the free
/// memory.
fn choose_kept(
    caches: &[KvCache],
    mut unused: Vec<usize>,
    layout: &CacheLayout,
    (count, bytes): (usize, usize),
    replaced: usize,
    available: impl FnOnce() -> Option<usize>,
) -> Result<Vec<usize>> {
    unused.sort_by_key(|&index| caches[index].capacity());
    let mut stay = unused.len().saturating_sub(replaced);
    // A request that needs no new cache does not ask the system for its free memory.
    if count > 0
        && let Some(available) = available()
    {
        let with_freed = |stay: usize| {
            let freed = unused[stay..].iter().map(|&index| caches[index].bytes() * layout.sharing);
            available.saturating_add(saturating_sum(freed))
        };
        let bytes = bytes.saturating_mul(layout.sharing);
        while stay > 0 && bytes > with_freed(stay) {
            stay -= 1;
        }
        let what = || format!("the KV cache of {count} sequences");
        let remedy = "ask for fewer sequences or tokens";
        memory::check_within(bytes, with_freed(stay), what, remedy)?;
    }
    unused.truncate(stay);
    Ok(unused)
}

/// Sums numbers, and stops at the largest `usize`.
fn saturating_sum(numbers: impl Iterator<Item = usize>) -> usize {
    numbers.fold(0, usize::saturating_add)
}

/// Calls `make`. If it fails, frees the unused caches and calls it once more, because a device may have less free
/// memory than it reported.
fn retry_without_unused<T>(make: impl Fn() -> Result<T>, unused: &mut Vec<KvCache>) -> Result<T> {
    match make() {
        Err(_) if !unused.is_empty() => {
            unused.clear();
            make()
        }
        made => made,
    }
}

/// Rounds a capacity up, so that requests of nearly the same length share a cache.
fn round_up(capacity: usize) -> usize {
    capacity.next_multiple_of(64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::{DType, gpu::Backend};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn layout() -> CacheLayout {
        let (dtype, backend) = (DType::F32, Backend::Cpu);
        CacheLayout { layers: 1, heads: 1, dim: 16, dtype, backend, sharing: 1 }
    }

    /// The bytes of a cache of this capacity.
    fn bytes(capacity: usize) -> usize {
        layout().bytes_of(capacity)
    }

    fn held(pool: &CachePool) -> Vec<usize> {
        let mut held: Vec<usize> = pool.caches.iter().map(KvCache::capacity).collect();
        held.sort_unstable();
        held
    }

    #[test]
    fn batches_in_turn_find_the_memory_that_was_reserved() {
        let (mut pool, layout) = (CachePool::default(), layout());
        let made: Vec<usize> = [32, 1, 32, 1, 8, 32]
            .map(|count| pool.reserve(&layout, &vec![100; count]).unwrap())
            .to_vec();
        assert_eq!(made, [32, 0, 0, 0, 0, 0]);
        assert_eq!(pool.bytes(), 32 * 128 * layout.bytes_per_token());
    }

    #[test]
    fn shapes_that_were_seen_make_no_cache_again() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..50 {
            let (mut pool, layout) = (CachePool::default(), layout());
            let shapes: Vec<Vec<usize>> = (0..6)
                .map(|_| {
                    let count = random.random_range(1..10);
                    (0..count).map(|_| random.random_range(1..900)).collect()
                })
                .collect();
            for shape in &shapes {
                pool.reserve(&layout, shape).unwrap();
            }
            let reserved = pool.bytes();
            for _ in 0..20 {
                let shape = &shapes[random.random_range(0..shapes.len())];
                assert_eq!(pool.reserve(&layout, shape).unwrap(), 0, "{shapes:?}");
                let rooms: Vec<usize> =
                    pool.caches().iter().map(|cache| cache.capacity()).collect();
                assert_eq!(rooms.len(), shape.len());
                assert!(rooms.iter().zip(shape).all(|(room, needed)| room >= needed));
            }
            assert_eq!(pool.bytes(), reserved);
        }
    }

    #[test]
    fn the_least_room_that_is_enough_is_chosen() {
        let (mut pool, layout) = (CachePool::default(), layout());
        pool.reserve(&layout, &[1024, 64, 512]).unwrap();
        assert_eq!(pool.reserve(&layout, &[60, 500]).unwrap(), 0);
        let rooms: Vec<usize> = pool.caches().iter().map(|cache| cache.capacity()).collect();
        assert_eq!(rooms, [64, 512]);
        // A longer sequence replaces the largest cache that no sequence needs.
        assert_eq!(pool.reserve(&layout, &[2000, 60]).unwrap(), 1);
        assert_eq!(held(&pool), [64, 512, 2048]);
    }

    #[test]
    fn equal_caches_stay_with_their_slots() {
        let (mut pool, layout) = (CachePool::default(), layout());
        pool.reserve(&layout, &[64; 4]).unwrap();
        let address = |pool: &mut CachePool| std::ptr::from_ref(pool.caches()[0].layer(0).unwrap());
        let first = address(&mut pool);
        pool.reserve(&layout, &[64]).unwrap();
        assert_eq!(address(&mut pool), first, "slot 0 keeps the memory that it has touched");
        pool.reserve(&layout, &[64; 4]).unwrap();
        assert_eq!(address(&mut pool), first);
    }

    #[test]
    fn unused_caches_are_freed_before_memory_is_refused() {
        let (mut pool, layout) = (CachePool::default(), layout());
        pool.reserve_within(&layout, &[640, 320, 64], || None).unwrap();
        // 640 is in use. Of the others the largest is freed, which is enough.
        let made = pool.reserve_within(&layout, &[600, 600], || Some(bytes(320))).unwrap();
        assert_eq!((made, held(&pool)), (1, vec![64, 640, 640]));
        // All unused caches would not be enough, so none is freed.
        let refused = pool.reserve_within(&layout, &[640, 6400], || Some(bytes(640)));
        assert!(refused.unwrap_err().to_string().contains("the KV cache of 1 sequences"));
        assert_eq!(held(&pool), [64, 640, 640]);
        // The caches are enough for a request that was there before, whatever memory the system has left.
        assert_eq!(pool.reserve_within(&layout, &[640, 600, 10], || panic!("asked")).unwrap(), 0);
    }

    #[test]
    fn more_sequences_than_any_memory_holds_are_refused_before_anything_is_made() {
        let (mut pool, layout) = (CachePool::default(), layout());
        for (count, capacity) in [
            (usize::MAX, 2),
            (u32::MAX as usize, 2),
            (1 << 31, 8192),
            (1 << 50, usize::MAX),
            (2, usize::MAX),
            (1, usize::MAX / 2),
        ] {
            let refused = pool.reserve_apart(&layout, count, capacity).err().unwrap();
            assert_eq!(refused.kind(), crate::ErrorKind::Limit);
            let named = format!("the KV cache of {count} sequences");
            assert!(refused.to_string().contains(&named), "{refused}");
        }
    }

    #[test]
    fn the_smallest_cache_is_counted_with_all_that_it_takes() {
        let layout = layout();
        let cache = KvCache::new(&layout, 1).unwrap();
        assert!(layout.bytes_of(1) >= cache.bytes() + size_of::<KvCache>());
        // Keys are stored in blocks of 32 positions.
        assert_eq!(cache.bytes(), 32 * layout.bytes_per_token());
    }

    #[test]
    fn caches_of_another_batch_take_the_memory_of_unused_ones() {
        let (mut pool, layout) = (CachePool::default(), layout());
        pool.reserve(&layout, &[640, 64]).unwrap();
        let apart = pool.reserve_apart(&layout, 2, 100).unwrap();
        assert_eq!(apart.iter().map(KvCache::capacity).collect::<Vec<_>>(), [100, 100]);
        assert_eq!(held(&pool), [64, 640], "memory is not short");
        let all = vec![0, 1];
        let wanted = (1, layout.bytes_of(320));
        let stay = choose_kept(&pool.caches, all, &layout, wanted, 0, || Some(bytes(64))).unwrap();
        assert_eq!(
            stay.iter().map(|&index| pool.caches[index].capacity()).collect::<Vec<_>>(),
            [64]
        );
    }
}
