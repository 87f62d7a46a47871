//! Splits a forward pass into parts, so that the stages of a pipeline work at the same time.

use super::split::part_range;
use crate::layers::PassSegment;

/// Number of rows for each part that makes it worthwhile to split a pass. With fewer rows, a matrix product takes as
/// long as its weights take to be read, and it is best to read them once for all rows.
pub(super) const WORTH_CUTTING: usize = 64;

/// Splits the rows of a pass into `count` parts of nearly equal size. A segment is cut where a part ends.
pub(super) fn microbatches<'a>(
    segments: &[PassSegment<'a>],
    rows: usize,
    count: usize,
) -> Vec<Vec<PassSegment<'a>>> {
    let count = count.clamp(1, rows.max(1));
    if count == 1 {
        return vec![segments.to_vec()];
    }
    (0..count)
        .map(|index| {
            let part = part_range(rows, index, count);
            let mut start = 0;
            let cut = segments.iter().filter_map(|segment| {
                let len = segment.tokens.len();
                let own = part.start.max(start)..part.end.min(start + len);
                let first = own.start.saturating_sub(start);
                start += len;
                let tokens = segment.tokens.get(first..first + own.len())?;
                let past = segment.past + first;
                (!tokens.is_empty()).then_some(PassSegment { past, tokens, ..*segment })
            });
            cut.collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microbatches_cut_segments_and_keep_their_order() {
        let tokens: Vec<u32> = (0..10).collect();
        let segment = |slot, past, range: std::ops::Range<usize>| PassSegment {
            slot,
            past,
            length: past + range.len(),
            tokens: &tokens[range],
            adapter: None,
            is_prompt: true,
        };
        let segments = [segment(0, 5, 0..6), segment(1, 0, 6..7), segment(2, 9, 7..10)];
        let cut: Vec<Vec<_>> = microbatches(&segments, 10, 3)
            .iter()
            .map(|part| part.iter().map(|s| (s.slot, s.past, s.tokens.to_vec())).collect())
            .collect();
        assert_eq!(cut[0], [(0, 5, vec![0, 1, 2])]);
        assert_eq!(cut[1], [(0, 8, vec![3, 4, 5])]);
        assert_eq!(cut[2], [(1, 0, vec![6]), (2, 9, vec![7, 8, 9])]);
        assert_eq!(microbatches(&segments, 10, 99).len(), 10);
    }
}
