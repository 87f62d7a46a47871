//! The tables of a pass: what kernels are told of its rows, in one upload.

use super::{Arena, Gpu};
use crate::{
    Error, Result, adapters::AdapterId, kv_cache::KvCache, layers::Segment, parallel::DeviceGroup,
};
use llem_checkpoint::families::Rope;
use llem_compute::{
    Buffer, View,
    ops::{NONE, Sequence, bytes_of},
};
use std::ops::Range;

/// The tables of a pass, on the device.
pub struct Plan {
    buffer: Buffer,
    /// Rows of the pass.
    pub rows: usize,
    /// Sequences with one row.
    pub decodes: usize,
    /// The most keys that any of those has.
    pub longest: usize,
    /// Tiles of prefill.
    pub tiles: usize,
    /// Rows whose logits are wanted.
    pub wanted: usize,
    /// The adapters that take part, by their slots.
    adapters: Vec<AdapterId>,
    /// Adapters that are attached.
    slots: usize,
    at: Places,
}

/// Where each table lies.
#[derive(Clone, Default)]
struct Places {
    sequences: Range<usize>,
    ids: Range<usize>,
    positions: Range<usize>,
    row_sequences: Range<usize>,
    row_adapters: Range<usize>,
    decodes: Range<usize>,
    tiles: Range<usize>,
    wanted: Range<usize>,
    wanted_adapters: Range<usize>,
    /// Of each rotary embedding; empty where all sequences have the same.
    frequencies: Vec<Range<usize>>,
}

impl Plan {
    /// A plan whose tables hold nothing yet.
    pub fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self {
            buffer: Buffer::new(&gpu.device, 1 << 16)?,
            rows: 0,
            decodes: 0,
            longest: 0,
            tiles: 0,
            wanted: 0,
            adapters: Vec::new(),
            slots: 0,
            at: Places::default(),
        })
    }

    /// Fills the tables for segments whose caches are among `caches` and that are rotated by `ropes`; `attached` are the adapters by their slots, and `wanted`
    /// the rows whose logits are wanted.
    pub fn fill(
        &mut self,
        gpu: &Gpu,
        segments: &[Segment<'_>],
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
            let cache = caches.get(segment.slot).ok_or_else(missing)?;
            sequences.push(Sequence {
                cache: cache.address().ok_or_else(missing)?,
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
        // Those with the most keys take longest: kernels begin with the last.
        tiles.sort_by_key(|&(index, first)| segments[index as usize].past + first as usize);
        let tiles: Vec<u32> = tiles.into_iter().flat_map(|(index, first)| [index, first]).collect();
        let wanted_adapters: Vec<u32> =
            wanted.iter().map(|&row| row_adapters[row as usize]).collect();
        (self.rows, self.decodes, self.tiles) = (ids.len(), decodes.len(), tiles.len() / 2);
        (self.wanted, self.slots) = (wanted.len(), attached.len());
        let mut bytes = Vec::new();
        self.at = Places {
            // SAFETY: a sequence is plain numbers without padding.
            sequences: put(&mut bytes, unsafe { bytes_of(&sequences) }),
            ids: put_u32(&mut bytes, &ids),
            positions: put_u32(&mut bytes, &positions),
            row_sequences: put_u32(&mut bytes, &row_sequences),
            row_adapters: put_u32(&mut bytes, &row_adapters),
            decodes: put_u32(&mut bytes, &decodes),
            tiles: put_u32(&mut bytes, &tiles),
            wanted: put_u32(&mut bytes, wanted),
            wanted_adapters: put_u32(&mut bytes, &wanted_adapters),
            frequencies: ropes.iter().map(|rope| put_own(&mut bytes, rope, segments)).collect(),
        };
        self.upload(gpu, &bytes)
    }

    /// Fills only what logits need of a pass whose hidden states are gathered: the adapters of the `wanted` rows.
    pub fn fill_wanted(
        &mut self,
        gpu: &Gpu,
        segments: &[Segment<'_>],
        attached: &[AdapterId],
        wanted: &[u32],
    ) -> Result<()> {
        let slot = |segment: &Segment<'_>| {
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
        self.at.wanted_adapters = put_u32(&mut bytes, &slots);
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

    /// [`Sequence`]s.
    pub fn sequences(&self) -> Result<View<'_>> {
        self.view(&self.at.sequences)
    }

    /// Token ids of rows.
    pub fn ids(&self) -> Result<View<'_>> {
        self.view(&self.at.ids)
    }

    /// Positions of rows.
    pub fn positions(&self) -> Result<View<'_>> {
        self.view(&self.at.positions)
    }

    /// Sequences of rows.
    pub fn row_sequences(&self) -> Result<View<'_>> {
        self.view(&self.at.row_sequences)
    }

    /// Places of the sequences that have one row.
    pub fn decode_list(&self) -> Result<View<'_>> {
        self.view(&self.at.decodes)
    }

    /// Tiles of prefill.
    pub fn tile_list(&self) -> Result<View<'_>> {
        self.view(&self.at.tiles)
    }

    /// Rows whose logits are wanted.
    pub fn wanted_rows(&self) -> Result<View<'_>> {
        self.view(&self.at.wanted)
    }

    /// The frequencies `[sequences, pairs]` of the rotary embedding `index`, where each sequence has its own.
    pub fn own_frequencies(&self, index: usize) -> Result<Option<View<'_>>> {
        let at = self.at.frequencies.get(index).filter(|at| !at.is_empty());
        at.map(|at| self.view(at)).transpose()
    }

    /// A run over all rows.
    pub fn run<'a>(
        &'a self,
        gpu: &'a Gpu,
        arena: &'a Arena,
        group: &'a DeviceGroup,
    ) -> Result<Run<'a>> {
        let adapters = self.adapters_at(&self.at.row_adapters)?;
        Ok(Run { gpu, arena, group, rows: self.rows, adapters })
    }

    /// A run over the rows whose logits are wanted.
    pub fn run_of_wanted<'a>(
        &'a self,
        gpu: &'a Gpu,
        arena: &'a Arena,
        group: &'a DeviceGroup,
    ) -> Result<Run<'a>> {
        let adapters = self.adapters_at(&self.at.wanted_adapters)?;
        Ok(Run { gpu, arena, group, rows: self.wanted, adapters })
    }

    fn adapters_at(&self, at: &Range<usize>) -> Result<Option<RowAdapters<'_>>> {
        if self.adapters.is_empty() {
            return Ok(None);
        }
        Ok(Some(RowAdapters { rows: self.view(at)?, taking: &self.adapters, slots: self.slots }))
    }
}

