//! Sorts values by Python's order. Comparing two values may fail.

use super::{
    fuel::Fuel,
    render_error::{RenderError, Result},
    value::PyValue,
};

/// Sorts items by a key. Equal items keep their order, also if `reverse` is true.
pub(super) fn sort_by_key<T>(
    items: Vec<T>,
    mut key: impl FnMut(&T) -> Result<PyValue>,
    reverse: bool,
    fuel: &Fuel,
) -> Result<Vec<T>> {
    let keys: Vec<PyValue> = items.iter().map(&mut key).collect::<Result<_>>()?;
    fuel.take(items.len() * (1 + items.len().max(1).ilog2() as usize))?;
    let goes_before = |one: usize, two: usize| {
        let (one, two) = if reverse { (two, one) } else { (one, two) };
        let order = keys[one].order(&keys[two], "<")?;
        let order =
            order.ok_or_else(|| RenderError::unsupported("sorting what is not a number"))?;
        Ok(order.is_lt())
    };
    let order = merge_sort((0..items.len()).collect(), &goes_before)?;
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| items[at].take()).collect())
}

/// Sorts indices by merge sort. The sorts of the standard library take no comparison that can fail, and may panic if
/// the order is inconsistent.
fn merge_sort(
    mut left: Vec<usize>,
    goes_before: &impl Fn(usize, usize) -> Result<bool>,
) -> Result<Vec<usize>> {
    if left.len() < 2 {
        return Ok(left);
    }
    let right = left.split_off(left.len() / 2);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (left, right) = (merge_sort(left, goes_before)?, merge_sort(right, goes_before)?);
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(&one), Some(&two)) = (left.peek(), right.peek()) {
        let next = if goes_before(two, one)? { &mut right } else { &mut left };
        merged.extend(next.next());
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}
