//! A script from a stranger is safe to run: each guest of `tests/guests/hostile/` tries one attack, and the host keeps its
//! promises (listed in [`attack`]).
#![cfg(target_os = "linux")]

mod attack;
mod component;
mod process;
mod sandbox;

use crate::support::{TestContext, fixtures};
use attack::{Attack, MIB};
use std::fs;

/// Defines tests of guests that would run for ever: the deadline ends them, and so does Ctrl-C.
macro_rules! go_on_until_they_are_ended {
    ($($test:ident: $attack:expr;)*) => {$(
        #[test]
        fn $test() {
            $attack.goes_on_until_it_is_ended();
        }
    )*};
}

/// Defines tests of guests that end, with the exit code and words of the error.
macro_rules! end {
    ($($test:ident: $attack:expr => $code:literal $words:expr;)*) => {$(
        #[test]
        fn $test() {
            $attack.ends($code, &$words);
        }
    )*};
}

go_on_until_they_are_ended! {
    a_busy_loop: Attack::of("loops");
    a_loop_in_a_start_function: Attack::text("loops_in_start").before_its_run();
    a_loop_in_describe: Attack::of("loops_in_describe").before_its_run();
    a_loop_after_run: Attack::text("loops_in_post_return");
    a_loop_while_the_host_asks_for_memory: Attack::text("loops_in_realloc");
    a_memory_that_is_filled_without_end: Attack::text("fills_memory").fills(240 * MIB);
    a_task_that_yields_for_ever: Attack::text("yields_for_ever");
    a_clock_that_is_asked_without_end: Attack::of("spins_in_wasi");
    random_numbers_without_end: Attack::of("draws_without_end");
    a_sleep_of_584_years: Attack::of("sleeps");
    moments_that_never_come: Attack::of("polls_for_ever");
    a_wait_of_584_years: Attack::of("waits_for_ever");
    baselines_without_end: Attack::of("measures_for_ever");
    progress_without_end: Attack::of("floods_progress");
    errors_that_are_ignored_without_end: Attack::of("ignores_errors");
    an_empty_batch_that_is_stepped_without_end: Attack::of("steps_an_empty_batch");
    stops_that_never_come: Attack::of("huge_stops");
    a_request_of_500_prompts: Attack::of("huge_request").args(&["-p", "prompts=500"]).fills(400 * MIB);
    a_batch_that_takes_long_to_drain: Attack::of("drains_a_long_batch").fills(128 * MIB);
    scores_without_end: Attack::of("floods_scores");
    requests_without_end: Attack::of("floods_requests");
    adapters_that_change_without_end: Attack::of("swaps_adapters");
    a_text_of_a_megabyte: Attack::of("huge_text").args(&["-p", "megabytes=1"]).fills(192 * MIB);
    a_million_tokens: Attack::of("huge_tokens").fills(48 * MIB);
    a_hundred_thousand_scores_in_a_call:
        Attack::of("huge_scores").args(&["-p", "continuations=100000"]).fills(48 * MIB);
}

