//! Draws with and without replacement, from uniform random numbers.

use crate::{Error, Result, random::UniformSource};
use std::collections::HashMap;

/// Draws a whole number below `count`. The probabilities differ by less than `count` / 2^53.
fn below(count: usize, uniform: &mut dyn UniformSource) -> usize {
    (uniform.next_uniform() * count as f64) as usize
}

/// Draws `count` items with replacement.
pub(crate) fn pick<T: Clone>(
    count: u32,
    items: &[T],
    uniform: &mut dyn UniformSource,
) -> Result<Vec<T>> {
    if count > 0 && items.is_empty() {
        return Err(Error::invalid_argument("there are no items to pick from"));
    }
    Ok((0..count).map(|_| items[below(items.len(), uniform)].clone()).collect())
}

/// Draws `count` different whole numbers below `population`: the first places of a shuffle from the front.
pub(crate) fn sample(
    count: u32,
    population: u32,
    uniform: &mut dyn UniformSource,
) -> Result<Vec<u32>> {
    if count > population {
        let sentence = format!("{count} different numbers cannot be drawn from {population}");
        return Err(Error::invalid_argument(sentence));
    }
    // Only the places that differ from their index, so that a small sample of many takes little memory.
    let mut moved = HashMap::new();
    let draw = |index: u32| {
        let place = index + below((population - index) as usize, uniform) as u32;
        let drawn = moved.get(&place).copied().unwrap_or(place);
        let held = moved.get(&index).copied().unwrap_or(index);
        moved.insert(place, held);
        drawn
    };
    Ok((0..count).map(draw).collect())
}

/// Shuffles from the end (Durstenfeld, "Algorithm 235: Random permutation", CACM 7(7), 1964).
pub(crate) fn shuffle<T>(items: &mut [T], uniform: &mut dyn UniformSource) {
    for last in (1..items.len()).rev() {
        let place = below(last + 1, uniform);
        items.swap(last, place);
    }
}
