//! How weights lie in memory: panels of [`PANEL`] output features, one step of inputs after another.
//!
//! ```text
//! panel 0: step 0 [o0 o1 ... o31]  step 1 [o0 ... o31]  ...     a product reads it from end to end
//! panel 1: ...
//! ```
//!
//! A vector then holds one input of sixteen outputs, an activation is spread over all lanes, and no
//! sum is ever taken across lanes. Each output has one running sum over the inputs in order, so its
//! value does not depend on how many rows are multiplied with it.

mod iq4;
mod q8;
mod streamed;

pub use iq4::{Iq4, Iq4Layout, Iq4Weights};
pub use q8::{Q8, Q8Weights};
pub use streamed::{Bf16, Bf16Widened, F16, F32};

use super::simd::{LANES, Simd};

/// Output features of a panel.
pub const PANEL: usize = 2 * LANES;

/// A step of a panel, on its own cache lines.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Step<T>(pub T);

/// The sums of a tile: `R` rows by a panel.
pub type Sums<S, const R: usize> = [[<S as Simd>::V; 2]; R];

/// Memory that is read soon, of which each step asks for its share: a processor's own prefetcher follows
/// a panel while it is streamed, but not the next one while this one meets more rows.
#[derive(Clone, Copy)]
pub struct Ahead {
    from: *const u8,
    bytes_a_step: usize,
}

impl Ahead {
    /// Nothing.
    pub const NOTHING: Self = Self { from: std::ptr::null(), bytes_a_step: 0 };

    /// Part `part` of `parts` of a panel, shared out over `steps`.
    pub fn part<T>(panel: &[T], part: usize, parts: usize, steps: usize) -> Self {
        let share = std::mem::size_of_val(panel) / parts;
        let from = panel.as_ptr().cast::<u8>().wrapping_add(part * share);
        Self { from, bytes_a_step: share.div_ceil(steps.max(1)) }
    }

    #[inline(always)]
    unsafe fn step<S: Simd>(&mut self) {
        for line in (0..self.bytes_a_step).step_by(64) {
            // SAFETY: the processor has S; a prefetch may be of any address.
            unsafe { S::prefetch(self.from.wrapping_add(line)) };
        }
        self.from = self.from.wrapping_add(self.bytes_a_step);
    }
}

/// A number format of weights and how activations meet it.
pub trait Format: 'static {
    /// [`DEPTH`](Self::DEPTH) inputs of a panel's outputs.
    type Weights: Copy + Send + Sync;
    /// As many activations of one row.
    type Activations: Copy + Send + Sync;
    /// Inputs of a step.
    const DEPTH: usize;
    /// Most rows of a tile where a vector is one register.
    const ROWS: usize;
    /// Most rows of a tile where a vector is several registers ([`Simd::IS_SPLIT`]).
    const SPLIT_ROWS: usize;

    /// Steps of a panel.
    fn steps(inputs: usize) -> usize {
        inputs.div_ceil(Self::DEPTH)
    }
    /// One step from `inputs[output][depth]`.
    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights;
    /// One output's inputs of a step, `DEPTH` numbers.
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]);
    /// Rounds a vector of activations as the format wants them, before [`Format::activate`] takes them.
    ///
    /// # Safety
    /// The processor has `S`.
    #[inline(always)]
    unsafe fn round<S: Simd>(x: S::V) -> S::V {
        x
    }
    /// At most `DEPTH` rounded activations; those that are missing count as 0. Implementations are
    /// `#[inline(always)]`.
    fn activate(x: &[f32]) -> Self::Activations;
    /// All steps of a panel with `R` rows: `x[step * R + row]`. Meanwhile what comes next is fetched.
    ///
    /// # Safety
    /// The processor has `S`, and `x` is `R` times as long as `panel`.
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[Self::Activations],
        ahead: Ahead,
    ) -> Sums<S, R>;
}
