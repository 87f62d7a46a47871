//! Numbers that can be published: a value with its standard uncertainty, its unit and its source, or the reason why
//! there is no value.
//!
//! ```text
//! Reading ─┬─ Ok(Quantity { value, uncertainty, unit, source })   50 ± 1 J, nvml-counter
//!          └─ Err(Unavailable { cause, detail })                  no-permission, "... readable by root only: ..."
//! ```
//!
//! Uncertainties propagate to first order, and inputs are taken as independent (JCGM 100:2008, GUM, 5.1.2). Sums of
//! modelled quantities are the exception: the error of a model is fully correlated from one value to the next, so
//! uncertainties add linearly (5.2.2, note 1).
//!
//! # Start at
//! - [`Quantity`]: the number and its arithmetic
//! - [`Source`]: where a number came from
//! - [`Reading`] and [`Unavailable`]: a number, or why there is none
//! - [`ReadingRecord`]: a reading in JSON

mod quantile;
mod quantity;
mod reading;
mod source;
mod unavailable;

pub use quantile::quantile;
pub use quantity::{Quantity, is_rounding_error, significant};
pub use reading::{Reading, ReadingRecord};
pub use source::Source;
pub use unavailable::{Cause, Unavailable};
