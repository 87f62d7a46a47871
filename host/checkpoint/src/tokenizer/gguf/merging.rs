//! Byte-pair merging as llama.cpp does it: of all neighbours that may merge, the best pair goes first, and of two that
//! are as good the one further left.

use std::{cmp::Reverse, collections::BinaryHeap};

/// A symbol of the text: a character at first, a token at last.
struct Symbol {
    /// Where it begins, in bytes.
    start: usize,
    /// Where it ends; where it begins, once it has become part of its neighbour on the left.
    end: usize,
    left: Option<usize>,
    right: Option<usize>,
}

/// The parts of a text once nothing more merges. `priority` says how good it is to merge the two parts of its first
/// argument that meet at its second, in bytes: a larger value goes first, and none never merges.
pub fn merge<P: Ord>(text: &str, mut priority: impl FnMut(&str, usize) -> Option<P>) -> Vec<&str> {
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
        // Either has been merged with another neighbour since.
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

    /// Merges whatever is listed, the first entry first.
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
