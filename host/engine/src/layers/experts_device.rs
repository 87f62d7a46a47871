//! The mixture of experts on a device: rows are sorted by expert, so that each product reads a weight once.
//!
//! ```text
//! x [rows, hidden] ─ router ─ route ─► pairs (row, expert), sorted by expert
//! pairs ─ gate and up ─ activation ─ down ─► [pairs, hidden] ─ combine ─► y [rows, hidden]
//! ```

use super::{Experts, Linear};
use crate::{Error, Result, adapters::AdapterId, gpu::KernelContext};
use llem_compute::{
    Buffer, DType, View,
    ops::{
        bytes_of,
        experts::{GroupedProduct, RoutedPairs, Routing},
        lora,
    },
};

/// The tables that kernels read about one of the experts' two projections.
pub(super) struct ExpertTables {
    /// u64: the address of each expert's weight.
    weights: Buffer,
    /// A [`lora::LoraEntry`] for each expert and slot, or `None` if no adapter changes an expert.
    entries: Option<Buffer>,
}

impl Experts {
    /// Queues the mixture on a device.
    ///
    /// # Shapes
    /// - `x`: `[rows, hidden]`
    /// - `y`: `[rows, hidden]`, overwritten, summed over ranks
    pub(crate) fn forward_on_device(
        &self,
        context: &KernelContext<'_>,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        let [Some(input), Some(output)] = &self.tables else { return Err(unpublished()) };
        let Some(expert) = self.experts.first() else {
            // A rank without experts adds zeros to the sum.
            let bytes = context.rows * self.hidden * context.gpu.dtype.size();
            context.gpu.device.clear(y.checked_address("experts' y", bytes)?, bytes)?;
            return context.group.all_reduce(y, context.rows * self.hidden, context.gpu.dtype);
        };
        context.arena.scoped(|| {
            let pairs = context.rows * self.active;
            let routing = Routing {
                rows: context.rows,
                count: self.count,
                active: self.active,
                renormalise: self.renormalise,
                first: self.first,
                own: self.experts.len(),
            };
            let u32s = |count: usize| context.arena.take(count * size_of::<u32>());
            let routed = RoutedPairs {
                experts: u32s(pairs)?,
                shares: context.arena.take(pairs * size_of::<f32>())?,
                order: u32s(pairs)?,
                tiles: u32s(1 + 3 * context.gpu.experts.most_tiles(&routing))?,
            };
            let logits = context.take(context.rows, self.count)?;
            self.router.forward_on_device(context, x, logits)?;
            context.gpu.experts.route(&routing, logits, &routed)?;
            let [into, out_of] = expert.products();
            let wide = context.take(pairs, into.outputs())?;
            self.multiply(context, &routing, &routed, input, [true, true], into, x, wide)?;
            let inner = context.take(pairs, expert.inner())?;
            expert.activate_on_device(context, pairs, wide, inner)?;
            let mixed = context.take(pairs, self.hidden)?;
            self.multiply(
                context,
                &routing,
                &routed,
                output,
                [false, false],
                out_of,
                inner,
                mixed,
            )?;
            context.gpu.experts.combine(&routing, &routed, self.hidden, mixed, y)?;
            context.group.all_reduce(y, context.rows * self.hidden, context.gpu.dtype)
        })
    }

    /// Queues one projection of all experts, and the changes that adapters make to it. `like` is the first expert's
    /// projection, from which the sizes are own.
    ///
    /// # Shapes
    /// - `x`: `[rows, inputs]` if `by_row` is true, otherwise `[pairs, inputs]`
    /// - `y`: `[pairs, outputs]`, overwritten
    #[allow(clippy::too_many_arguments, reason = "what a product of pairs takes")]
    fn multiply(
        &self,
        context: &KernelContext<'_>,
        routing: &Routing,
        routed: &RoutedPairs<'_>,
        tables: &ExpertTables,
        [by_row, shared_input]: [bool; 2],
        like: &Linear,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        let (inputs, outputs) = (like.inputs.own.len(), like.outputs());
        let weights = tables.weights.view();
        context.gpu.experts.product(
            routing,
            routed,
            &GroupedProduct { x, by_row, weights, inputs, outputs, y },
        )?;
        let products = || self.experts.iter().flat_map(|expert| expert.products());
        let is_changed = |id: AdapterId| products().any(|product| product.is_changed_by(id));
        let (Some(adapters), Some(table)) = (context.changed(is_changed), &tables.entries) else {
            return Ok(());
        };
        let pairs = routing.rows * routing.active;
        let rows = lora::LoraRows {
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
        context.arena.scoped(|| {
            let bytes = pairs * stride * size_of::<f32>();
            let h = context.arena.take(bytes)?;
            if is_shared {
                context.gpu.device.clear(h.address, bytes)?;
            }
            context.gpu.lora.shrink(&rows, inputs, shared_input, x, h, stride)?;
            if is_shared {
                context.group.all_reduce(h, pairs * stride, DType::F32)?;
            }
            Ok(context.gpu.lora.expand(&rows, outputs, h, stride, y)?)
        })
    }

    /// Writes the addresses of the experts' weights and adapters to the device.
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] if an adapter replaces whole weights of experts.
    pub(crate) fn publish(&mut self, slots: &[AdapterId]) -> Result<()> {
        let Some(gpu) = self.backend.gpu() else { return Ok(()) };
        let mut products = self.experts.iter().flat_map(|expert| expert.products());
        if products.any(|product| slots.iter().any(|&id| product.is_replaced_by(id))) {
            return Err(Error::Unsupported(
                "an adapter with whole weights of experts does not run on a device: merge it"
                    .to_owned(),
            ));
        }
        let load_tables = |which: usize| -> Result<ExpertTables> {
            let products = || self.experts.iter().map(move |expert| expert.products()[which]);
            let weights: Vec<u64> =
                products().map(Linear::weight_address).collect::<Result<_>>()?;
            let is_changed =
                slots.iter().any(|&id| products().any(|product| product.is_changed_by(id)));
            let entries = products().map(|product| product.entries(slots));
            let entries: Vec<lora::LoraEntry> =
                entries.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
            // SAFETY: addresses and entries are plain numbers without padding.
            let (weights, entries) = unsafe { (bytes_of(&weights), bytes_of(&entries)) };
            let upload = |bytes: &[u8]| Buffer::from_bytes(&gpu.device, bytes);
            Ok(ExpertTables {
                weights: upload(weights)?,
                entries: is_changed.then(|| upload(entries)).transpose()?,
            })
        };
        self.tables = [Some(load_tables(0)?), Some(load_tables(1)?)];
        Ok(())
    }

    /// Returns the bytes that a pass of `rows` rows takes from the arena.
    pub(crate) fn arena_bytes(&self, rows: usize, dtype: DType) -> usize {
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
