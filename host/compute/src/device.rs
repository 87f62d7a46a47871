//! The seam: what the engine's device path needs of a device.
//!
//! ```text
//! engine ──► ops (one Rust function a kernel) ──► Device ─┬─ Cuda      the card, through libcuda, NVRTC and cuBLASLt
//!                                                         └─ Emulated  the same kernels' source on the CPU
//! ```
//!
//! Work is queued in order on the device's one stream. [`Device::download`] and [`Device::synchronize`] wait for it; nothing
//! else does. Addresses are the device's own: numbers to the host, never dereferenced by it.

use crate::{DType, Error, Result};
use std::{any::Any, ffi::c_void, marker::PhantomData, sync::Arc};

/// A source file of kernels, and what is defined before it is compiled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The file's name without `.cu`.
    pub file: &'static str,
    /// The source.
    pub text: &'static str,
    /// Macros: name and value.
    pub defines: Vec<(&'static str, String)>,
}

/// A kernel that is ready to be launched, by its device's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(pub usize);

/// How many threads run a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Blocks in x, y and z; none of them zero.
    pub blocks: [u32; 3],
    /// Threads of a block, a multiple of 32.
    pub threads: u32,
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
}

/// A kernel's one parameter: a `#[repr(C)]` struct of plain numbers, as the kernel declares it.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    /// Where it lies on the host.
    pub pointer: *const c_void,
    /// Its bytes.
    pub bytes: usize,
    _of: PhantomData<&'a ()>,
}

impl<'a> Parameters<'a> {
    /// Of a struct that is laid out as the kernel's.
    pub fn of<T: Copy>(parameters: &'a T) -> Self {
        Self {
            pointer: std::ptr::from_ref(parameters).cast(),
            bytes: size_of::<T>(),
            _of: PhantomData,
        }
    }
}

/// A matrix product `y = x Wᵀ (+ b) (+ y)`: `x` is `[rows, inputs]`, `W` `[outputs, inputs]` and `y` `[rows, outputs]`, each row
/// by row without gaps unless a stride is given.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Rows of `x`.
    pub rows: usize,
    /// Columns of `x` and of `W`.
    pub inputs: usize,
    /// Rows of `W`.
    pub outputs: usize,
    /// Address of `x`.
    pub x: u64,
    /// Address of `W`.
    pub weight: u64,
    /// Address of `y`.
    pub y: u64,
    /// Address of a bias, `[outputs]` in the format of `x`, added to every row of `y`; 0 for none.
    pub bias: u64,
    /// Numbers from one row of `y` to the next: at least `outputs`.
    pub y_stride: usize,
    /// Format of `x` and `W`.
    pub dtype: DType,
    /// Format of `y`: that of `x`, or f32.
    pub y_dtype: DType,
    /// Whether `y` is added to. Sums are taken in f32.
    pub accumulate: bool,
}

/// What was asked of a device so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Kernels launched, products included.
    pub launches: u64,
    /// Allocations of memory.
    pub allocations: u64,
    /// Copies from the host.
    pub uploads: u64,
    /// Copies to the host, each of which waits for the stream.
    pub downloads: u64,
    /// Other waits for the stream.
    pub synchronizations: u64,
}

/// A device's memory, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Free.
    pub free: usize,
    /// In all.
    pub total: usize,
}

/// A device with one stream.
///
/// # Errors
/// Every function fails with [`Error::Failed`] when the driver does, those that follow too: a device that has failed stays so.
pub trait Device: Any + Send + Sync {
    /// What people call it: `cuda:0`, `emulated`.
    fn name(&self) -> &str;

    /// Whether it is a card rather than an emulation of one.
    fn is_real(&self) -> bool;

    /// Multiprocessors: how many blocks run side by side, about.
    fn multiprocessors(&self) -> usize;

    /// Free and total memory.
    fn memory(&self) -> Result<MemoryInfo>;

    /// The address of `bytes` bytes (a multiple of 256 away from any other), not cleared.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    fn allocate(&self, bytes: usize) -> Result<u64>;

    /// Frees what [`Device::allocate`] gave, once the work queued so far is done.
    fn free(&self, address: u64, bytes: usize);

    /// Copies from the host's memory, in the order of the stream. `from` may be reused when it returns.
    fn upload(&self, from: &[u8], to: u64) -> Result<()>;

    /// Copies to the host's memory, and waits for it.
    fn download(&self, from: u64, to: &mut [u8]) -> Result<()>;

    /// Copies within the device, in order.
    fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()>;

    /// Sets bytes to zero, in order.
    fn clear(&self, at: u64, bytes: usize) -> Result<()>;

    /// Compiles a source for this device, or takes it from the cache, and finds a kernel in it.
    ///
    /// # Errors
    /// [`Error::Compile`] and [`Error::Missing`].
    fn kernel(&self, source: &Source, name: &str) -> Result<Kernel>;

