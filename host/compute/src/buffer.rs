//! Memory of a device: buffers that own it, and views that borrow parts of it.

use crate::{ComputeDevice, DType, Error, Result};
use std::{marker::PhantomData, sync::Arc};

/// Memory of a device. Dropping the buffer frees the memory after the work that is queued by then.
pub struct Buffer {
    device: Arc<dyn ComputeDevice>,
    address: u64,
    bytes: usize,
}

impl Buffer {
    /// Allocates `bytes` bytes, at least one. The memory is not cleared.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the device has less free memory.
    pub fn new(device: &Arc<dyn ComputeDevice>, bytes: usize) -> Result<Self> {
        let bytes = bytes.max(1);
        let address = device.allocate(bytes)?;
        Ok(Self { device: Arc::clone(device), address, bytes })
    }

    /// Allocates `bytes` bytes, at least one, and queues their clearing to zero.
    pub fn zeros(device: &Arc<dyn ComputeDevice>, bytes: usize) -> Result<Self> {
        let buffer = Self::new(device, bytes)?;
        device.clear(buffer.address, buffer.bytes)?;
        Ok(buffer)
    }

    /// Copies the host's bytes to a new buffer.
    pub fn from_bytes(device: &Arc<dyn ComputeDevice>, bytes: &[u8]) -> Result<Self> {
        let buffer = Self::new(device, bytes.len())?;
        if !bytes.is_empty() {
            device.upload(bytes, buffer.address)?;
        }
        Ok(buffer)
    }

    /// Copies the host's numbers to a new buffer as f32.
    pub fn from_f32(device: &Arc<dyn ComputeDevice>, numbers: &[f32]) -> Result<Self> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        Self::from_bytes(device, &bytes)
    }

    /// Copies the host's integers to a new buffer.
    pub fn from_u32(device: &Arc<dyn ComputeDevice>, numbers: &[u32]) -> Result<Self> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        Self::from_bytes(device, &bytes)
    }

    /// Rounds the host's numbers to `dtype`, to nearest with ties to even, and copies them to a new buffer.
    pub fn from_numbers(
        device: &Arc<dyn ComputeDevice>,
        numbers: &[f32],
        dtype: DType,
    ) -> Result<Self> {
        let bytes: Vec<u8> = match dtype {
            DType::F32 => return Self::from_f32(device, numbers),
            DType::Bf16 => {
                numbers.iter().flat_map(|&x| half::bf16::from_f32(x).to_ne_bytes()).collect()
            }
            DType::F16 => {
                numbers.iter().flat_map(|&x| half::f16::from_f32(x).to_ne_bytes()).collect()
            }
        };
        Self::from_bytes(device, &bytes)
    }

    /// Borrows the whole buffer.
    pub fn view(&self) -> View<'_> {
        View { address: self.address, bytes: self.bytes, _of: PhantomData }
    }

    /// Returns the device that the memory belongs to.
    pub fn device(&self) -> &Arc<dyn ComputeDevice> {
        &self.device
    }

    /// Returns the size of the buffer, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Downloads the buffer, whose numbers have the format `dtype`, and widens the numbers to f32.
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

    /// Downloads the buffer as integers of 32 bits.
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

/// A borrowed part of a buffer.
///
/// Work on a view is only queued while the buffer is borrowed, and may still run after the borrow ends. That is sound
/// because the memory is freed in the order of the stream.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Address of the first byte.
    pub address: u64,
    /// Size of the view, in bytes.
    pub bytes: usize,
    _of: PhantomData<&'a Buffer>,
}

impl<'a> View<'a> {
    /// Returns the view of `bytes` bytes from byte `start` on.
    ///
    /// # Errors
    /// [`Error::Bug`] if the view is smaller.
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

    /// Returns the address of the view if it has at least `bytes` bytes. Launchers call this for every view that a
    /// kernel reads or writes.
    ///
    /// # Errors
    /// [`Error::Bug`], which names the argument by `what`, if the view is smaller.
    pub fn checked_address(self, what: &'static str, bytes: usize) -> Result<u64> {
        match self.bytes >= bytes {
            true => Ok(self.address),
            false => Err(Error::Bug(format!(
                "{what} needs {bytes} bytes of a device's memory and is given {}",
                self.bytes
            ))),
        }
    }
}
