//! Refuses limits of a record that are higher than llem's own: whoever made the record wrote them for this machine.

use super::ReplayError;
use llem_runtime::Limits;

/// Compares the limits of a replay with the defaults of `llem exec`.
///
/// # Errors
/// [`ReplayError::RaisedLimit`] with the option of the first limit that is higher.
pub(crate) fn check_limits(limits: &Limits) -> Result<(), ReplayError> {
    let own = Limits::default();
    let raised = [
        ("deadline", limits.deadline > own.deadline),
        ("max-memory", limits.memory > own.memory),
        ("max-resources", limits.resources > own.resources),
        ("max-models", limits.models > own.models),
        ("max-output", limits.output > own.output),
        ("max-call", limits.call > own.call),
    ];
    match raised.into_iter().find(|(_, is_raised)| *is_raised) {
        Some((option, _)) => Err(ReplayError::RaisedLimit(option)),
        None => Ok(()),
    }
}
