//! The caches of static batches, kept from one request to the next.
//!
//! ```text
//! wanted     900    60    60
//! held      1024   512    64    64      room, tokens
//! in use    1024    64    64            the least room that is enough
//! unused           512
//! ```
//!
//! A sequence that no held cache has room for is given a new one in place of the largest that is left
//! over. Therefore the pool, its caches ordered by room, has at each place the most that any request has
//! wanted there: a request of a shape that was there before finds its memory, whatever came between.

use super::{KvCache, Layout};
use crate::{Result, memory};
use std::cmp::Reverse;

/// The caches of a batch, kept from one request to the next, so that reserving memory is not part
/// of a measured request that has been warmed up.
#[derive(Default)]
pub struct CachePool {
    /// Those in use, by the sequences' slots, and then the others.
    caches: Vec<KvCache>,
    in_use: usize,
}

impl CachePool {
    /// Makes room for `capacities[i]` tokens in the cache of sequence `i`, and returns how many caches
    /// had to be made for that. Where memory is short, unused caches are freed, the largest first,
    /// before the request is refused.
    pub fn reserve(&mut self, layout: &Layout, capacities: &[usize]) -> Result<usize> {
        self.reserve_within(layout, capacities, || layout.available())
    }

    fn reserve_within(
        &mut self,
        layout: &Layout,
        capacities: &[usize],
        available: impl FnOnce() -> Option<usize>,
    ) -> Result<usize> {
        self.in_use = 0;
        let chosen = best_fit(&self.caches, capacities);
        let wanted: Vec<usize> = (chosen.iter().zip(capacities))
            .filter(|(held, _)| held.is_none())
            .map(|(_, &capacity)| rounded(capacity))
            .collect();
        let is_chosen = |index: usize| chosen.contains(&Some(index));
        let unused = (0..self.caches.len()).filter(|&index| !is_chosen(index)).collect();
        let keep = kept(
            &self.caches,
            unused,
            layout,
            (wanted.len(), sum(wanted.iter().map(|&capacity| layout.bytes_of(capacity)))),
            wanted.len(),
            available,
        )?;

        let mut held: Vec<Option<KvCache>> =
            std::mem::take(&mut self.caches).into_iter().map(Some).collect();
        let mut taken: Vec<Option<KvCache>> =
            chosen.iter().map(|&index| held[index?].take()).collect();
        let mut unused: Vec<KvCache> =
            keep.into_iter().filter_map(|index| held[index].take()).collect();
        // What is to be replaced is freed before anything is made.
        drop(held);
        let mut new =
            wanted.iter().map(|&capacity| retried(|| KvCache::new(layout, capacity), &mut unused));
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

    /// Reserves `count` caches of the same room that are not the pool's, while none of its own is in
    /// use. Where memory is short, the pool's are freed, the largest first, before that is refused.
    pub fn reserve_apart(
        &mut self,
        layout: &Layout,
        count: usize,
        capacity: usize,
    ) -> Result<Vec<KvCache>> {
        self.in_use = 0;
        let all = (0..self.caches.len()).collect();
        let mut keep = kept(
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
        retried(|| KvCache::several(layout, count, capacity), &mut self.caches)
    }

    /// The caches in use, by the slots of their sequences.
    pub fn caches(&mut self) -> &mut [KvCache] {
        &mut self.caches[..self.in_use]
    }

    /// Bytes of all that is held, in use or not.
    pub fn bytes(&self) -> usize {
        self.caches.iter().map(KvCache::bytes).sum()
    }
}

/// For each of the capacities, the cache with the least room that is enough, each cache once; none where
/// no cache is left that is.
fn best_fit(caches: &[KvCache], capacities: &[usize]) -> Vec<Option<usize>> {
    let mut by_room: Vec<usize> = (0..caches.len()).collect();
    by_room.sort_by_key(|&index| caches[index].capacity());
    let mut by_need: Vec<usize> = (0..capacities.len()).collect();
    // The longest first: what has room for it has room for all others, so that none is left without
    // a cache that it could have had.
    by_need.sort_by_key(|&slot| Reverse(capacities[slot]));
    let mut chosen = vec![None; capacities.len()];
    for slot in by_need {
        let place = by_room.partition_point(|&index| caches[index].capacity() < capacities[slot]);
        if place < by_room.len() {
            chosen[slot] = Some(by_room.remove(place));
        }
    }
    chosen
}

/// The unused caches that stay when `count` new ones of `bytes` in all are made. The `replaced` largest go in any case,
/// and then more, the largest first, while memory is short. `available` is asked how much there is.
fn kept(
    caches: &[KvCache],
    mut unused: Vec<usize>,
    layout: &Layout,
    (count, bytes): (usize, usize),
    replaced: usize,
    available: impl FnOnce() -> Option<usize>,
) -> Result<Vec<usize>> {
    unused.sort_by_key(|&index| caches[index].capacity());
    let mut stay = unused.len().saturating_sub(replaced);
    // A request that finds its memory reserved asks nothing of the system.
    if count > 0
        && let Some(available) = available()
    {
        let with_freed = |stay: usize| {
            let freed = unused[stay..].iter().map(|&index| caches[index].bytes() * layout.sharing);
            available.saturating_add(sum(freed))
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

/// A sum that stops at the largest number.
fn sum(numbers: impl Iterator<Item = usize>) -> usize {
    numbers.fold(0, usize::saturating_add)
}

/// What `make` makes. A device may lack memory that it was thought to have: then the unused caches go, and it is asked once
/// more.
fn retried<T>(make: impl Fn() -> Result<T>, unused: &mut Vec<KvCache>) -> Result<T> {
    match make() {
        Err(_) if !unused.is_empty() => {
            unused.clear();
            make()
        }
        made => made,
    }
}

/// In steps, so that requests of nearly one length share a reservation.
fn rounded(capacity: usize) -> usize {
    capacity.next_multiple_of(64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::{DType, gpu::Place};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn layout() -> Layout {
        let (dtype, place) = (DType::F32, Place::Host);
        Layout { layers: 1, heads: 1, dim: 16, dtype, place, sharing: 1 }
    }

    /// Bytes of a cache of that room.
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
        // A longer sequence takes the place of the largest that nobody needs.
        assert_eq!(pool.reserve(&layout, &[2000, 60]).unwrap(), 1);
        assert_eq!(held(&pool), [64, 512, 2048]);
    }

    #[test]
    fn equal_caches_stay_with_their_slots() {
        let (mut pool, layout) = (CachePool::default(), layout());
        pool.reserve(&layout, &[64; 4]).unwrap();
        let place = |pool: &mut CachePool| std::ptr::from_ref(pool.caches()[0].layer(0).unwrap());
        let first = place(&mut pool);
        pool.reserve(&layout, &[64]).unwrap();
        assert_eq!(place(&mut pool), first, "slot 0 keeps the memory that it has touched");
        pool.reserve(&layout, &[64; 4]).unwrap();
        assert_eq!(place(&mut pool), first);
    }

    #[test]
    fn unused_caches_are_freed_before_memory_is_refused() {
        let (mut pool, layout) = (CachePool::default(), layout());
        pool.reserve_within(&layout, &[640, 320, 64], || None).unwrap();
        // 640 is in use; of the others the largest goes, as the rest is enough.
        let made = pool.reserve_within(&layout, &[600, 600], || Some(bytes(320))).unwrap();
        assert_eq!((made, held(&pool)), (1, vec![64, 640, 640]));
        // All that is unused, and it is not enough: nothing is freed for nothing.
        let refused = pool.reserve_within(&layout, &[640, 6400], || Some(bytes(640)));
        assert!(refused.unwrap_err().to_string().contains("the KV cache of 1 sequences"));
        assert_eq!(held(&pool), [64, 640, 640]);
        // What is there is enough for a request that was there before, whatever the system has left.
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
            assert_eq!(refused.kind(), crate::Kind::Limit);
            let named = format!("the KV cache of {count} sequences");
            assert!(refused.to_string().contains(&named), "{refused}");
        }
    }

    #[test]
    fn the_smallest_cache_is_counted_with_all_that_it_takes() {
        let layout = layout();
        let cache = KvCache::new(&layout, 1).unwrap();
        assert!(layout.bytes_of(1) >= cache.bytes() + size_of::<KvCache>());
        // Keys come in blocks.
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
        let stay = kept(&pool.caches, all, &layout, wanted, 0, || Some(bytes(64))).unwrap();
        assert_eq!(
            stay.iter().map(|&index| pool.caches[index].capacity()).collect::<Vec<_>>(),
            [64]
        );
    }
}
