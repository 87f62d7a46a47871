// A warm-up of two requests with a wait between them.
#include <string.h>

#include "warmup.h"

static int steps;

exports_llem_experiment_warmup_policy_own_about_t exports_llem_experiment_warmup_policy_describe(void) {
  warmup_string_t name, version, summary;
  warmup_string_set(&name, "two-requests");
  warmup_string_set(&version, "0.1.0");
  warmup_string_set(&summary, "Two requests with a wait between them.");
  return llem_experiment_description_constructor_about(&name, &version, &summary);
}

// Appends the digits of a number. snprintf would import WASI.
static void append_number(char *line, uint32_t number) {
  if (number >= 10) append_number(line, number / 10);
  char digit[] = {'0' + number % 10, 0};
  strcat(line, digit);
}

// Logs the label and the tokens of the first completion of a trial.
static void log_trial(llem_experiment_trials_borrow_trial_t trial) {
  llem_experiment_trials_own_request_t request = llem_experiment_trials_method_trial_request(trial);
  warmup_string_t label;
  llem_experiment_requests_method_request_label(llem_experiment_requests_borrow_request(request), &label);
  llem_experiment_trials_list_own_completion_t completions;
  llem_experiment_trials_method_trial_completions(trial, &completions);
  llem_experiment_generations_list_token_id_t tokens;
  llem_experiment_generations_method_completion_tokens(
      llem_experiment_generations_borrow_completion(completions.ptr[0]), &tokens);
  char line[200] = "warm-up ";
  strncat(line, (char *)label.ptr, label.len);
  for (size_t at = 0; at < tokens.len; at++) {
    strcat(line, at ? ", " : " [");
    append_number(line, tokens.ptr[at]);
  }
  strcat(line, "]");
  warmup_string_t message;
  warmup_string_set(&message, line);
  llem_experiment_report_log(LLEM_EXPERIMENT_REPORT_LEVEL_INFO, &message);
  llem_experiment_requests_request_drop_own(request);
  llem_experiment_trials_list_own_completion_free(&completions);
  llem_experiment_generations_list_token_id_free(&tokens);
  warmup_string_free(&label);
}

bool exports_llem_experiment_warmup_policy_next(exports_llem_experiment_warmup_policy_borrow_trial_t *last,
                                                exports_llem_experiment_warmup_policy_step_t *step,
                                                exports_llem_experiment_warmup_policy_error_t *error) {
  steps++;
  if (steps == 1 && last != NULL) {
    error->code = LLEM_EXPERIMENT_TYPES_ERROR_CODE_FAILED;
    warmup_string_dup(&error->message, "a trial came before the first request");
    return false;
  }
  if (steps == 2) log_trial(*last);
  if (last != NULL) llem_experiment_trials_trial_drop_borrow(*last);
  memset(step, 0, sizeof *step);
  if (steps == 1 || steps == 3) {
    step->tag = EXPORTS_LLEM_EXPERIMENT_WARMUP_POLICY_STEP_RUN;
    step->val.run.max_new_tokens.is_some = true;
    step->val.run.max_new_tokens.val = 2;
  } else if (steps == 2) {
    step->tag = EXPORTS_LLEM_EXPERIMENT_WARMUP_POLICY_STEP_WAIT;
    step->val.wait = 1000000000;
  } else {
    step->tag = EXPORTS_LLEM_EXPERIMENT_WARMUP_POLICY_STEP_DONE;
    warmup_string_dup(&step->val.done, "two requests were run");
  }
  return true;
}
