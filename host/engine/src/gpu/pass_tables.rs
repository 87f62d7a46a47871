//! The tables that kernels read about the rows of a pass. They are copied to the device in one upload.

use super::{Arena, Gpu, KernelContext, RowAdapters};
use crate::{
    Error, Result, adapters::AdapterId, kv_cache::KvCache, layers::PassSegment,
    parallel::DeviceGroup,
};
use llem_checkpoint::Rope;
use llem_compute::{
    Buffer, View,
    ops::{NONE, SequenceEntry, bytes_of},
};
use std::ops::Range;

/// The tables of a pass on the device.
pub(crate) struct PassTables {
    buffer: Buffer,
    /// The number of rows of the pass.
    pub rows: usize,
    /// The number of sequences with one row.
    pub decodes: usize,
    /// The largest number of keys that such a sequence has.
    pub longest: usize,
    /// The number of tiles of prefill.
    pub tiles: usize,
    /// The number of rows whose logits are wanted.
    pub wanted: usize,
    /// The adapters that take part.
    adapters: Vec<AdapterId>,
    /// The number of attached adapters.
    slots: usize,
    ranges: TableRanges,
}

/// The byte range of each table in the buffer.
#[derive(Clone, Default)]
struct TableRanges {
    sequences: Range<usize>,
    ids: Range<usize>,
    positions: Range<usize>,
    row_sequences: Range<usize>,
    row_adapters: Range<usize>,
    decodes: Range<usize>,
    tiles: Range<usize>,
    wanted: Range<usize>,
    wanted_adapters: Range<usize>,
    /// One range for each rotary embedding. It is empty if all sequences have the same frequencies.
    frequencies: Vec<Range<usize>>,
}

