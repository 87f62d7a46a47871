/// Calls the functions of the host through the SDK, and checks what they return. The model is `synthetic:tiny`.

#include <llem.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static llem_about about(void) {
    llem_about about = llem_about_new("calls", "0.1.0", "Calls the functions of the host");
    llem_about_integer(&about, "whole", 7, "a whole number");
    llem_about_number(&about, "number", 0.5, "a number");
    llem_about_text(&about, "sizes", "1, 20", "a text");
    llem_about_boolean(&about, "flag", true, "true or false");
    llem_about_add_dataset(&about, "rows", "a file");
    return about;
}

static llem_tokens tokens_of(size_t count) {
    llem_tokens tokens = {0};
    for (size_t index = 0; index < count; index++) {
        llem_push(&tokens, (uint32_t)(3 + index));
    }
    return tokens;
}

static llem_result inputs(void) {
    int64_t whole;
    uint32_t small;
    double number, wrong = 1.0;
    const char *text;
    bool flag;
    llem_tokens sizes, tokens;
    LLEM_TRY(llem_parameter_i64("whole", &whole));
    LLEM_TRY(llem_parameter_u32("whole", &small));
    LLEM_TRY(llem_parameter_f64("number", &number));
    LLEM_TRY(llem_parameter_text("sizes", &text));
    LLEM_TRY(llem_parameter_bool("flag", &flag));
    LLEM_TRY(llem_parameter_sizes("sizes", &sizes));
    llem_check(whole == 7 && small == 7 && number == 0.5 && strcmp(text, "1, 20") == 0 && flag);
    llem_check(sizes.count == 2 && sizes.items[0] == 1 && sizes.items[1] == 20);
    llem_result refused = llem_parameter_f64("sizes", &wrong);
    llem_check(refused != LLEM_OK && refused->code == LLEM_INVALID_ARGUMENT && wrong == 1.0);

    LLEM_TRY(llem_parameter_i64_within("whole", 1, INT64_MAX, &whole));
    LLEM_TRY(llem_parameter_f64_within("number", 0.0, 0.5, &number));
    refused = llem_parameter_u32_within("whole", 8, UINT32_MAX, &small);
    llem_check(strcmp(refused->message, "whole is 7: set it to 8 or more with -p whole=NUMBER") == 0);

    llem_random one = llem_random_new("a"), same = llem_random_new("a");
    llem_times many;
    llem_numbers reals;
    LLEM_TRY(llem_random_many_u64(one, 3, &many));
    for (size_t index = 0; index < 3; index++) {
        llem_check(many.items[index] == llem_random_next_u64(same));
    }
    LLEM_TRY(llem_random_many_f64(one, 2, &reals));
    llem_check(reals.items[0] == llem_random_next_f64(same) && reals.items[1] >= 0.0 && reals.items[1] < 1.0);
    LLEM_TRY(llem_random_tokens(one, 5, 10, &tokens));
    llem_check(tokens.count == 5 && tokens.items[4] < 10);
    llem_tokens drawn, picked;
    LLEM_TRY(llem_random_sample(one, 5, 5, &drawn));
    llem_random_shuffle(one, drawn.items, drawn.count, sizeof *drawn.items);
    uint32_t sum = 0;
    for (size_t index = 0; index < drawn.count; index++) {
        sum += drawn.items[index];
    }
    LLEM_TRY(llem_random_pick(one, 3, &drawn, &picked));
    llem_check(drawn.count == 5 && sum == 10 && picked.count == 3 && picked.items[2] < 5);
    llem_lengths distribution = llem_lengths_within(llem_lengths_normal(8.0, 4.0), 2, 12);
    LLEM_TRY(llem_lengths_draw(&distribution, 4, llem_random_source(&one), &drawn));
    llem_check(drawn.count == 4 && drawn.items[3] >= 2 && drawn.items[3] <= 12);
    llem_log(LLEM_INFO, "seed %llu, first number %016llx", (unsigned long long)llem_seed(),
             (unsigned long long)many.items[0]);

    llem_dataset dataset;
    bool is_granted, has_row;
    llem_row row;
    uint64_t length, zip;
    LLEM_TRY(llem_dataset_open_if_granted("rows", &is_granted, &dataset));
    if (is_granted) {
        LLEM_TRY(llem_dataset_length(dataset, &length));
        LLEM_TRY(llem_dataset_next(dataset, &has_row, &row));
        LLEM_TRY(llem_row_u64(&row, "zip", &zip));
        LLEM_TRY(llem_row_text(&row, "zip", &text));
        llem_check(has_row && length == 2 && zip == 7 && strcmp(text, "007") == 0);
        refused = llem_row_bool(&row, "zip", &flag);
        llem_check(strcmp(refused->message, "row 0: field 'zip' is \"007\", which is not true or false") == 0);
        LLEM_TRY(llem_dataset_rewind(dataset));
        llem_rows rows;
        LLEM_TRY(llem_dataset_next_rows(dataset, 9, &rows));
        llem_check(rows.count == 2 && rows.items[1].index == 1);
        LLEM_TRY(llem_dataset_next(dataset, &has_row, &row));
        llem_check(!has_row);
        llem_dataset_close(dataset);
    }
    return LLEM_OK;
}

