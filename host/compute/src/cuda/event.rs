//! Points in the work of a stream.

use super::context::{Context, Handle, call};
use crate::Result;
use cudarc::driver::sys::{CUevent_st, CUstream_st};
use std::{ptr, sync::Arc, time::Duration};

/// `CU_EVENT_DISABLE_TIMING`: to wait for such an event is quicker.
const UNTIMED: u32 = 2;

/// A point that can be waited for, and from which time can be taken.
pub struct Event {
    context: Arc<Context>,
    handle: Handle<CUevent_st>,
}

impl Event {
    /// One that only is waited for.
    pub fn new(context: &Arc<Context>) -> Result<Self> {
        Self::with(context, UNTIMED)
    }

    /// One that tells the time.
    pub fn timed(context: &Arc<Context>) -> Result<Self> {
        Self::with(context, 0)
    }

    fn with(context: &Arc<Context>, flags: u32) -> Result<Self> {
        let mut handle = ptr::null_mut();
        // SAFETY: it writes a handle.
        unsafe { call!(context, cuEventCreate(&raw mut handle, flags)) }?;
        Ok(Self { context: Arc::clone(context), handle: Handle(handle) })
    }

    /// Puts it behind what was queued so far.
    pub fn record(&self, stream: Handle<CUstream_st>) -> Result<()> {
        // SAFETY: both handles are of this context and live.
        unsafe { call!(self.context, cuEventRecord(self.handle.0, stream.0)) }
    }

    /// Waits until the stream has come to it; not at all if it was never recorded.
    pub fn wait(&self) -> Result<()> {
        // SAFETY: the handle lives.
        unsafe { call!(self.context, cuEventSynchronize(self.handle.0)) }
    }

    /// The card's time since an earlier event; both have been recorded, and this one waited for.
    pub fn since(&self, earlier: &Event) -> Result<Duration> {
        let mut milliseconds = 0f32;
        // SAFETY: it writes one number; both handles live.
        unsafe {
            call!(
                self.context,
                cuEventElapsedTime(&raw mut milliseconds, earlier.handle.0, self.handle.0)
            )
        }?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds.max(0.0)) / 1e3))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // A device that has failed cannot even give back.
        let _ = self.context.bind();
        // SAFETY: nobody has the handle but this; the driver keeps an event that is still waited for.
        let _ = unsafe { call!(self.context, cuEventDestroy_v2(self.handle.0)) };
    }
}
