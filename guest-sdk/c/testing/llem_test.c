#define _POSIX_C_SOURCE 200809L

#include "llem_test.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

LLEM_LIST(arguments, char *);

static void add(arguments *list, const char *option, const char *value) {
    if (value != NULL) {
        llem_push(list, llem_text(option));
        llem_push(list, llem_text(value));
    }
}

static void add_all(arguments *list, const char *option, const char *const *values) {
    for (; values != NULL && *values != NULL; values++) {
        add(list, option, *values);
    }
}

/// Writes the description of the synthetic host.
static void write_host(const char *path, const llem_test_host *host) {
    const struct {
        const char *name;
        llem_optional_f64 value;
    } fields[] = {
        {"load_s", host->load_s},
        {"prefill_s_per_token", host->prefill_s_per_token},
        {"decode_s_per_step", host->decode_s_per_step},
        {"idle_watts", host->idle_watts},
        {"prefill_joules_per_token", host->prefill_joules_per_token},
        {"decode_joules_per_token", host->decode_joules_per_token},
    };
    FILE *file = fopen(path, "w");
    llem_check(file != NULL);
    fprintf(file, "{\"seed\": %llu", (unsigned long long)(host->seed.is_some ? host->seed.value : 1));
    for (size_t index = 0; index < sizeof fields / sizeof *fields; index++) {
        if (fields[index].value.is_some) {
            fprintf(file, ", \"%s\": %.17g", fields[index].name, fields[index].value.value);
        }
    }
    fprintf(file, "}\n");
    llem_check(fclose(file) == 0);
}

/// Runs a program with its output in files of the folder, and waits for its end.
static void run_program(char *const *command, const char *folder) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, llem_format("%s/stdout", folder), flags, 0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, llem_format("%s/stderr", folder), flags, 0600);
    pid_t process;
    int status, error = posix_spawnp(&process, command[0], &actions, NULL, command, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        llem_abort("%s: %s: install llem, or set LLEM to its path", command[0], strerror(error));
    }
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
}

static llem_test_request request_from(const llem_json *named, const llem_json *sequence) {
    llem_test_request request = {
        .label = llem_json_text(llem_json_at(named, "label")),
        .phase = llem_json_text(llem_json_at(named, "phase")),
        .prompt_tokens = llem_json_whole(llem_json_at(sequence, "prompt_tokens")),
        .submitted = llem_json_whole(llem_json_at(sequence, "submitted_ns")),
    };
    const llem_json *tokens = llem_json_at(sequence, "tokens"), *times = llem_json_at(sequence, "token_ns");
    for (size_t index = 0; index < tokens->items.count; index++) {
        llem_push(&request.tokens, (uint32_t)llem_json_whole(&tokens->items.items[index]));
    }
    for (size_t index = 0; index < times->items.count; index++) {
        llem_push(&request.token_times, llem_json_whole(&times->items.items[index]));
    }
    return request;
}

/// Returns whether one of the nested phases of a request, `a/b/c`, is the warm-up.
static bool is_warmup(const char *phases) {
    const char *found = strstr(phases, "warmup");
    size_t length = strlen("warmup");
    return found != NULL && (found == phases || found[-1] == '/') && (found[length] == '/' || found[length] == '\0');
}

static void add_request(llem_test_result *result, const llem_json *named, const llem_json *sequence) {
    llem_test_request request = request_from(named, sequence);
    if (is_warmup(request.phase)) {
        llem_push(&result->warmup_requests, request);
    } else {
        llem_push(&result->requests, request);
    }
}

/// Adds what an event of the journal says.
static void read_event(llem_test_result *result, const char *line) {
    llem_json event = llem_json_parse(line);
    const char *kind = llem_json_text(llem_json_at(&event, "event"));
    if (strcmp(kind, "generation") == 0) {
        const llem_json *sequences = llem_json_at(&event, "sequences");
        for (size_t index = 0; index < sequences->items.count; index++) {
            add_request(result, llem_json_at(&event, "window"), &sequences->items.items[index]);
        }
    } else if (strcmp(kind, "batch-sequence") == 0) {
        add_request(result, &event, llem_json_at(&event, "sequence"));
    } else if (strcmp(kind, "log") == 0) {
        const char *level = llem_json_text(llem_json_at(&event, "level"));
        const char *message = llem_json_text(llem_json_at(&event, "message"));
        llem_push(&result->log, (llem_test_log_line){level, message});
    }
}

