//! Events: points in the work of a stream.

use super::context::{Context, CudaHandle, call};
use crate::Result;
use cudarc::driver::sys::{CUevent_st, CUstream_st};
use std::{ptr, sync::Arc, time::Duration};

/// `CU_EVENT_DISABLE_TIMING`: waiting for such an event is faster.
const UNTIMED: u32 = 2;

/// A point in the work of a stream that the host can wait for. A timed event also records the GPU's time.
pub(super) struct CudaEvent {
    context: Arc<Context>,
    handle: CudaHandle<CUevent_st>,
}

impl CudaEvent {
    /// Creates an event without time.
    pub(super) fn new(context: &Arc<Context>) -> Result<Self> {
        Self::with_flags(context, UNTIMED)
    }

    /// Creates an event that records the GPU's time.
    pub(super) fn with_timing(context: &Arc<Context>) -> Result<Self> {
        Self::with_flags(context, 0)
    }

    fn with_flags(context: &Arc<Context>, flags: u32) -> Result<Self> {
        let mut handle = ptr::null_mut();
        // SAFETY: the call writes a handle.
        unsafe { call!(context, cuEventCreate(&raw mut handle, flags)) }?;
        Ok(Self { context: Arc::clone(context), handle: CudaHandle(handle) })
    }

    /// Queues the event after the work that was queued so far.
    pub(super) fn record(&self, stream: CudaHandle<CUstream_st>) -> Result<()> {
        // SAFETY: both handles are of this context and live.
        unsafe { call!(self.context, cuEventRecord(self.handle.0, stream.0)) }
    }

    /// Waits until the stream has reached the event. Returns at once if the event was never queued.
    pub(super) fn wait(&self) -> Result<()> {
        // SAFETY: the handle lives.
        unsafe { call!(self.context, cuEventSynchronize(self.handle.0)) }
    }

    /// Returns the GPU's time between an earlier event and this one. Both are timed and have been queued, and the host
    /// has waited for this one.
    pub(super) fn since(&self, earlier: &CudaEvent) -> Result<Duration> {
        let mut milliseconds = 0f32;
        // SAFETY: the call writes one number; both handles live.
        unsafe {
            call!(
                self.context,
                cuEventElapsedTime(&raw mut milliseconds, earlier.handle.0, self.handle.0)
            )
        }?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds.max(0.0)) / 1e3))
    }
}

impl Drop for CudaEvent {
    fn drop(&mut self) {
        // On a device that has failed, destroying fails too.
        let _ = self.context.bind();
        // SAFETY: nobody has the handle but this; the driver keeps an event that is still waited for.
        let _ = unsafe { call!(self.context, cuEventDestroy_v2(self.handle.0)) };
    }
}
