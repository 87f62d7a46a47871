//! Byte-pair merging as in llama.cpp. Of all neighbours that may be merged, the pair with the highest priority is
//! merged first. Of two pairs with the same priority, the left one comes first.

use std::{cmp::Reverse, collections::BinaryHeap};

/// A part of the text. It begins as one character and grows by merging.
struct Symbol {
    /// The position of its first byte.
    start: usize,
    /// The position after its last byte. Equal to `start` after the symbol was merged into its left neighbour.
    end: usize,
    left: Option<usize>,
    right: Option<usize>,
}

/// Merges the characters of a text until no pair can be merged, and returns the parts. `priority` gets the text of a
/// pair and the byte position at which its two parts meet. It returns the priority of the pair, or `None` if the pair
/// is never merged.
pub(super) fn merge<P: Ord>(
    text: &str,
    mut priority: impl FnMut(&str, usize) -> Option<P>,
) -> Vec<&str> {
    let mut symbols: Vec<Symbol> = text
        .char_indices()
        .enumerate()
        .map(|(index, (start, character))| Symbol {
            start,
            end: start + character.len_utf8(),
            left: index.checked_sub(1),
            right: Some(index + 1),
        })
        .collect();
    let Some(last) = symbols.last_mut() else { return Vec::new() };
    last.right = None;

    let mut queue = BinaryHeap::new();
    let mut offer = |queue: &mut BinaryHeap<_>, symbols: &[Symbol], left: usize, right: usize| {
        let (start, end) = (symbols[left].start, symbols[right].end);
        if let Some(priority) = priority(&text[start..end], symbols[right].start - start) {
            queue.push((priority, Reverse(left), right, end - start));
        }
    };
    for right in 1..symbols.len() {
        offer(&mut queue, &symbols, right - 1, right);
    }
    while let Some((_, Reverse(left), right, length)) = queue.pop() {
        let size = |index: usize| symbols[index].end - symbols[index].start;
        // Skip the pair if one of its parts has been merged with another neighbour since it was queued.
        if size(left) == 0 || size(right) == 0 || size(left) + size(right) != length {
            continue;
        }
        let next = symbols[right].right;
        symbols[left].end = symbols[right].end;
        symbols[left].right = next;
        symbols[right].end = symbols[right].start;
        if let Some(next) = next {
            symbols[next].left = Some(left);
            offer(&mut queue, &symbols, left, next);
        }
        if let Some(before) = symbols[left].left {
            offer(&mut queue, &symbols, before, left);
        }
    }
    let kept = symbols.iter().filter(|symbol| symbol.start < symbol.end);
    kept.map(|symbol| &text[symbol.start..symbol.end]).collect()
}

#[cfg(test)]
mod tests {
    use super::merge;

    /// Merges the listed pairs. Earlier entries have a higher priority.
    fn by_list<'a>(text: &'a str, list: &[&str]) -> Vec<&'a str> {
        merge(text, |pair, _| list.iter().position(|entry| *entry == pair).map(std::cmp::Reverse))
    }

    #[test]
    fn the_best_pair_goes_first_and_the_left_one_of_equals() {
        assert_eq!(by_list("abc", &["bc", "ab", "abc"]), ["abc"]);
        assert_eq!(by_list("abc", &["bc", "ab"]), ["a", "bc"]);
        assert_eq!(by_list("aaaaa", &["aa"]), ["aa", "aa", "a"]);
        assert_eq!(by_list("aaa", &["aa", "aaa"]), ["aaa"]);
        assert_eq!(by_list("é∑é", &["∑é"]), ["é", "∑é"]);
        assert_eq!(by_list("", &["a"]), [""; 0]);
    }
}