static llem_test_metric metric_from(const llem_json *from) {
    const llem_json *quantity = llem_json_at(from, "quantity"), *labels = llem_json_at(from, "labels");
    llem_test_metric metric = {
        .name = llem_json_text(llem_json_at(from, "name")),
        .value = llem_json_number(llem_json_at(quantity, "value")),
        .uncertainty = llem_json_number(llem_json_at(quantity, "uncertainty")),
        .unit = llem_json_text(llem_json_at(quantity, "unit")),
    };
    for (size_t index = 0; index < labels->members.count; index++) {
        const llem_json_member *label = &labels->members.items[index];
        llem_push(&metric.labels, (llem_test_label){label->name, llem_json_text(&label->value)});
    }
    return metric;
}

static llem_test_result read_result(const char *folder) {
    const char *path = llem_format("%s/run/run.json", folder);
    if (access(path, R_OK) != 0) {
        llem_abort("llem wrote no record: %s", llem_read_file(llem_format("%s/stderr", folder)));
    }
    llem_test_result result = {.record = llem_json_parse(llem_read_file(path))};
    const llem_json *error = llem_json_at(&result.record, "error");
    const llem_json *metrics = llem_json_at(&result.record, "metrics");
    const llem_json *warnings = llem_json_at(&result.record, "warnings");
    result.status = llem_json_text(llem_json_at(&result.record, "status"));
    result.error = error->kind == LLEM_JSON_TEXT ? error->text : NULL;
    for (size_t index = 0; index < metrics->items.count; index++) {
        llem_push(&result.metrics, metric_from(&metrics->items.items[index]));
    }
    for (size_t index = 0; index < warnings->items.count; index++) {
        llem_push(&result.warnings, llem_json_text(&warnings->items.items[index]));
    }
    char *rest, *journal = llem_read_file(llem_format("%s/run/events.jsonl", folder));
    for (char *line = strtok_r(journal, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        read_event(&result, line);
    }
    return result;
}

llem_test_result llem_test_run(const llem_test_options *options) {
    const char *temporary = getenv("TMPDIR"), *program = getenv("LLEM");
    char *folder = llem_format("%s/llem-test-XXXXXX", temporary != NULL ? temporary : "/tmp");
    if (mkdtemp(folder) == NULL) {
        llem_abort("%s: %s", folder, strerror(errno));
    }
    const char *host = llem_format("%s/host.json", folder);
    write_host(host, &options->host);
    arguments command = {0};
    add(&command, program != NULL ? program : "llem", "exec");
    if (options->experiment != NULL) {
        llem_push(&command, llem_text(options->experiment));
    }
    add(&command, "--warmup", options->warmup);
    add(&command, "--workload", options->workload);
    add(&command, "--metrics", options->metrics);
    add_all(&command, "--param", options->parameters);
    add_all(&command, "--dataset", options->datasets);
    if (options->seed.is_some) {
        add(&command, "--seed", llem_format("%llu", (unsigned long long)options->seed.value));
    }
    llem_push(&command, llem_format("--synthetic-host=%s", host));
    add(&command, "--out", llem_format("%s/run", folder));
    llem_push(&command, llem_text("--json"));
    llem_push(&command, NULL);
    run_program(command.items, folder);
    llem_test_result result = read_result(folder);
    run_program((char *[]){"rm", "-rf", folder, NULL}, folder);
    return result;
}

const llem_test_metric *llem_test_find_metric(const llem_test_result *result, const char *name) {
    const llem_test_metric *found = NULL;
    size_t count = 0;
    for (size_t index = 0; index < result->metrics.count; index++) {
        if (strcmp(result->metrics.items[index].name, name) == 0) {
            found = &result->metrics.items[index];
            count++;
        }
    }
    if (count != 1) {
        llem_abort("%zu metrics are called '%s', not one", count, name);
    }
    return found;
}
