/// Policies, trials and quantities without a host.

#include "check.h"
#include "llem/about.h"
#include "llem/arrivals.h"
#include "llem/request_list.h"
#include "llem/statistics.h"
#include "llem/warmup.h"

#include <math.h>
#include <string.h>

/// Creates a completion with this many tokens, all of them at time zero.
static llem_completion completion(size_t tokens) {
    llem_times times = {0};
    for (size_t index = 0; index < tokens; index++) {
        llem_push(&times, 0);
    }
    return llem_completion_from_token_times(0, times);
}

/// Creates a static batch of one sequence from its beginning and length in ns.
static llem_generation *generation(uint64_t started, uint64_t wall_time) {
    llem_generation *one = llem_alloc(sizeof *one);
    one->decode_time = wall_time;
    one->measurement.started = started;
    one->measurement.wall_time = wall_time;
    one->measurement.energy_total = llem_unavailable("no meter in this test");
    one->measurement.energy_decode = llem_unavailable("no meter in this test");
    llem_push(&one->completions, completion(1));
    return one;
}

/// Creates trials of these lengths in s, one right after the other. With temperatures, the trials have a GPU that has
/// these temperatures in Cel at their ends.
static llem_trials trials_lasting(const double *seconds, const double *temperatures, size_t count) {
    llem_trials trials = {0};
    uint64_t now = 1000;
    for (size_t index = 0; index < count; index++) {
        llem_generation *one = generation(now, (uint64_t)(seconds[index] * 1e9));
        now += one->measurement.wall_time;
        if (temperatures != NULL) {
            double first = temperatures[index > 0 ? index - 1 : 0], last = temperatures[index];
            llem_push(&one->measurement.courses, (llem_course){
                                                     .device = "cuda:0",
                                                     .reading = "temperature",
                                                     .unit = "Cel",
                                                     .first = first,
                                                     .last = last,
                                                     .min = fmin(first, last),
                                                     .max = fmax(first, last),
                                                     .mean = (first + last) / 2.0,
                                                 });
        }
        llem_push(&trials, llem_trial_from_generation((uint32_t)index, llem_request_from_text("hello"), one));
    }
    return trials;
}

/// Returns after how many of the given trials a policy is done, or -1.
static int runs_until_done(llem_warmup_policy policy, const llem_trials *trials) {
    for (size_t runs = 0; runs <= trials->count; runs++) {
        llem_trials history = {.items = trials->items, .count = runs};
        llem_warmup_step step;
        llem_check(policy.next(policy.self, &history, &step) == LLEM_OK);
        if (step.kind == LLEM_STEP_DONE) {
            return (int)runs;
        }
    }
    return -1;
}

static void warmups_end_when_they_say(void) {
    double equal[80], jumping[60], warming[80];
    for (size_t index = 0; index < 80; index++) {
        equal[index] = 0.3;
    }
    llem_trials nine = trials_lasting(equal, NULL, 9);
    CHECK(runs_until_done(llem_fixed_count(LLEM_FIXED_COUNT_DEFAULT), &nine) == 5);
    CHECK(runs_until_done(llem_cold_start(), &nine) == 0);
    llem_time_floor_options floor = {.floor = LLEM_SECONDS(1)};
    CHECK(runs_until_done(llem_time_floor(floor), &nine) == 4);
    CHECK(runs_until_done(llem_count_then_floor((llem_fixed_count_options){.runs = 6}, floor), &nine) == 6);
    CHECK(runs_until_done(llem_count_then_floor((llem_fixed_count_options){.runs = 2}, floor), &nine) == 4);

    const double falling[] = {3.0, 2.0, 1.5, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0};
    llem_trials settled = trials_lasting(falling, NULL, 10);
    CHECK(runs_until_done(llem_cv_convergence(LLEM_CV_CONVERGENCE_DEFAULT), &settled) == 9);
    for (size_t index = 0; index < 60; index++) {
        jumping[index] = index % 2 == 0 ? 1.0 : 2.0;
    }
    llem_trials unsettled = trials_lasting(jumping, NULL, 60);
    CHECK(runs_until_done(llem_cv_convergence(LLEM_CV_CONVERGENCE_DEFAULT), &unsettled) == 50);

    // 30 s hold three trials of 10 s: 62, 62 and 62 are reached with the seventh, which began at 62.
    for (size_t index = 0; index < 80; index++) {
        equal[index] = 10.0;
        warming[index] = 40.0 + (double)(index % 9);
    }
    const double heating[] = {40.0, 50.0, 57.0, 61.0, 62.0, 62.0, 62.0, 62.0, 62.0};
    llem_warmup_policy plateau = llem_temperature_plateau(LLEM_TEMPERATURE_PLATEAU_DEFAULT);
    llem_trials steady = trials_lasting(equal, heating, 9), never = trials_lasting(equal, warming, 80);
    llem_trials no_sensor = trials_lasting(equal, NULL, 9);
    CHECK(runs_until_done(plateau, &steady) == 7);
    CHECK(runs_until_done(plateau, &never) == 60);
    CHECK(runs_until_done(plateau, &no_sensor) == 3);
}