end! {
    windows_without_end: Attack::of("floods_windows") => 1 ["8 MiB", "--max-output"];
    log_lines_without_end: Attack::of("floods_log_lines") => 1 ["8 MiB", "--max-output"];
    warnings_without_end: Attack::of("floods_warnings") => 1 ["8 MiB", "--max-output"];
    metrics_without_end: Attack::of("floods_metrics") => 1 ["8 MiB", "--max-output"];
    series_without_end: Attack::of("floods_series") => 1 ["8 MiB", "--max-output"];
    empty_cells_without_end: Attack::of("floods_tables") => 1 ["8 MiB", "--max-output"];
    phases_without_end: Attack::of("floods_phases") => 1 ["8 MiB", "--max-output"];
    lines_without_end: Attack::of("prints_empty_lines") => 1 ["8 MiB", "--max-output"];
    a_line_without_end: Attack::of("prints_without_lines") => 1 ["8 MiB", "--max-output"];
    files_of_a_megabyte_without_end: Attack::of("fills_artifacts") => 1 ["8 MiB", "--max-output"];
    empty_files_without_end:
        Attack::of("floods_artifacts").limit("--max-output", 1) => 1 ["--max-output"];
    sequences_that_are_cancelled_without_end:
        Attack::of("cancels_without_end").limit("--max-output", 1) => 1 ["1 MiB", "--max-output"];
    log_lines_of_15_mb: Attack::of("huge_log_lines").fills(32 * MIB) => 1 ["8 MiB", "--max-output"];
    a_describe_that_loads_models_without_end:
        Attack::of("loads_in_describe").before_its_run() => 2 ["describe must not call models.load-options"];
    log_lines_of_15_mb_in_describe:
        Attack::of("logs_in_describe").fills(32 * MIB).before_its_run() => 1 ["8 MiB", "--max-output"];
    phases_within_phases: Attack::of("nests_phases") => 1 ["64"];

    models_without_end: Attack::of("hoards_models") => 1 ["--max-models"];
    batches_without_end:
        Attack::of("hoards_batches").limit("--max-resources", 50) => 1 ["--max-resources"];
    random_streams_without_end: Attack::of("hoards_random_streams") => 1 ["--max-resources"];
    pollables_without_end: Attack::of("hoards_pollables") => 1 ["--max-resources"];
    streams_without_end: Attack::of("hoards_streams") => 1 ["--max-resources"];
    // A host that refuses sockets leaves the guest to its deadline.
    sockets_without_end: Attack::of("hoards_sockets").limit("--deadline", 5) => 1 ["--max-resources|--deadline"];
    waitable_sets_without_end: Attack::text("hoards_waitable_sets") => 1 ["--max-resources"];
    adapters_without_end:
        Attack::of("hoards_adapters").limit("--max-output", 1).fills(256 * MIB) => 1 ["256 adapters"];
    prompts_that_wait_without_end: Attack::of("hoards_prompts") => 1 ["limit"];

    a_file_of_140_mb:
        Attack::of("huge_artifact").limit("--max-memory", 512).fills(140 * MIB) => 1 ["--max-call"];
    a_text_of_12_mb:
        Attack::of("huge_text").args(&["-p", "megabytes=12"]).fills(48 * MIB) => 2 ["in parts of at most"];
    a_text_of_60_mb: Attack::of("huge_text").fills(120 * MIB) => 1 ["--max-call"];
    cells_of_100_mb: Attack::of("huge_cells").fills(220 * MIB) => 1 ["--max-call"];
    one_megabyte_lent_100_000_times: Attack::text("lends_a_string_many_times") => 1 ["--max-call"];
    a_million_scores: Attack::of("huge_scores").fills(128 * MIB) => 1 ["--max-call"];
    a_million_messages: Attack::of("huge_conversation").fills(128 * MIB) => 1 ["--max-call"];
    a_terabyte_of_random_bytes: Attack::of("huge_random") => 1 ["exceeds limit|--max-call"];
    fifteen_megabytes_at_once: Attack::of("prints_more_than_it_may").fills(30 * MIB) => 1 ["--max-output"];
    zeroes_without_end: Attack::of("prints_zeroes") => 1 ["zeroes"];
    a_model_of_8_billion_parameters: Attack::of("wants_a_large_model") => 1 ["GiB", "llama-3.1-8b"];

    a_request_of_100_000_prompts: Attack::of("huge_request") => 1 ["100000 sequences", "GiB"];
    a_recursion_without_end: Attack::of("recurses") => 1 ["call stack exhausted"];
    a_memory_that_grows_to_4_gb:
        Attack::text("grows_memory") => 1 ["256 MiB", "--max-memory"];
    a_memory_of_4_gb:
        Attack::text("begins_with_4_gb").before_its_run() => 1 ["256 MiB", "--max-memory"];
    a_memory_of_64_bits:
        Attack::text("memory_of_64_bits").before_its_run() => 1 ["256 MiB", "--max-memory"];
    memories_that_are_too_many:
        Attack::text("many_memories").before_its_run().reserves_address_space() => 1 ["256 MiB", "--max-memory"];
    tables_that_are_too_many:
        Attack::text("many_tables").before_its_run() => 1 ["256 MiB", "--max-memory"];

    components_that_double_twenty_times:
        Attack::text("doubles_instances").before_its_run() => 2 ["doubles_instances.wasm", "instances"];

    an_end_in_a_start_function:
        Attack::text("traps_in_start").before_its_run() => 1 ["traps_in_start.wasm panicked or aborted"];
    an_exit_in_describe:
        Attack::of("exits_in_describe").before_its_run() => 1 ["exits_in_describe.wasm exited"];
    a_moment_of_no_moments: Attack::of("polls_nothing") => 1 ["polls_nothing.wasm"];
    a_task_of_no_tasks: Attack::text("waits_for_no_task") => 1 ["waits_for_no_task.wasm"];
    a_call_from_within_a_call: Attack::text("reenters") => 1 ["cannot leave component instance"];
    memory_that_is_given_and_not_there:
        Attack::text("gives_memory_that_is_not_there") => 1 ["beyond end of memory"];
    memory_that_is_lent_and_not_there:
        Attack::text("lends_memory_that_is_not_there") => 1 ["out of bounds|out-of-bounds"];
    half_a_character: Attack::text("lends_half_a_character") => 1 ["utf-8"];
    a_sentence_that_is_not_there:
        Attack::text("returns_beyond_its_memory") => 1 ["out of bounds|out-of-bounds"];
    an_answer_that_is_none: Attack::text("returns_no_answer") => 1 ["returns_no_answer.wasm"];
    a_sentence_of_a_megabyte_that_clears_the_screen: Attack::of("hostile_error") => 1 ["gone"];
    a_panic_of_a_megabyte_that_clears_the_screen: Attack::of("hostile_panic") => 1 ["gone"];

    a_path_for_a_name:
        Attack::of("describes_a_traversal").before_its_run() => 2 ["describes_a_traversal.wasm", "name"];
    control_characters_in_a_summary:
        Attack::of("describes_control_characters").before_its_run() => 2 ["summary"];
    a_name_of_a_megabyte: Attack::of("describes_a_megabyte").before_its_run() => 2 ["64 bytes"];
    a_parameter_of_a_megabyte:
        Attack::of("describes_a_parameter_of_a_megabyte").before_its_run() => 2 ["64 bytes"];
    fifty_thousand_parameters:
        Attack::of("describes_many_parameters").before_its_run() => 2 ["1,000|1000"];
}

