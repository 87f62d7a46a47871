//! The memory and the number format of a rank's weights.

use crate::{
    DType, Result,
    gpu::{Backend, upload_numbers},
    load::{Weights, matrix::Matrix},
    parallel::Shard,
};
use llem_compute::Buffer;

/// The number format and the backend of a rank's weights, and which part of the model they are.
#[derive(Clone)]
pub(crate) struct Placement {
    /// The rank's part of the model.
    pub shard: Shard,
    /// The number format of weights that are not quantised.
    pub dtype: DType,
    /// The backend that stores the weights and multiplies with them.
    pub backend: Backend,
}

impl Placement {
    /// Reads the placement from the weights that a layer is loaded from.
    pub(crate) fn from_weights(weights: &Weights) -> Self {
        let (dtype, backend) = (weights.dtype(), weights.place().clone());
        Self { dtype, backend, shard: weights.shard().clone() }
    }

    /// Copies a vector to the device, in the weights' format. Returns `None` on the CPU, because the CPU's kernels
    /// read the vector where it is.
    pub(crate) fn upload(&self, numbers: Option<&[f32]>) -> Result<Option<Buffer>> {
        let (Some(gpu), Some(numbers)) = (self.backend.gpu(), numbers) else { return Ok(None) };
        upload_numbers(gpu, numbers).map(Some)
    }

    /// Copies a vector to the device, in f32. Returns `None` on the CPU, because the CPU's kernels read the vector
    /// where it is.
    pub(crate) fn upload_f32(&self, numbers: Option<&[f32]>) -> Result<Option<Buffer>> {
        let (Some(gpu), Some(numbers)) = (self.backend.gpu(), numbers) else { return Ok(None) };
        Ok(Some(Buffer::from_f32(&gpu.device, numbers)?))
    }

    /// Returns the bytes that a matrix takes in memory. On a device a quantised matrix is widened to the weights'
    /// format.
    pub(crate) fn bytes_of(&self, matrix: &Matrix) -> usize {
        match self.backend.is_cpu() {
            true => matrix.bytes(self.dtype.size()),
            false => matrix.rows * matrix.columns * self.dtype.size(),
        }
    }
}