static void a_request_list_repeats_the_whole_list(void) {
    llem_request_list_options options = {.rounds = 2};
    const char *labels[] = {"short", "long"};
    for (size_t index = 0; index < 2; index++) {
        llem_request request = llem_request_from_text("hello");
        request.label = labels[index];
        llem_push(&options.requests, request);
    }
    llem_workload_policy workload = llem_request_list(options);
    CHECK(workload.total(workload.self) == 4);
    for (size_t index = 0; index < 5; index++) {
        const llem_request *request = NULL;
        llem_check(workload.next(workload.self, NULL, &request) == LLEM_OK);
        CHECK(index < 4 ? request != NULL && strcmp(request->label, labels[index % 2]) == 0 : request == NULL);
    }
}

static void a_batched_request_has_its_own_latencies_but_no_energy(void) {
    llem_times times = {0};
    llem_push(&times, 2000);
    llem_push(&times, 5000);
    llem_push(&times, 6000);
    llem_completions completions = {0};
    llem_push(&completions, llem_completion_from_token_times(1000, times));
    llem_trial trial = llem_trial_from_completions(7, llem_request_from_text("hello"), completions);
    llem_numbers ttft = {0}, itl = {0};
    llem_trial_ttft(&trial, &ttft);
    llem_trial_itl(&trial, &itl);
    CHECK(llem_trial_began(&trial) == 1000 && llem_trial_ended(&trial) == 6000);
    CHECK(ttft.count == 1 && fabs(ttft.items[0] - 1e-6) < 1e-15 && itl.count == 2);
    CHECK(fabs(llem_completion_tpot(&completions.items[0]) - 2e-6) < 1e-15);
    CHECK(fabs(llem_completion_e2el(&completions.items[0]) - 5e-6) < 1e-15);
    CHECK(isnan(llem_completion_ttft(&(llem_completion){0})));
    llem_reading energy = llem_trial_joules_per_output_token(&trial);
    CHECK(!energy.is_known && strstr(energy.reason, "'request' ran in a continuous batch") != NULL);
    CHECK(!llem_trial_decode_rate(&trial).is_known);
}

static void a_sequence_without_tokens_does_not_change_the_decode_rate(void) {
    llem_generation *one = generation(0, 2000000000);
    const size_t tokens[] = {5, 0, 0};
    one->completions = (llem_completions){0};
    for (size_t index = 0; index < 3; index++) {
        llem_push(&one->completions, completion(tokens[index]));
    }
    one->measurement.energy_decode = llem_known(llem_quantity_exact(8.0, "J", LLEM_DERIVED));
    llem_trial trial = llem_trial_from_generation(0, llem_request_from_text("hello"), one);
    llem_reading energy = llem_trial_decode_joules_per_token(&trial), rate = llem_trial_decode_rate(&trial);
    CHECK(energy.is_known && energy.quantity.value == 2.0 && strcmp(energy.quantity.unit, "J/{token}") == 0);
    CHECK(rate.is_known && rate.quantity.value == 2.0);
}