/// These guests check the answers to their calls themselves.
#[test]
fn calls_that_must_be_refused_are_refused() {
    for guest in [
        "huge_batches",
        "huge_labels",
        "hostile_names",
        "hostile_floats",
        "hostile_integers",
        "opens_sockets",
    ] {
        Attack::of(guest).ends_well();
    }
}

/// A guest learns nothing about files that it was not granted, not even whether they exist.
#[test]
fn files_that_are_not_granted_are_told_apart_by_nothing() {
    Attack::of("probes_files").ends_well();
    Attack::of("probes_files").args(&["--dataset=rows=rows.txt"]).ends_well();
}

/// A guest may open a granted file any number of times; the host still has descriptors left to finish the record.
#[test]
fn datasets_without_end_leave_the_host_its_files() {
    let attack = Attack::of("hoards_datasets").args(&["--dataset=rows=rows.txt"]);
    attack.ends(2, &["rows", "Too many open files"]);
}

#[test]
fn a_handle_that_is_not_the_guests_own_is_unknown() {
    for handle in ["forged", "zero", "largest", "dropped", "window"] {
        let handle = format!("handle={handle}");
        Attack::of("forges_handles").args(&["-p", &handle]).ends(1, &["handle index"]);
    }
}

/// Long cells are in the record, and cut in the summary.
#[test]
fn a_summary_is_short_whatever_a_table_holds() {
    for (tables, columns, kilobytes) in [(3, 2, 1000), (1, 100_000, 0), (1000, 10, 0)] {
        let set = |name: &str, number: i32| format!("-p{name}={number}");
        let args = [set("tables", tables), set("columns", columns), set("kilobytes", kilobytes)];
        let attack = Attack::of("huge_cells").args(&args.each_ref().map(String::as_str));
        attack.fills(32 * MIB).ends_well();
    }
}

/// Metrics with many labels are in the record, and the summary stays readable.
#[test]
fn a_summary_is_short_whatever_a_metric_is_labelled() {
    Attack::of("many_labels").ends_well();
}

/// A guest that traps loses nothing that its batch has generated: two sequences of four, because two still wait.
#[test]
fn an_end_within_a_batch_keeps_its_sequences() {
    let ended = Attack::of("traps_in_a_batch").ends(1, &["panicked or aborted"]);
    let events = ended.events();
    let sequences = crate::support::of_kind(&events, "batch-sequence");
    let tokens =
        sequences.iter().map(|event| event["sequence"]["tokens"].as_array().unwrap().len());
    assert_eq!(tokens.filter(|&tokens| tokens >= 5).count(), 2);
}

/// Makes a model folder with this chat template.
fn model_with(context: &TestContext, template: &str) -> String {
    let folder = context.folder.path().join("model");
    fs::create_dir(&folder).unwrap();
    for file in
        ["llama/tied/config.json", "llama/tied/model.safetensors", "tokenizer/tokenizer.json"]
    {
        let from = fixtures().join(file);
        fs::copy(&from, folder.join(from.file_name().unwrap())).unwrap();
    }
    fs::write(folder.join("chat_template.jinja"), template).unwrap();
    format!("--model={}", folder.display())
}

/// A model may come from a stranger too, and its chat template is a program.
#[test]
fn a_chat_template_that_never_ends() {
    let context = TestContext::new();
    let twice = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    let attack =
        Attack::of("huge_conversation").args(&["-pmessages=1", &model_with(&context, twice)]);
    attack.ends(2, &["2000000 steps"]);
}

#[test]
fn a_chat_template_that_takes_all_memory_or_the_whole_stack() {
    let doubling = "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}\
                    {% endfor %}{{ n.x }}";
    let signs = format!("{{{{ {}1 }}}}", "-".repeat(100_000));
    for template in [
        "{{ 'x' | indent(100000000000) }}",
        "{{ '%999999999999d' | format(1) }}",
        "{{ messages | tojson(indent=4000000000) }}",
        doubling,
        &signs,
    ] {
        let context = TestContext::new();
        let model = model_with(&context, template);
        let attack = Attack::of("huge_conversation").args(&["-pmessages=1", &model]);
        attack.ends(2, &["chat template"]);
    }
}

/// The deadline covers compilation: a function of 400,000 additions takes the compiler seconds.
#[test]
fn every_guest_is_tried() {
    let folder = fixtures().join("../guests/hostile");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(include_str!("hostile.rs").contains(&format!("\"{name}\"")), "{name} is not tried");
    }
}
