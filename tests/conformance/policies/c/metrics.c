// Metrics: the sum of all generated tokens' ids, and the time of decode. Borrowed arguments are dropped before a return.
#include <stdlib.h>

#include "metrics.h"

static uint64_t total, decode;

exports_llem_experiment_metrics_policy_own_about_t exports_llem_experiment_metrics_policy_describe(void) {
  metrics_string_t name, version, summary;
  metrics_string_set(&name, "sums");
  metrics_string_set(&version, "0.1.0");
  metrics_string_set(&summary, "Sums over all trials.");
  return llem_experiment_description_constructor_about(&name, &version, &summary);
}

bool exports_llem_experiment_metrics_policy_observe(exports_llem_experiment_metrics_policy_borrow_trial_t trial,
                                                    exports_llem_experiment_metrics_policy_error_t *error) {
  llem_experiment_trials_list_own_completion_t completions;
  llem_experiment_trials_method_trial_completions(trial, &completions);
  for (size_t at = 0; at < completions.len; at++) {
    llem_experiment_generations_list_token_id_t tokens;
    llem_experiment_generations_method_completion_tokens(
        llem_experiment_generations_borrow_completion(completions.ptr[at]), &tokens);
    for (size_t token = 0; token < tokens.len; token++) total += tokens.ptr[token];
    llem_experiment_generations_list_token_id_free(&tokens);
  }
  llem_experiment_trials_list_own_completion_free(&completions);
  llem_experiment_trials_own_generation_t generation;
  if (llem_experiment_trials_method_trial_generation(trial, &generation)) {
    decode += llem_experiment_generations_method_generation_decode_time(
        llem_experiment_generations_borrow_generation(generation));
    llem_experiment_generations_generation_drop_own(generation);
  }
  llem_experiment_trials_trial_drop_borrow(trial);
  return true;
}

static void fill(exports_llem_experiment_metrics_policy_metric_t *metric, const char *name, double value,
                 const char *unit, const char *source, llem_experiment_models_borrow_model_t model) {
  metrics_string_dup(&metric->name, name);
  metric->quantity.value = value;
  metric->quantity.uncertainty = 0;
  metrics_string_dup(&metric->quantity.unit, unit);
  metrics_string_dup(&metric->quantity.source, source);
  metric->labels.ptr = malloc(sizeof *metric->labels.ptr);
  metric->labels.len = 1;
  metrics_string_dup(&metric->labels.ptr[0].f0, "model");
  llem_experiment_models_method_model_source(model, &metric->labels.ptr[0].f1);
}

bool exports_llem_experiment_metrics_policy_derive(exports_llem_experiment_metrics_policy_borrow_model_t model,
                                                   exports_llem_experiment_metrics_policy_borrow_session_t session,
                                                   exports_llem_experiment_metrics_policy_list_metric_t *metrics,
                                                   exports_llem_experiment_metrics_policy_error_t *error) {
  metrics->len = 2;
  metrics->ptr = malloc(2 * sizeof *metrics->ptr);
  fill(&metrics->ptr[0], "token_sum", total, "{token}", "counted", model);
  fill(&metrics->ptr[1], "decode_time", decode / 1e9, "s", "derived", model);
  llem_experiment_models_model_drop_borrow(model);
  llem_experiment_trials_session_drop_borrow(session);
  return true;
}
