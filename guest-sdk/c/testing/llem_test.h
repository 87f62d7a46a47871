/// Unit tests of a method: runs a script on the synthetic host and reads the record of the run.
///
/// The synthetic host has a virtual clock, seeded tokens and given delays and joules. No model is loaded, times are exact,
/// and a run takes milliseconds. A test is a native C program. It starts the program that the environment variable `LLEM`
/// names, otherwise `llem`. `llem test` builds and runs it.
#ifndef LLEM_TEST_H
#define LLEM_TEST_H

#include "json.h"
#include "llem/error.h"
#include "llem/memory.h"

/// The delays and joules of the synthetic host. A field that is absent has its default.
typedef struct llem_test_host {
    /// The seed of the tokens. 1 by default.
    llem_optional_u64 seed;
    /// The time that loading takes, in s. 1 by default.
    llem_optional_f64 load_s;
    /// The time of a prompt token, in s. 1e-4 by default.
    llem_optional_f64 prefill_s_per_token;
    /// The time of a decode step, in s. 5e-3 by default.
    llem_optional_f64 decode_s_per_step;
    /// The power at rest, in W. 50 by default.
    llem_optional_f64 idle_watts;
    /// The energy of a prompt token, in J. 0.01 by default.
    llem_optional_f64 prefill_joules_per_token;
    /// The energy of a generated token, in J. 0.5 by default.
    llem_optional_f64 decode_joules_per_token;
} llem_test_host;

/// What is run. Files are components, source files or project folders: `"."` is the project of the test.
typedef struct llem_test_options {
    /// The experiment. `NULL` means policies through the standard runner.
    const char *experiment;
    /// The policies. Shipped ones stand in for those that are `NULL`.
    const char *warmup, *workload, *metrics;
    /// Parameters, `name=value` each, up to a `NULL`.
    const char *const *parameters;
    /// Datasets, `name=file` each, up to a `NULL`.
    const char *const *datasets;
    /// The run's seed. 0 by default.
    llem_optional_u64 seed;
    /// The delays and joules of the host.
    llem_test_host host;
} llem_test_options;

/// A label of a metric.
typedef struct llem_test_label {
    const char *name;
    const char *value;
} llem_test_label;

LLEM_LIST(llem_test_labels, llem_test_label);

/// A metric of the record.
typedef struct llem_test_metric {
    /// The name.
    const char *name;
    /// The value and its standard uncertainty, in `unit`.
    double value, uncertainty;
    /// The unit.
    const char *unit;
    /// The labels.
    llem_test_labels labels;
} llem_test_metric;

/// A sequence of a request of the record.
typedef struct llem_test_request {
    /// The label of the request.
    const char *label;
    /// The phase that the request ran in.
    const char *phase;
    /// The number of prompt tokens.
    uint64_t prompt_tokens;
    /// The generated tokens.
    llem_tokens tokens;
    /// When the sequence was submitted, in ns since the run began.
    uint64_t submitted;
    /// When each generated token was on the host, in ns since the run began.
    llem_times token_times;
} llem_test_request;

/// A line of the run's log.
typedef struct llem_test_log_line {
    /// `debug`, `info`, `warn` or `error`.
    const char *level;
    /// The text of the line.
    const char *message;
} llem_test_log_line;

LLEM_LIST(llem_test_metrics, llem_test_metric);
LLEM_LIST(llem_test_requests, llem_test_request);
LLEM_LIST(llem_test_log, llem_test_log_line);

/// The result of a test's run, as its record has it.
typedef struct llem_test_result {
    /// `completed`, `failed` and so on.
    const char *status;
    /// The error of a failed run, otherwise `NULL`.
    const char *error;
    /// The metrics.
    llem_test_metrics metrics;
    /// The measured requests, in the order in which they ended.
    llem_test_requests requests;
    /// The requests of the warm-up.
    llem_test_requests warmup_requests;
    /// The warnings.
    llem_texts warnings;
    /// The log.
    llem_test_log log;
    /// The whole record (`run.json`).
    llem_json record;
} llem_test_result;

/// Runs a script. The test ends with a message if `llem` cannot be started or writes no record.
llem_test_result llem_test_run(const llem_test_options *options);

/// Returns the metric of this name. The test ends if there is not exactly one.
const llem_test_metric *llem_test_find_metric(const llem_test_result *result, const char *name);

#endif
