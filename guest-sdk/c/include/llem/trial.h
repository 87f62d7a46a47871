/// Trials: requests that were run, and their results.
#ifndef LLEM_TRIAL_H
#define LLEM_TRIAL_H

#include "error.h"
#include "measurement.h"
#include "request.h"

/// One request that was run, and its result.
typedef struct llem_trial {
    /// The zero-based position among the requests of its phase.
    uint32_t index;
    /// The request that was run.
    llem_request request;
    /// The completions of the prompts, in order.
    llem_completions completions;
    /// The result of a request that ran alone, so that its times and energy are known. `NULL` if it ran in a continuous
    /// batch.
    const llem_generation *generation;
} llem_trial;

LLEM_LIST(llem_trials, llem_trial);

/// Creates the trial of a request that ran alone.
llem_trial llem_trial_from_generation(uint32_t index, llem_request request, const llem_generation *generation);

/// Creates the trial of a request that ran in a continuous batch.
llem_trial llem_trial_from_completions(uint32_t index, llem_request request, llem_completions completions);

/// Returns when the request began or, in a continuous batch, was submitted, in ns since the run began.
uint64_t llem_trial_began(const llem_trial *trial);

/// Returns when the request ended, in ns since the run began.
uint64_t llem_trial_ended(const llem_trial *trial);

/// Returns how long the request took, including waiting, in s.
double llem_trial_seconds(const llem_trial *trial);

/// Adds the time to first token of each sequence to a list, in s.
void llem_trial_ttft(const llem_trial *trial, llem_numbers *list);

/// Adds the inter-token latencies of all sequences to a list, in s.
void llem_trial_itl(const llem_trial *trial, llem_numbers *list);

/// Returns the number of generated tokens.
uint64_t llem_trial_output_tokens(const llem_trial *trial);

/// Returns the prefill rate in {token}/s. It is not available if no prefill was timed or if the request ran in a
/// continuous batch.
llem_reading llem_trial_prefill_rate(const llem_trial *trial);

/// Returns the decode rate in {token}/s, without the first token of each sequence. It is not available if there was no
/// decode or if the request ran in a continuous batch.
llem_reading llem_trial_decode_rate(const llem_trial *trial);

/// Returns the energy of prefill per prompt token, in J/{token}.
llem_reading llem_trial_prefill_joules_per_token(const llem_trial *trial);

/// Returns the energy of decode per token that decode generated, in J/{token}.
llem_reading llem_trial_decode_joules_per_token(const llem_trial *trial);

/// Adds the share of each sequence in the energy of its steps to a list, in J.
void llem_trial_joules_per_sequence(const llem_trial *trial, llem_readings *list);

/// Returns the total energy per generated token, in J/{token}.
llem_reading llem_trial_joules_per_output_token(const llem_trial *trial);

/// Trials whose requests have the same label.
typedef struct llem_trial_group {
    /// The label.
    const char *label;
    /// The trials, in order.
    llem_trials trials;
} llem_trial_group;

LLEM_LIST(llem_trial_groups, llem_trial_group);

/// Groups trials by the labels of their requests, in the order of first appearance.
llem_trial_groups llem_group_by_label(const llem_trials *trials);

#endif
