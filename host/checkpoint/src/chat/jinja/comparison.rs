//! Equality and order of values, as in Python.

use super::{
    render_error::{RenderError, Result},
    value::{PyRange, PyValue, float_to_integer},
};
use std::{cmp::Ordering, rc::Rc};

impl PartialEq for PyValue {
    fn eq(&self, other: &Self) -> bool {
        if let (Some(one), Some(two)) = (self.as_int(), other.as_int()) {
            return one == two;
        }
        match (self, other) {
            (Self::Undefined(_), Self::Undefined(_)) | (Self::None, Self::None) => true,
            (Self::Float(one), Self::Float(two)) => one == two,
            (Self::Float(one), two) | (two, Self::Float(one)) => {
                two.as_int().is_some_and(|two| float_to_integer(*one) == Some(two))
            }
            (Self::Str(one) | Self::Markup(one), Self::Str(two) | Self::Markup(two)) => one == two,
            (Self::List(one), Self::List(two))
            | (Self::Tuple(one) | Self::Group(one), Self::Tuple(two) | Self::Group(two)) => {
                one.items == two.items
            }
            (Self::Dict(one), Self::Dict(two)) => one.entries == two.entries,
            (Self::Range(one), Self::Range(two)) => {
                let seen = |range: &PyRange| {
                    let length = range.len();
                    (
                        length,
                        (length > 0).then_some(range.start),
                        (length > 1).then_some(range.step),
                    )
                };
                seen(one) == seen(two)
            }
            (Self::Iterator(one), Self::Iterator(two)) => Rc::ptr_eq(one, two),
            (Self::Stateful(kind, one), Self::Stateful(other_kind, two)) => {
                (kind, one) == (other_kind, two)
            }
            (Self::Function(one), Self::Function(two)) => one == two,
            _ => false,
        }
    }
}

impl PyValue {
    /// Compares two values for the operator `sign`. Returns `None` if one of them is NaN. Fails where Python raises an
    /// error.
    pub(super) fn order(&self, other: &Self, sign: &str) -> Result<Option<Ordering>> {
        if let (Some(one), Some(two)) = (self.as_int(), other.as_int()) {
            return Ok(Some(one.cmp(&two)));
        }
        if let (Some(one), Some(two)) = (self.as_number(), other.as_number()) {
            return Ok(one.partial_cmp(&two));
        }
        match (self, other) {
            (Self::Str(one) | Self::Markup(one), Self::Str(two) | Self::Markup(two)) => {
                return Ok(Some(one.cmp(two)));
            }
            (Self::List(one), Self::List(two))
            | (Self::Tuple(one) | Self::Group(one), Self::Tuple(two) | Self::Group(two)) => {
                for (a, b) in one.items.iter().zip(&two.items) {
                    if a != b {
                        return a.order(b, sign);
                    }
                }
                return Ok(Some(one.items.len().cmp(&two.items.len())));
            }
            _ => {}
        }
        self.refuse_undefined()?;
        other.refuse_undefined()?;
        let (one, two) = (self.type_name(), other.type_name());
        Err(RenderError::invalid(format!(
            "'{sign}' not supported between instances of '{one}' and '{two}'"
        )))
    }
}
