//! `llem migrate`: another tool's command as one of llem.

use crate::support::TestContext;

#[test]
fn the_command_is_on_standard_output_and_what_it_lacks_on_standard_error() {
    let words = [
        "migrate",
        "vllm",
        "bench",
        "serve",
        "--model",
        "synthetic:tiny",
        "--base-url=http://localhost:8000",
        "--num-prompts",
        "4",
        "--goodput",
        "ttft:500",
        "tpot:50",
    ];
    let made = TestContext::new().llem(&words).ok();
    assert_eq!(
        made.stdout,
        "llem exec scripts/vllm-bench --model synthetic:tiny -p num-prompts=4 -p mode=serve -p goodput='ttft:500 tpot:50'\n"
    );
    let first = made.stderr.lines().next().unwrap();
    assert_eq!(
        first,
        "left out: --base-url http://localhost:8000: llem runs the model itself: there is no server"
    );
    assert!(made.stderr.lines().skip(1).all(|line| line.starts_with("note: ")), "{}", made.stderr);
}

#[test]
fn what_the_tool_would_refuse_is_bad_input() {
    let context = TestContext::new();
    context
        .llem(&["migrate", "llama-bench", "--pp", "5"])
        .refused(2, &["llama-bench has no option --pp"]);
    context.llem(&["migrate", "hyperfine", "true"]).refused(2, &["hyperfine", "vllm bench serve"]);
    context.llem(&["migrate", "llem", "run", "missing.yaml"]).refused(2, &["missing.yaml"]);
    // A name that would control the terminal is made safe.
    context.llem(&["migrate", "\u{1b}[2Jtool"]).refused(2, &["begins no command"]);
}

#[test]
fn help_after_a_tool_lists_what_becomes_of_its_options() {
    let listed = TestContext::new().llem(&["migrate", "llama-bench", "--help"]).ok().stdout;
    for word in [
        "scripts/llama-bench",
        "-ub, --ubatch-size",
        "-p ubatch-size",
        "none: there is one attention",
    ] {
        assert!(listed.contains(word), "'{word}' is not in: {listed}");
    }
}
