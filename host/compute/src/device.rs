//! The interface to a device: what the engine needs of a GPU, and what the emulated device imitates.
//!
//! ```text
//! engine ──► ops (one function for each kernel) ──► ComputeDevice ─┬─ cuda::CudaDevice         a GPU: libcuda, NVRTC, cuBLASLt
//!                                                                  └─ emulated (private type)  the same kernels on the CPU
//! ```
//!
//! Work is queued in order on the device's only stream. Only [`ComputeDevice::download`] and
//! [`ComputeDevice::synchronize`] wait for the stream. Addresses belong to the device: the host treats them as numbers
//! and never dereferences them.

use crate::{DType, Result};
use std::{any::Any, ffi::c_void, marker::PhantomData};

/// The source of one or more kernels, and the macros to define when it is compiled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KernelSource {
    /// Name of the source file, without `.cu`.
    pub file: &'static str,
    /// Text of the source file.
    pub text: &'static str,
    /// Name and value of each macro.
    pub defines: Vec<(&'static str, String)>,
}

/// A kernel that is ready to be launched. The number is only meaningful to the device that returned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(pub usize);

/// The number of threads that run a kernel, and how they are grouped into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchGrid {
    /// Number of blocks in x, y and z. Each is at least 1.
    pub blocks: [u32; 3],
    /// Threads of each block: a multiple of 32, at most 1024.
    pub threads: u32,
    /// Dynamic shared memory of each block, in bytes.
    pub shared: u32,
}

/// The parameter of a kernel: every kernel takes one `#[repr(C)]` struct of plain numbers.
///
/// ```
/// use llem_compute::KernelParameters;
///
/// /// Declared with the same fields in the kernel's source.
/// #[repr(C)]
/// #[derive(Clone, Copy)]
/// struct Scale {
///     x: u64,
///     count: u32,
///     factor: f32,
/// }
///
/// let scale = Scale { x: 0, count: 3, factor: 0.5 };
/// assert_eq!(KernelParameters::new(&scale).bytes, 16);
/// ```
#[derive(Clone, Copy)]
pub struct KernelParameters<'a> {
    /// Address of the struct in the host's memory.
    pub pointer: *const c_void,
    /// Size of the struct, in bytes. A device compares it with the size that the compiled kernel declares.
    pub bytes: usize,
    _of: PhantomData<&'a ()>,
}

impl<'a> KernelParameters<'a> {
    /// Borrows a struct that has the same layout as the kernel's parameter.
    pub fn new<T: Copy>(parameters: &'a T) -> Self {
        Self {
            pointer: std::ptr::from_ref(parameters).cast(),
            bytes: size_of::<T>(),
            _of: PhantomData,
        }
    }
}

/// A matrix product `y = x Wᵀ (+ bias) (+ y)` on a device.
///
/// Matrices are row-major without gaps; only the rows of `y` may lie further apart (`y_stride`). Sums are taken in f32.
///
/// # Shapes
/// - `x`: `[rows, inputs]` of `dtype`
/// - `weight`: `[outputs, inputs]` of `dtype`
/// - `bias`: `[outputs]` of `dtype`
/// - `y`: `[rows, outputs]` of `y_dtype`, written
#[derive(Clone, Copy, Debug)]
pub struct MatrixProduct {
    /// Rows of `x` and `y`.
    pub rows: usize,
    /// Columns of `x` and `weight`.
    pub inputs: usize,
    /// Rows of `weight`, columns of `y`.
    pub outputs: usize,
    /// Address of `x`.
    pub x: u64,
    /// Address of the weight `W`.
    pub weight: u64,
    /// Address of `y`.
    pub y: u64,
    /// Address of the bias, which is added to every row of `y`. 0 means no bias.
    pub bias: u64,
    /// Numbers from the start of one row of `y` to the start of the next: at least `outputs`.
    pub y_stride: usize,
    /// Number format of `x`, `weight` and `bias`.
    pub dtype: DType,
    /// Number format of `y`: either `dtype` or f32.
    pub y_dtype: DType,
    /// Whether the product is added to the numbers in `y` instead of replacing them.
    pub accumulate: bool,
}

/// How often each kind of call was made to a device since it was opened. Tests compare two readings to count launches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Kernels launched, matrix products included.
    pub launches: u64,
    /// Allocations of memory.
    pub allocations: u64,
    /// Copies from the host to the device.
    pub uploads: u64,
    /// Copies from the device to the host. Each waits for the stream.
    pub downloads: u64,
    /// Waits for the stream, without those of downloads.
    pub synchronizations: u64,
}

/// The memory of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Free memory, in bytes.
    pub free: usize,
    /// All memory, in bytes.
    pub total: usize,
}

/// An open device with one stream. [`cuda::open`](crate::cuda::open) and [`emulated::open`](crate::emulated::open)
/// return one.
///
/// # Errors
/// Every function returns [`Error::Failed`](crate::Error::Failed) if the driver reports a failure. After a failure in a
/// kernel, all later calls fail too.
pub trait ComputeDevice: Any + Send + Sync {
    /// Returns the name that people use for the device: `cuda:0` or `emulated`.
    fn name(&self) -> &str;

    /// Returns true for a GPU, and false for the emulated device.
    fn is_real(&self) -> bool;

    /// Returns the number of multiprocessors, from which launchers choose how many blocks a grid needs to keep the
    /// device busy.
    fn multiprocessors(&self) -> usize;

    /// Reads how much memory is free and how much there is in all.
    fn memory(&self) -> Result<MemoryInfo>;

    /// Allocates memory and returns its address, a multiple of 256. The memory is not cleared.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) if fewer than `bytes` bytes are free.
    fn allocate(&self, bytes: usize) -> Result<u64>;

    /// Frees memory from [`ComputeDevice::allocate`] after the work that is queued so far. `bytes` is the size of the
    /// allocation. A failure is only logged.
    fn free(&self, address: u64, bytes: usize);

    /// Queues a copy from the host's memory. The caller may reuse `from` as soon as the call returns.
    fn upload(&self, from: &[u8], to: u64) -> Result<()>;

    /// Copies to the host's memory and waits until the copy is complete.
    fn download(&self, from: u64, to: &mut [u8]) -> Result<()>;

    /// Queues a copy of `bytes` bytes within the device.
    fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()>;

    /// Queues the clearing of `bytes` bytes to zero.
    fn clear(&self, at: u64, bytes: usize) -> Result<()>;

    /// Returns a kernel of a source. Compiles the source for this device unless it is loaded or in the cache on disk.
    ///
    /// # Errors
    /// [`Error::Compile`](crate::Error::Compile) if the source does not compile, and
    /// [`Error::Missing`](crate::Error::Missing) if it is not in the cache and there is no compiler.
    fn kernel(&self, source: &KernelSource, name: &str) -> Result<Kernel>;

    /// Queues a kernel.
    ///
    /// # Safety
    /// `parameters` has the layout that the kernel declares. Every address in it is valid for the reads and writes of
    /// the kernel until the kernel has ended.
    unsafe fn launch(
        &self,
        kernel: Kernel,
        grid: LaunchGrid,
        parameters: KernelParameters<'_>,
    ) -> Result<()>;

    /// Queues a matrix product.
    ///
    /// # Safety
    /// Every address in `product` is valid for a matrix of its size until the product has been computed.
    unsafe fn product(&self, product: &MatrixProduct) -> Result<()>;

    /// Waits until all queued work is complete.
    fn synchronize(&self) -> Result<()>;

    /// Returns how often each kind of call was made so far.
    fn counts(&self) -> Counts;
}
