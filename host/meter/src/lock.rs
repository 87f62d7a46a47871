//! Locks of readings.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic elsewhere does not make readings less worth having.
pub fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
