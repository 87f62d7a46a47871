//! Which rows of a pass run with which adapter: rows of one adapter are taken together, so that its
//! weights are read once for all of them (the idea of Punica, arXiv 2310.18547).

use crate::{Result, adapters::AdapterId};
use candle_core::Tensor;

/// The rows of a pass that run with an adapter. All others run on the base weights.
#[derive(Clone, Debug, Default)]
pub struct AdapterRows {
    subsets: Vec<RowSubset>,
}

/// The rows of a pass that run with one adapter.
#[derive(Clone, Debug)]
pub struct RowSubset {
    /// The adapter.
    pub adapter: AdapterId,
    /// Its rows, ascending.
    pub rows: Vec<u32>,
    /// Whether those are all rows of the pass.
    pub is_whole: bool,
}

impl AdapterRows {
    /// Of runs of rows one after another: their adapter and how many there are.
    pub fn of(runs: impl IntoIterator<Item = (Option<AdapterId>, usize)>) -> Self {
        let mut subsets: Vec<RowSubset> = Vec::new();
        let mut start = 0;
        for (adapter, len) in runs {
            let end = start + len as u32;
            if let Some(adapter) = adapter {
                match subsets.iter_mut().find(|subset| subset.adapter == adapter) {
                    Some(subset) => subset.rows.extend(start..end),
                    None => {
                        let rows = (start..end).collect();
                        subsets.push(RowSubset::new(adapter, rows));
                    }
                }
            }
            start = end;
        }
        Self::complete(subsets, start as usize)
    }

    /// Of a selection of these rows, which ascend.
    pub fn select(&self, selected: &[u32]) -> Self {
        let subsets = self.subsets.iter().map(|subset| {
            let rows = (0u32..)
                .zip(selected)
                .filter(|(_, row)| subset.is_whole || subset.rows.binary_search(row).is_ok())
                .map(|(place, _)| place);
            RowSubset::new(subset.adapter, rows.collect())
        });
        Self::complete(subsets.filter(|subset| !subset.rows.is_empty()).collect(), selected.len())
    }

    /// The rows of each adapter that takes part.
    pub fn subsets(&self) -> &[RowSubset] {
        &self.subsets
    }

    fn complete(mut subsets: Vec<RowSubset>, rows: usize) -> Self {
        for subset in &mut subsets {
            subset.is_whole = subset.rows.len() == rows;
        }
        Self { subsets }
    }
}

impl RowSubset {
    fn new(adapter: AdapterId, rows: Vec<u32>) -> Self {
        Self { adapter, rows, is_whole: false }
    }

    /// Its rows of a tensor.
    pub fn of(&self, x: &Tensor) -> Result<Tensor> {
        if self.is_whole {
            return Ok(x.clone());
        }
        Ok(x.index_select(&Tensor::new(&self.rows[..], x.device())?, 0)?)
    }

    /// A tensor with these in place of its rows.
    pub fn put(&self, y: Tensor, rows: Tensor) -> Result<Tensor> {
        if self.is_whole {
            return Ok(rows);
        }
        let count = y.dim(0)? as u32;
        let mut places: Vec<u32> = (0..count).collect();
        for (place, &row) in (count..).zip(&self.rows) {
            places[row as usize] = place;
        }
        let places = Tensor::new(places, y.device())?;
        Ok(Tensor::cat(&[y, rows], 0)?.index_select(&places, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_adapter_are_taken_together() {
        let [a, b] = [AdapterId(1), AdapterId(2)];
        let rows = AdapterRows::of([(Some(a), 2), (None, 1), (Some(b), 1), (Some(a), 1)]);
        let of = |rows: &AdapterRows| -> Vec<_> {
            rows.subsets().iter().map(|subset| (subset.adapter, subset.rows.clone())).collect()
        };
        assert_eq!(of(&rows), [(a, vec![0, 1, 4]), (b, vec![3])]);
        assert_eq!(of(&rows.select(&[1, 2, 3])), [(a, vec![0]), (b, vec![2])]);
        assert!(rows.select(&[0, 4]).subsets()[0].is_whole);
    }
}