/// What layers need to queue their work.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The kernels.
    pub gpu: &'a Gpu,
    /// Memory for what they pass on.
    pub arena: &'a Arena,
    /// The ranks of the stage.
    pub group: &'a DeviceGroup,
    /// Rows.
    pub rows: usize,
    /// The adapters of rows; none where every row runs on the base weights.
    pub adapters: Option<RowAdapters<'a>>,
}

impl<'a> Run<'a> {
    /// Room for `[rows, width]` in the model's format.
    pub fn take(&self, rows: usize, width: usize) -> Result<View<'a>> {
        self.arena.take(rows * width * self.gpu.dtype.size())
    }

    /// The adapters of rows, if any that takes part `has_change`.
    pub fn changed(&self, has_change: impl Fn(AdapterId) -> bool) -> Option<RowAdapters<'a>> {
        self.adapters.filter(|adapters| adapters.taking.iter().any(|&id| has_change(id)))
    }
}

/// The adapters of rows.
#[derive(Clone, Copy)]
pub struct RowAdapters<'a> {
    /// u32 a row: the adapter's slot, or `NONE`.
    pub rows: View<'a>,
    /// The adapters that take part.
    pub taking: &'a [AdapterId],
    /// Adapters that are attached.
    pub slots: usize,
}

fn missing() -> Error {
    Error::Bug("a segment's KV cache is not on its device".to_owned())
}

/// Appends a table where kernels may read 16 bytes at a time, and returns where.
fn put(bytes: &mut Vec<u8>, table: &[u8]) -> Range<usize> {
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    let start = bytes.len();
    bytes.extend_from_slice(table);
    start..bytes.len()
}

/// Appends the frequencies of each segment, where they depend on its length.
fn put_own(bytes: &mut Vec<u8>, rope: &Rope, segments: &[Segment<'_>]) -> Range<usize> {
    if !rope.depends_on_length() {
        return 0..0;
    }
    let of_segment = |segment: &Segment<'_>| rope.frequencies_at(segment.length).into_owned();
    let frequencies: Vec<f32> = segments.iter().flat_map(of_segment).collect();
    // SAFETY: plain numbers.
    put(bytes, unsafe { bytes_of(&frequencies) })
}

fn put_u32(bytes: &mut Vec<u8>, table: &[u32]) -> Range<usize> {
    // SAFETY: plain numbers.
    put(bytes, unsafe { bytes_of(table) })
}