static llem_result generate(llem_model model) {
    llem_model_info info = llem_model_get_info(model);
    llem_check(info.parameters > 1000000 && strcmp(info.device, "cpu") == 0 && info.ranks.count == 1);
    llem_tokens ordinary;
    llem_token_lists random_prompts;
    LLEM_TRY(llem_model_ordinary_tokens(model, &ordinary));
    llem_tokenizer tokenizer;
    bool adds_bos;
    LLEM_TRY(llem_model_tokenizer(model, &tokenizer));
    LLEM_TRY(llem_tokenizer_adds_bos(tokenizer, &adds_bos));
    llem_special_tokens special = llem_tokenizer_special_tokens(tokenizer);
    llem_check(ordinary.count == llem_tokenizer_vocab_size(tokenizer) - special.count);
    llem_check(!adds_bos || llem_tokenizer_added_tokens(tokenizer) > 0);
    llem_tokenizer_drop(tokenizer);
    LLEM_TRY(llem_model_random_prompts(model, llem_random_new("prompts"),
                                       &(llem_tokens){.items = (uint32_t[]){3, 5}, .count = 2}, &random_prompts));
    llem_check(random_prompts.count == 2 && random_prompts.items[1].count == 5);
    llem_request request = llem_request_from_tokens(tokens_of(5));
    request.label = "generate";
    request.max_new_tokens = 3;
    request.ignore_eos = true;
    request.log_probabilities = (llem_optional_u32)LLEM_SOME(2);
    request.sampling = llem_sampling_with_temperature(0.7f);
    request.sampling.top_k = (llem_optional_u32)LLEM_SOME(50);
    request.sampling.seed = (llem_optional_u64)LLEM_SOME(5);
    llem_push(&request.sampling.logit_bias, (llem_logit_bias){9, -INFINITY});
    llem_generation generation;
    LLEM_TRY(llem_model_generate(model, &request, &generation));
    const llem_completion *one = &generation.completions.items[0];
    llem_check(one->prompt_tokens == 5 && one->tokens.count == 3 && one->token_times.count == 3);
    llem_check(one->log_probabilities.count == 3 && one->log_probabilities.items[0].top.count == 2);
    llem_check(strcmp(one->finish, LLEM_LENGTH) == 0 && one->tokens.items[0] != 9);
    llem_check(generation.measurement.activity.output_tokens == 3 && llem_completion_ttft(one) >= 0.0);
    llem_log(LLEM_INFO, "tokens %u %u %u", one->tokens.items[0], one->tokens.items[1], one->tokens.items[2]);

    llem_score_requests scored = {0};
    llem_scoring scoring;
    llem_push(&scored, (llem_score_request){.context = tokens_of(2), .continuation = tokens_of(4)});
    LLEM_TRY(llem_model_score(model, &scored, &scoring));
    llem_check(scoring.scores.count == 1 && scoring.scores.items[0].log_likelihoods.count == 4);
    llem_check(scoring.scores.items[0].log_likelihoods.items[0] < 0.0);
    llem_token_lists texts = {0};
    llem_push(&texts, tokens_of(6));
    LLEM_TRY(llem_model_score_rolling(model, &texts, 1, &scoring));
    llem_check(scoring.scores.items[0].log_likelihoods.count == 6);

    llem_shape shape = {.batch = 1, .prompt_tokens = 5, .new_tokens = 3};
    llem_flops_estimate estimate;
    LLEM_TRY(llem_estimate_flops(model, &shape, &estimate));
    llem_check(llem_flops_total(&estimate.needed) > 0.0 && estimate.active_parameters > 0.0);
    request.prompts = (llem_prompts){0};
    llem_result refused = llem_model_generate(model, &request, &generation);
    llem_check(refused != LLEM_OK && refused->code == LLEM_INVALID_ARGUMENT);
    return LLEM_OK;
}