    /// Queues a kernel.
    ///
    /// # Safety
    /// The parameters are the kernel's, and what they point to has the size that it reads and writes until it is done.
    unsafe fn launch(&self, kernel: Kernel, grid: Grid, parameters: Parameters<'_>) -> Result<()>;

    /// Queues a product.
    ///
    /// # Safety
    /// The addresses are those of matrices of these sizes until it is done.
    unsafe fn product(&self, product: &Product) -> Result<()>;

    /// Waits for all that was queued.
    fn synchronize(&self) -> Result<()>;

    /// What was asked so far.
    fn counts(&self) -> Counts;
}

/// Memory of a device, freed when it is dropped.
pub struct Buffer {
    device: Arc<dyn Device>,
    address: u64,
    bytes: usize,
}

impl Buffer {
    /// Room for `bytes` bytes, at least one, not cleared.
    pub fn new(device: &Arc<dyn Device>, bytes: usize) -> Result<Self> {
        let bytes = bytes.max(1);
        let address = device.allocate(bytes)?;
        Ok(Self { device: Arc::clone(device), address, bytes })
    }

    /// Room for `bytes` bytes, cleared.
    pub fn zeros(device: &Arc<dyn Device>, bytes: usize) -> Result<Self> {
        let buffer = Self::new(device, bytes)?;
        device.clear(buffer.address, buffer.bytes)?;
        Ok(buffer)
    }

    /// A copy of the host's bytes.
    pub fn of_bytes(device: &Arc<dyn Device>, bytes: &[u8]) -> Result<Self> {
        let buffer = Self::new(device, bytes.len())?;
        if !bytes.is_empty() {
            device.upload(bytes, buffer.address)?;
        }
        Ok(buffer)
    }

    /// A copy of the host's numbers, as f32.
    pub fn of_f32(device: &Arc<dyn Device>, numbers: &[f32]) -> Result<Self> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        Self::of_bytes(device, &bytes)
    }

    /// A copy of the host's numbers.
    pub fn of_u32(device: &Arc<dyn Device>, numbers: &[u32]) -> Result<Self> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        Self::of_bytes(device, &bytes)
    }

    /// A copy of the host's numbers in another format, rounded to nearest even.
    pub fn of_numbers(device: &Arc<dyn Device>, numbers: &[f32], dtype: DType) -> Result<Self> {
        let bytes: Vec<u8> = match dtype {
            DType::F32 => return Self::of_f32(device, numbers),
            DType::Bf16 => {
                numbers.iter().flat_map(|&x| half::bf16::from_f32(x).to_ne_bytes()).collect()
            }
            DType::F16 => {
                numbers.iter().flat_map(|&x| half::f16::from_f32(x).to_ne_bytes()).collect()
            }
        };
        Self::of_bytes(device, &bytes)
    }

    /// All of it.
    pub fn view(&self) -> View<'_> {
        View { address: self.address, bytes: self.bytes, _of: PhantomData }
    }

    /// Whose memory it is.
    pub fn device(&self) -> &Arc<dyn Device> {
        &self.device
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its numbers as f32, read from the device.
    pub fn to_f32(&self, dtype: DType) -> Result<Vec<f32>> {
        let mut bytes = vec![0u8; self.bytes];
        self.device.download(self.address, &mut bytes)?;
        let pairs = || bytes.as_chunks::<2>().0.iter();
        Ok(match dtype {
            DType::F32 => {
                bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_ne_bytes(bytes)).collect()
            }
            DType::Bf16 => pairs().map(|&x| half::bf16::from_ne_bytes(x).to_f32()).collect(),
            DType::F16 => pairs().map(|&x| half::f16::from_ne_bytes(x).to_f32()).collect(),
        })
    }

    /// Its numbers, read from the device.
    pub fn to_u32(&self) -> Result<Vec<u32>> {
        let mut bytes = vec![0u8; self.bytes];
        self.device.download(self.address, &mut bytes)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|&bytes| u32::from_ne_bytes(bytes)).collect())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.device.free(self.address, self.bytes);
    }
}

/// Some of a buffer. Work on it is queued while the buffer is borrowed; the buffer's memory is freed in the stream's order.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Where it begins.
    pub address: u64,
    /// Its size.
    pub bytes: usize,
    _of: PhantomData<&'a Buffer>,
}

impl<'a> View<'a> {
    /// `bytes` bytes from the byte `start` on.
    ///
    /// # Errors
    /// [`Error::Bug`] if there are not so many.
    pub fn part(self, start: usize, bytes: usize) -> Result<View<'a>> {
        match start.checked_add(bytes) {
            Some(end) if end <= self.bytes => {
                Ok(Self { address: self.address + start as u64, bytes, _of: PhantomData })
            }
            _ => Err(Error::Bug(format!(
                "bytes {start} to {start} + {bytes} are asked of a device's memory of {}",
                self.bytes
            ))),
        }
    }

    /// Refuses a view that is smaller than what a kernel reads or writes.
    ///
    /// # Errors
    /// [`Error::Bug`].
    pub fn holds(self, what: &'static str, bytes: usize) -> Result<u64> {
        match self.bytes >= bytes {
            true => Ok(self.address),
            false => Err(Error::Bug(format!(
                "{what} needs {bytes} bytes of a device's memory and is given {}",
                self.bytes
            ))),
        }
    }
}