impl PassTables {
    /// Makes tables without contents.
    pub(crate) fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self {
            buffer: Buffer::new(&gpu.device, 1 << 16)?,
            rows: 0,
            decodes: 0,
            longest: 0,
            tiles: 0,
            wanted: 0,
            adapters: Vec::new(),
            slots: 0,
            ranges: TableRanges::default(),
        })
    }

    /// Fills the tables for the segments of a pass and uploads them.
    ///
    /// `segment.slot` is an index of `caches`. `attached` has the adapters by slot, and `wanted` has the rows whose
    /// logits are wanted.
    pub(crate) fn fill(
        &mut self,
        gpu: &Gpu,
        segments: &[PassSegment<'_>],
        caches: &[KvCache],
        ropes: &[Rope],
        attached: &[AdapterId],
        wanted: &[u32],
    ) -> Result<()> {
        let (mut sequences, mut decodes, mut tiles) = (Vec::new(), Vec::new(), Vec::new());
        let (mut ids, mut positions) = (Vec::new(), Vec::new());
        let (mut row_sequences, mut row_adapters) = (Vec::new(), Vec::new());
        self.adapters.clear();
        self.longest = 0;
        let tile = gpu.attention.tile();
        for (index, segment) in (0u32..).zip(segments) {
            let (len, past) = (segment.tokens.len(), segment.past);
            let cache = caches.get(segment.slot).ok_or_else(missing_cache)?;
            sequences.push(SequenceEntry {
                cache: cache.address().ok_or_else(missing_cache)?,
                capacity: cache.capacity() as u32,
                past: past as u32,
                start: ids.len() as u32,
                len: len as u32,
            });
            if len == 1 {
                decodes.push(index);
                self.longest = self.longest.max(past + 1);
            } else {
                tiles.extend((0..len).step_by(tile).map(|first| (index, first as u32)));
            }
            ids.extend_from_slice(segment.tokens);
            positions.extend((past..past + len).map(|position| position as u32));
            row_sequences.extend(std::iter::repeat_n(index, len));
            let slot = segment.adapter.map(|adapter| {
                if !self.adapters.contains(&adapter) {
                    self.adapters.push(adapter);
                }
                let slot = attached.iter().position(|id| *id == adapter);
                slot.ok_or_else(|| Error::Bug("a row's adapter is not attached".to_owned()))
            });
            let slot = slot.transpose()?.map_or(NONE, |slot| slot as u32);
            row_adapters.extend(std::iter::repeat_n(slot, len));
        }
        // The tiles with the most keys take longest. Kernels begin with the last tile.
        tiles.sort_by_key(|&(index, first)| segments[index as usize].past + first as usize);
        let tiles: Vec<u32> = tiles.into_iter().flat_map(|(index, first)| [index, first]).collect();
        let wanted_adapters: Vec<u32> =
            wanted.iter().map(|&row| row_adapters[row as usize]).collect();
        (self.rows, self.decodes, self.tiles) = (ids.len(), decodes.len(), tiles.len() / 2);
        (self.wanted, self.slots) = (wanted.len(), attached.len());
        let mut bytes = Vec::new();
        self.ranges = TableRanges {
            // SAFETY: a sequence is plain numbers without padding.
            sequences: append(&mut bytes, unsafe { bytes_of(&sequences) }),
            ids: append_u32(&mut bytes, &ids),
            positions: append_u32(&mut bytes, &positions),
            row_sequences: append_u32(&mut bytes, &row_sequences),
            row_adapters: append_u32(&mut bytes, &row_adapters),
            decodes: append_u32(&mut bytes, &decodes),
            tiles: append_u32(&mut bytes, &tiles),
            wanted: append_u32(&mut bytes, wanted),
            wanted_adapters: append_u32(&mut bytes, &wanted_adapters),
            frequencies: ropes
                .iter()
                .map(|rope| append_frequencies(&mut bytes, rope, segments))
                .collect(),
        };
        self.upload(gpu, &bytes)
    }

    /// Fills only the tables that logits need, after the hidden states of a pass's parts have been gathered: the
    /// adapters of the `wanted` rows.
    pub(crate) fn fill_wanted(
        &mut self,
        gpu: &Gpu,
        segments: &[PassSegment<'_>],
        attached: &[AdapterId],
        wanted: &[u32],
    ) -> Result<()> {
        let slot = |segment: &PassSegment<'_>| {
            let slot = attached.iter().position(|id| Some(*id) == segment.adapter);
            std::iter::repeat_n(slot.map_or(NONE, |slot| slot as u32), segment.tokens.len())
        };
        let rows: Vec<u32> = segments.iter().flat_map(slot).collect();
        let slots: Vec<u32> = wanted.iter().map(|&row| rows[row as usize]).collect();
        let taking = segments.iter().filter_map(|segment| segment.adapter);
        self.adapters = taking.collect();
        self.adapters.sort_unstable();
        self.adapters.dedup();
        (self.wanted, self.slots) = (wanted.len(), attached.len());
        let mut bytes = Vec::new();
        self.ranges.wanted_adapters = append_u32(&mut bytes, &slots);
        self.upload(gpu, &bytes)
    }

    fn upload(&mut self, gpu: &Gpu, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.buffer.bytes() {
            self.buffer = Buffer::new(&gpu.device, bytes.len().next_power_of_two())?;
        }
        Ok(gpu.device.upload(bytes, self.buffer.view().address)?)
    }

    fn view(&self, at: &Range<usize>) -> Result<View<'_>> {
        Ok(self.buffer.view().part(at.start, at.len())?)
    }

    /// Returns the table of [`SequenceEntry`] items.
    pub(crate) fn sequences(&self) -> Result<View<'_>> {
        self.view(&self.ranges.sequences)
    }

    /// Returns the token ids of the rows, u32.
    pub(crate) fn ids(&self) -> Result<View<'_>> {
        self.view(&self.ranges.ids)
    }

    /// Returns the positions of the rows, u32.
    pub(crate) fn positions(&self) -> Result<View<'_>> {
        self.view(&self.ranges.positions)
    }

    /// Returns the sequence of each row, u32.
    pub(crate) fn row_sequences(&self) -> Result<View<'_>> {
        self.view(&self.ranges.row_sequences)
    }

    /// Returns the indices of the sequences that have one row, u32.
    pub(crate) fn decode_list(&self) -> Result<View<'_>> {
        self.view(&self.ranges.decodes)
    }

    /// Returns the tiles of prefill: two u32 each, the sequence and the tile's first row in it.
    pub(crate) fn tile_list(&self) -> Result<View<'_>> {
        self.view(&self.ranges.tiles)
    }

    /// Returns the rows whose logits are wanted, u32.
    pub(crate) fn wanted_rows(&self) -> Result<View<'_>> {
        self.view(&self.ranges.wanted)
    }

    /// Returns the frequencies of the rotary embedding `index`, `[sequences, pairs]`, if they depend on the sequence.
    pub(crate) fn own_frequencies(&self, index: usize) -> Result<Option<View<'_>>> {
        let at = self.ranges.frequencies.get(index).filter(|at| !at.is_empty());
        at.map(|at| self.view(at)).transpose()
    }

    /// Makes the context for work on all rows.
    pub(crate) fn row_context<'a>(
        &'a self,
        gpu: &'a Gpu,
        arena: &'a Arena,
        group: &'a DeviceGroup,
    ) -> Result<KernelContext<'a>> {
        let adapters = self.adapters_at(&self.ranges.row_adapters)?;
        Ok(KernelContext { gpu, arena, group, rows: self.rows, adapters })
    }

    /// Makes the context for work on the rows whose logits are wanted.
    pub(crate) fn wanted_context<'a>(
        &'a self,
        gpu: &'a Gpu,
        arena: &'a Arena,
        group: &'a DeviceGroup,
    ) -> Result<KernelContext<'a>> {
        let adapters = self.adapters_at(&self.ranges.wanted_adapters)?;
        Ok(KernelContext { gpu, arena, group, rows: self.wanted, adapters })
    }

    fn adapters_at(&self, at: &Range<usize>) -> Result<Option<RowAdapters<'_>>> {
        if self.adapters.is_empty() {
            return Ok(None);
        }
        Ok(Some(RowAdapters { rows: self.view(at)?, taking: &self.adapters, slots: self.slots }))
    }
}

fn missing_cache() -> Error {
    Error::Bug("a segment's KV cache is not on its device".to_owned())
}

/// Appends a table, aligned to 16 bytes because kernels may read 16 bytes at a time. Returns its byte range.
fn append(bytes: &mut Vec<u8>, table: &[u8]) -> Range<usize> {
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    let start = bytes.len();
    bytes.extend_from_slice(table);
    start..bytes.len()
}

/// Appends the frequencies of each segment, if they depend on its length.
fn append_frequencies(
    bytes: &mut Vec<u8>,
    rope: &Rope,
    segments: &[PassSegment<'_>],
) -> Range<usize> {
    if !rope.depends_on_length() {
        return 0..0;
    }
    let of_segment = |segment: &PassSegment<'_>| rope.frequencies_at(segment.length).into_owned();
    let frequencies: Vec<f32> = segments.iter().flat_map(of_segment).collect();
    // SAFETY: f32 numbers have no padding.
    append(bytes, unsafe { bytes_of(&frequencies) })
}

fn append_u32(bytes: &mut Vec<u8>, table: &[u32]) -> Range<usize> {
    // SAFETY: u32 numbers have no padding.
    append(bytes, unsafe { bytes_of(table) })
}
