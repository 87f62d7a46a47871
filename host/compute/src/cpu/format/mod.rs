//! The layout of weights in memory: panels of [`PANEL`] outputs, one step of inputs after another.
//!
//! ```text
//! panel 0: step 0 [o0 o1 ... o31]  step 1 [o0 ... o31]  ...     a product reads it from end to end
//! panel 1: ...
//! ```
//!
//! So a vector holds one input of sixteen outputs, an activation is copied to all lanes, and no sum is taken across
//! lanes. Each output has one running sum over the inputs in order. Its value does not depend on how many rows are
//! multiplied at the same time.

mod iq4;
mod q8;
mod unscaled;

pub use iq4::Iq4Layout;
pub(crate) use iq4::{Iq4, Iq4Weights};
pub(crate) use q8::{Q8, Q8Weights};
pub(crate) use unscaled::{Bf16, Bf16Widened, F16, F32};

use super::simd::{LANES, Simd};

/// Outputs of a panel.
pub(super) const PANEL: usize = 2 * LANES;

/// A step of a panel: the weights of one or more inputs. It is aligned to cache lines.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct PanelStep<T>(pub T);

/// The sums of a tile: `R` rows of two vectors, which are the 32 outputs of a panel.
pub(super) type TileSums<S, const R: usize> = [[<S as Simd>::V; 2]; R];

/// Memory that will be read soon. Each step of the current panel prefetches its share of it.
///
/// The processor prefetches a panel by itself while the panel is read. It does not prefetch the next panel while
/// several tiles of rows are multiplied with the current one.
#[derive(Clone, Copy)]
pub(super) struct Prefetch {
    from: *const u8,
    bytes_a_step: usize,
}

impl Prefetch {
    /// Prefetches nothing.
    pub(super) const NOTHING: Self = Self { from: std::ptr::null(), bytes_a_step: 0 };

    /// Part `part` of `parts` of a panel, divided among `steps` steps.
    pub(super) fn part<T>(panel: &[T], part: usize, parts: usize, steps: usize) -> Self {
        let share = std::mem::size_of_val(panel) / parts;
        let from = panel.as_ptr().cast::<u8>().wrapping_add(part * share);
        Self { from, bytes_a_step: share.div_ceil(steps.max(1)) }
    }

    #[inline(always)]
    unsafe fn next_step<S: Simd>(&mut self) {
        for line in (0..self.bytes_a_step).step_by(64) {
            // SAFETY: the processor has S; a prefetch may be of any address.
            unsafe { S::prefetch(self.from.wrapping_add(line)) };
        }
        self.from = self.from.wrapping_add(self.bytes_a_step);
    }
}

/// A number format of weights, and how weights in it are multiplied with activations.
pub(super) trait WeightFormat: 'static {
    /// Weights of one step: [`DEPTH`](Self::DEPTH) inputs of 32 outputs.
    type Weights: Copy + Send + Sync;
    /// Activations of one step of one row: [`DEPTH`](Self::DEPTH) rounded inputs.
    type Activations: Copy + Send + Sync;
    /// Inputs of a step.
    const DEPTH: usize;
    /// Most rows of a tile if a vector is one register.
    const ROWS: usize;
    /// Most rows of a tile if a vector is several registers ([`Simd::IS_SPLIT`]).
    const SPLIT_ROWS: usize;

    /// Returns the number of steps of a panel.
    fn steps(inputs: usize) -> usize {
        inputs.div_ceil(Self::DEPTH)
    }
    /// Packs one step from `inputs[output][depth]`.
    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights;
    /// Unpacks one output's inputs of a step, `DEPTH` numbers or fewer.
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]);
    /// Rounds sixteen inputs to the precision of [`WeightFormat::activate`], which gets them afterwards.
    ///
    /// # Safety
    /// The processor has `S`.
    #[inline(always)]
    unsafe fn round<S: Simd>(x: S::V) -> S::V {
        x
    }
    /// Converts at most `DEPTH` rounded inputs. Missing ones count as 0. Implementations are `#[inline(always)]`.
    fn activate(x: &[f32]) -> Self::Activations;
    /// Multiplies all steps of a panel with `R` rows, and prefetches memory meanwhile.
    ///
    /// # Shapes
    /// - `panel`: `[steps]`
    /// - `x`: `[steps, R]`
    /// - returns: `[R, 32]`
    ///
    /// # Safety
    /// The processor has `S`, and `x` is `R` times as long as `panel`.
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[PanelStep<Self::Weights>],
        x: &[Self::Activations],
        prefetch: Prefetch,
    ) -> TileSums<S, R>;
}