static llem_result adapters(llem_model model) {
    llem_adapter_info adapter;
    uint64_t time;
    LLEM_TRY(llem_model_attach_adapter(model, "synthetic:rank=4", &adapter));
    llem_check(adapter.rank == 4 && !adapter.is_merged && llem_model_adapters(model).count == 1);
    LLEM_TRY(llem_model_use_adapter(model, adapter.name));
    llem_request request = llem_request_from_tokens(tokens_of(3));
    request.max_new_tokens = 1;
    request.adapters.kind = LLEM_ADAPTER_SAME;
    llem_push(&request.adapters.choices, adapter.name);
    llem_generation generation;
    LLEM_TRY(llem_model_generate(model, &request, &generation));
    llem_check(strcmp(generation.completions.items[0].adapter, adapter.name) == 0);
    request.adapters.choices.items[0] = NULL;
    LLEM_TRY(llem_model_generate(model, &request, &generation));
    llem_check(generation.completions.items[0].adapter == NULL);
    LLEM_TRY(llem_model_merge_adapter(model, adapter.name, &time));
    llem_check(llem_model_adapters(model).items[0].is_merged);
    LLEM_TRY(llem_model_unmerge_adapter(model, adapter.name, &time));
    LLEM_TRY(llem_model_use_adapter(model, NULL));
    return llem_model_detach_adapter(model, adapter.name);
}

static llem_result batches(llem_model model) {
    llem_batch batch;
    llem_batch_options options = {.max_sequences = 2, .max_tokens = LLEM_SOME(32)};
    llem_times sequences;
    llem_progress progress;
    llem_completions ended;
    LLEM_TRY(llem_model_open_batch(model, options, &batch));
    llem_request request = llem_request_from_tokens(tokens_of(4));
    request.max_new_tokens = 2;
    request.ignore_eos = true;
    request.script_chooses = true;
    LLEM_TRY(llem_batch_submit(batch, &request, (llem_optional_u64){0}, &sequences));
    LLEM_TRY(llem_batch_step(batch, &progress));
    llem_check(sequences.count == 1 && progress.steps == 1 && progress.prompt_tokens == 4);
    llem_logits logits;
    llem_token_logits chosen;
    LLEM_TRY(llem_batch_logits(batch, sequences.items[0], &logits));
    llem_token_logits top = llem_logits_top(logits, 3);
    llem_floats all = llem_logits_all(logits);
    LLEM_TRY(llem_logits_of_tokens(logits, tokens_of(2), &chosen));
    llem_check(top.count == 3 && top.items[0].logit >= top.items[1].logit && chosen.count == 2);
    llem_check(all.items[top.items[0].token] == top.items[0].logit && llem_logits_entropy(logits) > 0.0);
    llem_logits_drop(logits);
    LLEM_TRY(llem_batch_choose(batch, sequences.items[0], 11));
    LLEM_TRY(llem_batch_cancel(batch, sequences.items[0]));
    LLEM_TRY(llem_batch_step(batch, &progress));
    llem_check(progress.ended.count == 1 && strcmp(progress.ended.items[0].finish, LLEM_CANCELLED) == 0);

    request.script_chooses = false;
    request.holds_cache = true;
    LLEM_TRY(llem_batch_submit(batch, &request, (llem_optional_u64)LLEM_SOME(llem_now() + LLEM_SECONDS(0.2)), &sequences));
    llem_check(llem_batch_get_status(batch).scheduled == 1);
    LLEM_TRY(llem_batch_run_until_end(batch, &progress));
    llem_check(progress.ended.count == 1 && progress.ended.items[0].tokens.count == 2);
    uint64_t continued;
    request.holds_cache = false;
    LLEM_TRY(llem_batch_submit_after(batch, sequences.items[0], true, &request, (llem_optional_u64){0}, &continued));
    LLEM_TRY(llem_batch_run_until_token(batch, &progress));
    LLEM_TRY(llem_batch_drain(batch, &ended));
    llem_check(ended.count == 1 && ended.items[0].cached_tokens > 0);
    LLEM_TRY(llem_batch_release(batch, sequences.items[0]));
    llem_result gone = llem_batch_release(batch, sequences.items[0]);
    llem_check(gone != LLEM_OK && gone->code == LLEM_NOT_FOUND);
    llem_batch_drop(batch);
    return LLEM_OK;
}

