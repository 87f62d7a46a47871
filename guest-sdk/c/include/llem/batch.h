/// Continuous batching controlled by the script. Times are in ns since the run began.
#ifndef LLEM_BATCH_H
#define LLEM_BATCH_H

#include "model.h"
#include "policy.h"

/// A token that a step produced.
typedef struct llem_step_token {
    /// The sequence's id that `llem_batch_submit` returned.
    uint64_t sequence;
    /// The token.
    uint32_t token;
    /// When the token was on the host.
    uint64_t at;
} llem_step_token;

LLEM_LIST(llem_step_tokens, llem_step_token);

/// The result of one or several steps.
typedef struct llem_progress {
    /// The number of steps that were run. It is 0 if there was nothing to run.
    uint64_t steps;
    /// The tokens that the steps produced.
    llem_step_tokens tokens;
    /// The sequences that ended in these steps, or were cancelled since the previous ones.
    llem_completions ended;
    /// The number of prompt tokens that were run.
    uint64_t prompt_tokens;
    /// When the first step began.
    uint64_t started;
    /// When the tokens of the last step were on the host.
    uint64_t finished;
} llem_progress;

/// The number of sequences in a batch, and the use of its KV memory.
typedef struct llem_batch_status {
    /// The number of sequences that run.
    uint32_t running;
    /// The number of sequences that wait for KV memory.
    uint32_t waiting;
    /// The number of sequences that have not arrived yet.
    uint32_t scheduled;
    /// Reserved KV memory, in bytes.
    uint64_t kv_bytes;
    /// Reserved KV memory, in positions. One position holds the keys and values of one token.
    uint64_t kv_capacity;
    /// The number of positions that hold a token of a running sequence.
    uint64_t kv_used;
    /// The number of prompt tokens that were looked up in the prefix cache.
    uint64_t prefix_queries;
    /// The number of prompt tokens that were found in the prefix cache.
    uint64_t prefix_hits;
} llem_batch_status;

/// A continuous batch. Sequences join and leave at any step, and the tokens of one do not depend on the others.
typedef struct llem_batch {
    int32_t handle;
} llem_batch;

/// Opens a continuous batch and reserves its KV memory.
llem_result llem_model_open_batch(llem_model model, llem_batch_options options, llem_batch *batch);

/// Closes the batch and frees its KV memory.
void llem_batch_drop(llem_batch batch);

/// Adds every prompt of the request as a sequence and returns the ids of the sequences.
///
/// TTFT counts from `arrival`, and absent means now. If it is in the future, the host admits the request at that time, or
/// as soon as the step that runs then has ended.
llem_result llem_batch_submit(llem_batch batch, const llem_request *request, llem_optional_u64 arrival,
                              llem_times *sequences);

/// Continues an ended sequence with the one prompt of the request, and returns the id of the new sequence. The request of
/// the ended sequence must have kept its cache (`holds_cache`). With `fork` the cache is copied, and the ended sequence
/// keeps it too. Otherwise it moves to the new sequence. Fails with `LLEM_NOT_FOUND` if no ended sequence of this id
/// holds a cache.
llem_result llem_batch_submit_after(llem_batch batch, uint64_t sequence, bool fork, const llem_request *request,
                                    llem_optional_u64 arrival, uint64_t *continued);

/// Frees the cache of an ended sequence. Fails with `LLEM_NOT_FOUND` if no ended sequence of this id holds a cache.
llem_result llem_batch_release(llem_batch batch, uint64_t sequence);

/// Runs one step of all sequences.
llem_result llem_batch_step(llem_batch batch, llem_progress *progress);

/// Runs steps until this time, and waits for arrivals while nothing runs. Returns earlier if no sequence is left to run
/// or to arrive, or if all that are left wait for the script to choose a token.
llem_result llem_batch_run_until(llem_batch batch, uint64_t time, llem_progress *progress);

/// Runs steps until one or more sequences end. Otherwise like `llem_batch_run_until`.
llem_result llem_batch_run_until_end(llem_batch batch, llem_progress *progress);

/// Runs steps until one or more tokens are produced. Otherwise like `llem_batch_run_until`.
llem_result llem_batch_run_until_token(llem_batch batch, llem_progress *progress);

/// Runs steps until every sequence has ended, including those that have not arrived yet.
llem_result llem_batch_drain(llem_batch batch, llem_completions *ended);

/// Ends a sequence now. The next step returns its completion. Fails with `LLEM_NOT_FOUND` if the sequence neither runs
/// nor waits.
llem_result llem_batch_cancel(llem_batch batch, uint64_t sequence);

/// Chooses the sequence's next token. The sequence takes part in no step until then.
llem_result llem_batch_choose(llem_batch batch, uint64_t sequence, uint32_t token);

/// Returns the number of sequences and the use of KV memory.
llem_batch_status llem_batch_get_status(llem_batch batch);

/// Returns an ended sequence's share of the energy of its steps, in J. Waits, for at most half a second, until every
/// energy counter has ticked since the sequence ended. Fails with `LLEM_NOT_FOUND` if no sequence of this id has ended.
llem_result llem_batch_sequence_energy(llem_batch batch, uint64_t sequence, llem_reading *energy);

/// A token with its logit and the natural logarithm of its probability.
typedef struct llem_token_logit {
    uint32_t token;
    float logit;
    double log_probability;
} llem_token_logit;

LLEM_LIST(llem_token_logits, llem_token_logit);
LLEM_LIST(llem_floats, float);

/// The logits of a sequence's next token. They do not change when the sequence goes on.
typedef struct llem_logits {
    int32_t handle;
} llem_logits;

/// Returns the logits of the sequence's next token, for requests whose tokens the script chooses. Fails with
/// `LLEM_NOT_FOUND` if the sequence does not wait for a choice.
llem_result llem_batch_logits(llem_batch batch, uint64_t sequence, llem_logits *logits);

/// Frees the logits.
void llem_logits_drop(llem_logits logits);

/// Returns the `count` most likely tokens, the most likely first. Tokens with equal logits are in the order of their ids.
llem_token_logits llem_logits_top(llem_logits logits, uint32_t count);

/// Returns the logits of these tokens. Fails with `LLEM_INVALID_ARGUMENT` if an id is outside the vocabulary.
llem_result llem_logits_of_tokens(llem_logits logits, llem_tokens tokens, llem_token_logits *list);

/// Returns all logits, in the order of the vocabulary.
llem_floats llem_logits_all(llem_logits logits);

/// Returns the entropy of the distribution, in nats.
double llem_logits_entropy(llem_logits logits);

#endif
