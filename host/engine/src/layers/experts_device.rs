//! The same experts on a device: rows are dealt out there, and each product reads every expert's weight once.
//!
//! ```text
//! x [rows, hidden] ─ router ─ route ─► pairs (row, expert), sorted by expert
//! pairs ─ gate and up ─ activation ─ down ─► [pairs, hidden] ─ combine ─► y [rows, hidden]
//! ```

use super::{Experts, Linear};
use crate::{Error, Result, adapters::AdapterId, gpu::Run};
use llem_compute::{
    Buffer, DType, View,
    ops::{
        bytes_of,
        experts::{Grouped, Routed, Routing},
        lora,
    },
};

/// What kernels are told of one of the experts' two products.
pub(super) struct Group {
    /// u64: each expert's weight.
    weights: Buffer,
    /// Of [`lora::Entry`], by expert and adapter; none where no adapter changes any.
    entries: Option<Buffer>,
}

impl Experts {
    /// `[rows, hidden]` to the same.
    pub fn run(&self, run: &Run<'_>, x: View<'_>, y: View<'_>) -> Result<()> {
        let [Some(input), Some(output)] = &self.groups else { return Err(unpublished()) };
        let Some(expert) = self.experts.first() else {
            // A rank without experts has nothing to add.
            let bytes = run.rows * self.hidden * run.gpu.dtype.size();
            run.gpu.device.clear(y.holds("experts' y", bytes)?, bytes)?;
            return run.group.all_reduce(y, run.rows * self.hidden, run.gpu.dtype);
        };
        run.arena.scoped(|| {
            let pairs = run.rows * self.active;
            let routing = Routing {
                rows: run.rows,
                count: self.count,
                active: self.active,
                renormalise: self.renormalise,
                first: self.first,
                own: self.experts.len(),
            };
            let u32s = |count: usize| run.arena.take(count * size_of::<u32>());
            let routed = Routed {
                experts: u32s(pairs)?,
                shares: run.arena.take(pairs * size_of::<f32>())?,
                order: u32s(pairs)?,
                tiles: u32s(1 + 3 * run.gpu.experts.most_tiles(&routing))?,
            };
            let logits = run.take(run.rows, self.count)?;
            self.router.run(run, x, logits)?;
            run.gpu.experts.route(&routing, logits, &routed)?;
            let [into, out_of] = expert.products();
            let wide = run.take(pairs, into.outputs())?;
            self.multiply(run, &routing, &routed, input, [true, true], into, x, wide)?;
            let inner = run.take(pairs, expert.inner())?;
            expert.activate_on_device(run, pairs, wide, inner)?;
            let mixed = run.take(pairs, self.hidden)?;
            self.multiply(run, &routing, &routed, output, [false, false], out_of, inner, mixed)?;
            run.gpu.experts.combine(&routing, &routed, self.hidden, mixed, y)?;
            run.group.all_reduce(y, run.rows * self.hidden, run.gpu.dtype)
        })
    }

    /// One of the experts' products, and what adapters change about it; `like` is the first expert's.
    #[allow(clippy::too_many_arguments, reason = "what a product of pairs takes")]
    fn multiply(
        &self,
        run: &Run<'_>,
        routing: &Routing,
        routed: &Routed<'_>,
        group: &Group,
        [by_row, shared_input]: [bool; 2],
        like: &Linear,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        let (inputs, outputs) = (like.inputs.taken.len(), like.outputs());
        let weights = group.weights.view();
        run.gpu.experts.product(
            routing,
            routed,
            &Grouped { x, by_row, weights, inputs, outputs, y },
        )?;
        let products = || self.experts.iter().flat_map(|expert| expert.products());
        let is_changed = |id: AdapterId| products().any(|product| product.is_changed_by(id));
        let (Some(adapters), Some(table)) = (run.changed(is_changed), &group.entries) else {
            return Ok(());
        };
        let pairs = routing.rows * routing.active;
        let rows = lora::Rows {
            rows: pairs,
            per_input: routing.active,
            adapters: adapters.rows,
            adapter_count: adapters.slots,
            experts: Some(routed.experts),
            table: table.view(),
        };
        let ranks = products().map(|product| product.most_ranks(adapters.taking)).max();
        let stride = ranks.unwrap_or(0).next_multiple_of(4).max(4);
        let is_shared = products().any(|product| product.has_shared_factors(adapters.taking));
        run.arena.scoped(|| {
            let bytes = pairs * stride * size_of::<f32>();
            let h = run.arena.take(bytes)?;
            if is_shared {
                run.gpu.device.clear(h.address, bytes)?;
            }
            run.gpu.lora.shrink(&rows, inputs, shared_input, x, h, stride)?;
            if is_shared {
                run.group.all_reduce(h, pairs * stride, DType::F32)?;
            }
            Ok(run.gpu.lora.expand(&rows, outputs, h, stride, y)?)
        })
    }

    /// Tells the device where each expert's weights and adapters are.
    pub fn publish(&mut self, slots: &[AdapterId]) -> Result<()> {
        let Some(gpu) = self.place.gpu() else { return Ok(()) };
        let mut products = self.experts.iter().flat_map(|expert| expert.products());
        if products.any(|product| slots.iter().any(|&id| product.is_replaced_by(id))) {
            return Err(Error::Unsupported(
                "an adapter with whole weights of experts does not run on a device: merge it"
                    .to_owned(),
            ));
        }
        let group = |which: usize| -> Result<Group> {
            let products = || self.experts.iter().map(move |expert| expert.products()[which]);
            let weights: Vec<u64> =
                products().map(Linear::weight_address).collect::<Result<_>>()?;
            let is_changed =
                slots.iter().any(|&id| products().any(|product| product.is_changed_by(id)));
            let entries = products().map(|product| product.entries(slots));
            let entries: Vec<lora::Entry> =
                entries.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
            // SAFETY: addresses and entries are plain numbers without padding.
            let (weights, entries) = unsafe { (bytes_of(&weights), bytes_of(&entries)) };
            let upload = |bytes: &[u8]| Buffer::of_bytes(&gpu.device, bytes);
            Ok(Group {
                weights: upload(weights)?,
                entries: is_changed.then(|| upload(entries)).transpose()?,
            })
        };
        self.groups = [Some(group(0)?), Some(group(1)?)];
        Ok(())
    }

    /// Bytes that a pass of `rows` rows takes from the arena.
    pub fn arena_bytes(&self, rows: usize, dtype: DType) -> usize {
        let pairs = rows * self.active;
        let widths: usize = self.experts.first().map_or(0, |expert| {
            expert.products().iter().map(|product| product.outputs()).sum::<usize>()
                + expert.inner()
        });
        (rows * self.count + pairs * widths) * dtype.size()
            + (3 * pairs + 4 + 3 * (pairs + self.count)) * size_of::<u32>()
    }
}

fn unpublished() -> Error {
    Error::Bug("the experts' weights have not been told to their device".to_owned())
}
