// A workload of three requests, one after another.
#include <string.h>

#include "workload.h"

static uint32_t sent;

exports_llem_experiment_workload_policy_own_about_t exports_llem_experiment_workload_policy_describe(void) {
  workload_string_t name, version, summary;
  workload_string_set(&name, "three-requests");
  workload_string_set(&version, "0.1.0");
  workload_string_set(&summary, "Three requests, one after another.");
  return llem_experiment_description_constructor_about(&name, &version, &summary);
}

bool exports_llem_experiment_workload_policy_begin(exports_llem_experiment_workload_policy_borrow_model_t model,
                                                   exports_llem_experiment_workload_policy_own_schedule_t *schedule,
                                                   exports_llem_experiment_workload_policy_error_t *error) {
  workload_string_t source, message;
  llem_experiment_models_method_model_source(model, &source);
  char line[200] = "workload on ";
  strncat(line, (char *)source.ptr, source.len);
  workload_string_set(&message, line);
  llem_experiment_report_log(LLEM_EXPERIMENT_REPORT_LEVEL_INFO, &message);
  workload_string_free(&source);
  llem_experiment_models_model_drop_borrow(model);
  *schedule = llem_experiment_trials_constructor_schedule();
  return true;
}

bool exports_llem_experiment_workload_policy_next(exports_llem_experiment_workload_policy_borrow_trial_t *last,
                                                  exports_llem_experiment_workload_policy_option_own_request_t *next,
                                                  exports_llem_experiment_workload_policy_error_t *error) {
  if (last != NULL) llem_experiment_trials_trial_drop_borrow(*last);
  next->is_some = sent < 3;
  if (!next->is_some) return true;
  sent++;
  char label[] = "request 0";
  label[8] += sent;
  workload_string_t text;
  workload_string_set(&text, label);
  next->val = llem_experiment_requests_constructor_request(&text);
  llem_experiment_requests_borrow_request_t request = llem_experiment_requests_borrow_request(next->val);
  uint32_t numbers[] = {1, 2, 3};
  llem_experiment_requests_list_token_id_t tokens = {numbers, sent};
  llem_experiment_requests_method_request_add_tokens(request, &tokens);
  llem_experiment_requests_method_request_set_max_new_tokens(request, 4);
  llem_experiment_requests_method_request_set_ignores_eos(request, true);
  llem_experiment_requests_method_request_set_temperature(request, 0.5f);
  return true;
}