static void trials_are_grouped_in_the_order_of_their_labels(void) {
    const double seconds[] = {1.0, 1.0, 1.0};
    llem_trials trials = trials_lasting(seconds, NULL, 3);
    trials.items[0].request.label = trials.items[2].request.label = "b";
    trials.items[1].request.label = "a";
    llem_trial_groups groups = llem_group_by_label(&trials);
    CHECK(groups.count == 2 && strcmp(groups.items[0].label, "b") == 0 && groups.items[0].trials.count == 2);
    CHECK(strcmp(groups.items[1].label, "a") == 0 && groups.items[1].trials.items[0].index == 1);
}

static double no_number(void *self) {
    (void)self;
    llem_abort("this process takes no random numbers");
}

static void processes_without_random_gaps_have_exact_times(void) {
    llem_uniform_source none = {.next = no_number};
    llem_arrival_times times;
    llem_optional_u64 at;
    llem_arrivals constant = llem_arrivals_constant(4.0), closed = llem_arrivals_closed_loop(3);
    llem_check(llem_arrivals_times(&constant, &times) == LLEM_OK);
    CHECK(llem_arrival_times_draw(&times, none, &at) && at.is_some && at.value == 250000000);
    CHECK(llem_arrival_times_draw(&times, none, &at) && at.value == 500000000);
    llem_check(llem_arrivals_times(&closed, &times) == LLEM_OK);
    CHECK(llem_arrival_times_draw(&times, none, &at) && !at.is_some && closed.concurrency.value == 3);
    llem_times offsets = {0};
    llem_push(&offsets, 5);
    llem_push(&offsets, 9);
    llem_arrivals trace = llem_arrivals_trace(offsets);
    llem_check(llem_arrivals_times(&trace, &times) == LLEM_OK);
    CHECK(llem_arrival_times_draw(&times, none, &at) && at.value == 5);
    CHECK(llem_arrival_times_draw(&times, none, &at) && at.value == 9);
    CHECK(!llem_arrival_times_draw(&times, none, &at));
    llem_push(&trace.trace, 1);
    llem_result refused = llem_arrivals_times(&trace, &times);
    CHECK(refused != LLEM_OK && refused->code == LLEM_INVALID_ARGUMENT);
    const double wrong[] = {0.0, -1.0, NAN, INFINITY};
    for (size_t index = 0; index < 4; index++) {
        llem_arrivals poisson = llem_arrivals_poisson(wrong[index]);
        llem_arrivals ramp = llem_arrivals_linear_ramp(1.0, wrong[index], 5);
        llem_arrivals gamma = llem_arrivals_gamma(1.0, wrong[index]);
        CHECK(llem_arrivals_times(&poisson, &times) != LLEM_OK);
        CHECK(llem_arrivals_times(&ramp, &times) != LLEM_OK);
        CHECK((llem_arrivals_times(&gamma, &times) != LLEM_OK) == !isinf(wrong[index]));
    }
}

static void an_arena_is_used_until_another_one_is(void) {
    llem_arena *arena = llem_arena_new(), *previous = llem_arena_use(arena);
    llem_numbers numbers = {0};
    for (int index = 0; index < 100000; index++) {
        llem_push(&numbers, (double)index);
    }
    CHECK(numbers.count == 100000 && numbers.items[99999] == 99999.0);
    CHECK(llem_arena_use(previous) == arena);
    llem_arena_free(arena);
    CHECK(strcmp(llem_repeat("ab", 3), "ababab") == 0 && strcmp(llem_repeat("ab", 0), "") == 0);
    CHECK(strcmp(llem_format("%d %s", 7, "x"), "7 x") == 0);
    CHECK(strcmp(llem_quantity_in_two_digits(llem_quantity_new(12.3456, 0.561, "s", LLEM_CLOCK)), "12.35 ± 0.56") == 0);
}

int main(void) {
    warmups_end_when_they_say();
    a_request_list_repeats_the_whole_list();
    a_batched_request_has_its_own_latencies_but_no_energy();
    a_sequence_without_tokens_does_not_change_the_decode_rate();
    trials_are_grouped_in_the_order_of_their_labels();
    processes_without_random_gaps_have_exact_times();
    an_arena_is_used_until_another_one_is();
    return end_of_checks();
}
