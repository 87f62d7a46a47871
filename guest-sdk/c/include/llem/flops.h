/// Floating-point operations, computed from the model's shape. A multiply-add counts as two operations. Only matrix
/// products count, as in the literature (Kaplan et al., arXiv 2001.08361, table 1).
#ifndef LLEM_FLOPS_H
#define LLEM_FLOPS_H

#include "model.h"

/// The shape of a static batch.
typedef struct llem_shape {
    /// The number of sequences.
    uint32_t batch;
    /// The number of prompt tokens of each sequence.
    uint32_t prompt_tokens;
    /// The number of generated tokens of each sequence.
    uint32_t new_tokens;
    /// Whether the LM head is computed for all positions of a prompt. Otherwise for the last one only.
    bool all_logits;
    /// The attached adapter that the sequences run with, or `NULL`.
    const char *adapter;
} llem_shape;

/// The operations of one part of the model, in FLOP.
typedef struct llem_flops_part {
    /// The name of the part.
    const char *name;
    /// The operations of prefill.
    double prefill;
    /// The operations of decode.
    double decode;
} llem_flops_part;

LLEM_LIST(llem_flops_by_part, llem_flops_part);

/// The estimated operations of a static batch.
typedef struct llem_flops_estimate {
    /// The operations that are needed.
    llem_flops_by_part needed;
    /// The operations that this engine executes.
    llem_flops_by_part executed;
    /// The needed operations by module of the model.
    llem_flops_by_part modules;
    /// The number of parameters that a token uses, for the approximation of 2 operations each.
    double active_parameters;
    /// The approximated operations of prefill, in FLOP.
    double approximate_prefill;
    /// The approximated operations of decode, in FLOP.
    double approximate_decode;
} llem_flops_estimate;

/// Estimates the operations of a static batch. Fails with `LLEM_NOT_FOUND` if no adapter of this name is attached.
llem_result llem_estimate_flops(llem_model model, const llem_shape *shape, llem_flops_estimate *estimate);

/// Returns the operations of prefill in the part of this name, in FLOP, or 0 if there is none.
double llem_flops_prefill(const llem_flops_by_part *parts, const char *name);

/// Returns the operations of decode in the part of this name, in FLOP, or 0 if there is none.
double llem_flops_decode(const llem_flops_by_part *parts, const char *name);

/// Returns the operations of all parts, in FLOP.
double llem_flops_total(const llem_flops_by_part *parts);

#endif
