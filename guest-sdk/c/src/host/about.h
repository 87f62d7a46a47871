/// What the exports of all kinds of components share.
#ifndef LLEM_HOST_ABOUT_H
#define LLEM_HOST_ABOUT_H

#include "convert.h"
#include "llem/about.h"

/// Creates the host's description.
WIT(description_own_about_t) wit_about(const llem_about *about);

/// Returns whether a result is no error, and writes the error to the bindings' type.
bool export_result(llem_result result, WIT(types_error_t) *error);

/// Converts a trial of the host. It does not drop it.
llem_trial trial_from(WIT(trials_borrow_trial_t) trial);

#endif
