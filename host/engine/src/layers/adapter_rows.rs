//! The rows of a pass by the adapter that they run with.
//!
//! Rows of one adapter are taken together, so that its weights are read once for all of them (the idea of Punica,
//! arXiv 2310.18547).

use crate::{Result, adapters::AdapterId};
use candle_core::Tensor;

/// The rows of a pass that run with an adapter. All other rows run on the base weights.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdapterRows {
    subsets: Vec<RowSubset>,
}

/// The rows of a pass that run with one adapter.
#[derive(Clone, Debug)]
pub(crate) struct RowSubset {
    pub adapter: AdapterId,
    /// The row indices, ascending.
    pub rows: Vec<u32>,
    /// True if these are all rows of the pass.
    pub is_whole: bool,
}

impl AdapterRows {
    /// Collects the rows from runs of consecutive rows. Each run is its adapter and its number of rows.
    pub(crate) fn from_runs(runs: impl IntoIterator<Item = (Option<AdapterId>, usize)>) -> Self {
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

    /// Returns the adapters of a pass that has only the `selected` rows of this one. The row indices must ascend.
    pub(crate) fn select(&self, selected: &[u32]) -> Self {
        let subsets = self.subsets.iter().map(|subset| {
            let rows = (0u32..)
                .zip(selected)
                .filter(|(_, row)| subset.is_whole || subset.rows.binary_search(row).is_ok())
                .map(|(index, _)| index);
            RowSubset::new(subset.adapter, rows.collect())
        });
        Self::complete(subsets.filter(|subset| !subset.rows.is_empty()).collect(), selected.len())
    }

    /// Returns the rows of each adapter, one entry an adapter.
    pub(crate) fn subsets(&self) -> &[RowSubset] {
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

    /// Returns the adapter's rows of a tensor.
    ///
    /// # Shapes
    /// - `x`: `[rows, width]`
    /// - returns: `[adapter's rows, width]`
    pub(crate) fn gather(&self, x: &Tensor) -> Result<Tensor> {
        if self.is_whole {
            return Ok(x.clone());
        }
        Ok(x.index_select(&Tensor::new(&self.rows[..], x.device())?, 0)?)
    }

    /// Returns `y` with the adapter's rows replaced by `rows`.
    ///
    /// # Shapes
    /// - `y`: `[rows, width]`
    /// - `rows`: `[adapter's rows, width]`
    /// - returns: `[rows, width]`
    pub(crate) fn replace_in(&self, y: Tensor, rows: Tensor) -> Result<Tensor> {
        if self.is_whole {
            return Ok(rows);
        }
        let count = y.dim(0)? as u32;
        let mut order: Vec<u32> = (0..count).collect();
        for (index, &row) in (count..).zip(&self.rows) {
            order[row as usize] = index;
        }
        let order = Tensor::new(order, y.device())?;
        Ok(Tensor::cat(&[y, rows], 0)?.index_select(&order, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_adapter_are_taken_together() {
        let [a, b] = [AdapterId(1), AdapterId(2)];
        let rows = AdapterRows::from_runs([(Some(a), 2), (None, 1), (Some(b), 1), (Some(a), 1)]);
        let of = |rows: &AdapterRows| -> Vec<_> {
            rows.subsets().iter().map(|subset| (subset.adapter, subset.rows.clone())).collect()
        };
        assert_eq!(of(&rows), [(a, vec![0, 1, 4]), (b, vec![3])]);
        assert_eq!(of(&rows.select(&[1, 2, 3])), [(a, vec![0]), (b, vec![2])]);
        assert!(rows.select(&[0, 4]).subsets()[0].is_whole);
    }
}