static llem_result next_request(void *self, const llem_request **request) {
    *request = self;
    return LLEM_OK;
}

static llem_result work(void *self) {
    ++*(int *)self;
    // On a host with a virtual clock no time passes otherwise.
    llem_sleep_for(1000);
    return LLEM_OK;
}

static llem_result meter(llem_model model) {
    llem_window window;
    llem_measurement measurement;
    LLEM_TRY(llem_window_open("outer", &window));
    LLEM_TRY(llem_window_mark(window, "second"));
    llem_sleep_for(LLEM_SECONDS(0.02));
    llem_window_timeline(window, 0);
    LLEM_TRY(llem_window_close(window, &measurement));
    llem_check(measurement.segments.count == 2 && strcmp(measurement.segments.items[1].label, "second") == 0);
    llem_check(measurement.wall_time >= LLEM_SECONDS(0.02));
    llem_check(llem_counter_resolution().count > 0 && llem_list_facts().count > 0 && llem_run_began() > 0);
    llem_device_list devices = llem_list_devices();
    llem_device device;
    llem_device_state state;
    llem_check(devices.count > 0 && strcmp(devices.items[0].id, "cpu") == 0);
    LLEM_TRY(llem_find_device("cpu", &device));
    LLEM_TRY(llem_read_state("cpu", &state));
    llem_result none = llem_find_device("cuda:99", &device);
    llem_check(none != LLEM_OK && none->code == LLEM_NOT_FOUND);

    llem_request request = llem_request_from_tokens(tokens_of(2));
    request.max_new_tokens = 2;
    llem_saturated_batch full = {.options = {.max_sequences = 2, .max_tokens = LLEM_SOME(16)}, .length = 1000};
    llem_steady_state steady;
    LLEM_TRY(llem_saturated_batch_measure(&full, model, "full", next_request, &request, &steady));
    llem_check(steady.steps > 0 && !steady.ran_out);
    llem_thermal_protocol protocol = {.warmup_runs = 1, .window = 1000, .trials = 2, .threshold = 0.01};
    llem_thermal_trials trials;
    int runs = 0;
    LLEM_TRY(llem_thermal_protocol_run(&protocol, work, &runs, &trials));
    llem_check(trials.count == 2 && runs >= 4);
    return LLEM_OK;
}

static llem_result report(void) {
    llem_metrics metrics = {0};
    llem_metrics_add(&metrics, "answer", llem_known(llem_quantity_new(42.0, 0.5, "1", LLEM_DERIVED)));
    llem_metrics_label(&metrics, "kind", "whole");
    LLEM_TRY(llem_add_metric(&metrics.items[0]));
    metrics.items[0].quantity.value = NAN;
    llem_result refused = llem_add_metric(&metrics.items[0]);
    llem_check(refused != LLEM_OK && refused->code == LLEM_INVALID_ARGUMENT);
    llem_series series = {.name = "curve", .x = "load", .x_unit = "1", .y = "time", .y_unit = "s"};
    llem_push(&series.points, (llem_point){1.0, 2.0});
    LLEM_TRY(llem_add_series(&series));
    llem_table table = {.name = "words"};
    llem_texts cells = {0};
    llem_push(&table.columns, "word");
    llem_push(&cells, "héllo");
    llem_push(&table.rows, cells);
    LLEM_TRY(llem_add_table(&table));
    LLEM_TRY(llem_write_artifact("note.txt", "text", 4));
    llem_warn("%s", "a warning");
    llem_show_progress(1, 2, "calls");
    printf("a line of printf: %.3f\n", 0.125);
    fprintf(stderr, "a line of stderr\n");
    return LLEM_OK;
}

static llem_result run(void) {
    llem_model model;
    llem_phase phase;
    LLEM_TRY(inputs());
    LLEM_TRY(llem_model_load_granted(&model));
    LLEM_TRY(llem_phase_begin("calls", &phase));
    LLEM_TRY(generate(model));
    LLEM_TRY(adapters(model));
    LLEM_TRY(batches(model));
    LLEM_TRY(meter(model));
    LLEM_TRY(report());
    LLEM_TRY(llem_phase_end(phase));
    llem_log(LLEM_INFO, "rand %d %d", rand(), rand());
    llem_model_drop(model);
    return LLEM_OK;
}

LLEM_EXPERIMENT(about, run);
