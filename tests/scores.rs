//! Scoring is measured work: the journal has each call with its time, energy and tokens, however it ends.

use crate::support::{
    CommandOutput, Hardware, Launch, TestContext, fixtures, guest, of_kind, signal,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// Returns the fixture whose context is 256.
fn model() -> String {
    fixtures().join("llama/tied").to_str().unwrap().to_owned()
}

fn start(context: &TestContext, more: &[&str]) -> Child {
    let component = guest("many_scores");
    let mut command = context.command(&[&["exec", &component][..], more].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the journal holds this many lines of progress.
fn wait_for_progress(context: &TestContext, lines: usize) {
    context.wait_for_journal("\"event\":\"score-progress\"", lines, Duration::from_secs(120));
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Returns the requests in these lines, and panics if one occurs twice.
fn results(events: &[&Value]) -> Vec<u64> {
    let lines = events.iter().flat_map(|event| event["results"].as_array().unwrap());
    let requests: Vec<u64> = lines.map(|result| number(&result["request"])).collect();
    assert_eq!(requests.iter().collect::<BTreeSet<_>>().len(), requests.len(), "each once");
    requests
}

/// Returns the log-likelihoods of each score, in order.
fn likelihoods(record: &Value) -> Vec<Vec<f64>> {
    let points = |series: &Value| {
        let points = series["points"].as_array().unwrap().iter();
        points.map(|point| point[1].as_f64().unwrap()).collect()
    };
    record["series"].as_array().unwrap().iter().map(points).collect()
}

#[test]
fn a_call_is_in_the_journal_with_its_time_energy_and_tokens() {
    let (context, model, component) = (TestContext::new(), model(), guest("score_lists"));
    let lists = ["-p", "requests=1,2,3>4,5;6>7", "-p", "texts=8,9,10;;11", "-p", "apart=false"];
    let power = ["--power-model", "tdp=100,idle=40"];
    let args = [&["exec", &component, "--model", &model, "--dtype", "f32"][..], &lists, &power];
    let began = Instant::now();
    // The processor's own counter would take the place of the declared model.
    let ran = Hardware::new().without_nvml().llem(&context, &args.concat()).ok();
    let took = began.elapsed().as_secs_f64();
    let (events, record) = (context.events(), context.record());
    let calls = of_kind(&events, "score");
    assert_eq!(calls.len(), 2, "an event a call");
    assert!(of_kind(&events, "score-progress").is_empty(), "short calls have one line");
    let expected = [
        // requests, context, continuation, run, sequences
        ("score", false, [2, 4, 3, 5, 2]),
        ("score-rolling", true, [3, 2, 4, 4, 2]),
    ];
    for (call, (label, rolling, counts)) in calls.iter().zip(expected) {
        let (window, activity) = (&call["window"], &call["window"]["activity"]);
        assert_eq!((&window["label"], &call["rolling"]), (&label.into(), &rolling.into()));
        let told = [
            &call["requests"],
            &call["context_tokens"],
            &call["continuation_tokens"],
            &activity["prompt_tokens"],
            &activity["requests"],
        ];
        assert_eq!(told.map(number), counts, "{call}");
        assert_eq!(call["completed"], call["requests"]);
        assert_eq!(call["scored_tokens"], call["continuation_tokens"]);
        assert_eq!((&call["passes"], call.get("cut_short")), (&1.into(), None));
        let wall = number(&window["wall_ns"]) as f64 * 1e-9;
        let engine = number(&activity["prefill_ns"]) as f64 * 1e-9;
        assert!(engine > 0.0 && engine <= wall && wall < took, "{engine} {wall} {took}");
        let energy = window["energy_total"]["value"].as_f64().unwrap();
        // A processor that is always busy draws 100 W, except for rounding of the sum.
        assert!((39.99..=100.01).contains(&(energy / wall)), "{energy} J in {wall} s");
        assert_eq!(window["energy_total"]["source"], "modelled");
        assert!(activity["flops_estimated"]["prefill"].as_f64().unwrap() > 0.0);
    }

    // The journal holds, for each request, the sum of the values that the script saw.
    let seen = likelihoods(&record);
    assert_eq!(seen.len(), 5);
    for (call, seen) in calls.iter().zip([&seen[..2], &seen[2..]]) {
        assert_eq!(results(&[call]).len(), seen.len());
        for kept in call["results"].as_array().unwrap() {
            let seen = &seen[number(&kept["request"]) as usize];
            assert_eq!(number(&kept["tokens"]) as usize, seen.len());
            let sum: f64 = seen.iter().sum();
            assert!((kept["log_likelihood"].as_f64().unwrap() - sum).abs() < 1e-9);
            assert!(kept["is_greedy"].is_boolean());
        }
    }

    let groups = record["score_groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    for (group, call) in groups.iter().zip(&calls) {
        assert_eq!(group["label"], call["window"]["label"]);
        assert_eq!((number(&group["calls"]), &group["requests"]), (1, &call["completed"]));
        assert_eq!(group["activity"], call["window"]["activity"]);
        let joules = call["window"]["energy_total"]["value"].as_f64().unwrap();
        let per = group["energy_per_scored_token"]["value"].as_f64().unwrap();
        let scored = call["scored_tokens"].as_f64().unwrap();
        assert!((per * scored / joules - 1.0).abs() < 1e-9);
        assert!(group["prefill_rate"]["value"].as_f64().unwrap() > 0.0);
    }
    assert!(ran.stdout.contains("score-rolling") && ran.stdout.contains("tok scored"));
}

/// Texts of lengths from zero to three contexts.
#[test]
fn texts_of_unlike_lengths_share_passes_and_score_as_they_do_alone() {
    let lengths = [1, 300, 0, 17, 256, 2, 700, 257, 40, 3, 90, 5];
    let text = |index: usize, length: usize| {
        let tokens = (0..length).map(|place| ((place * place + 31 * index + 7) % 200).to_string());
        tokens.collect::<Vec<_>>().join(",")
    };
    let texts = lengths.iter().enumerate().map(|(index, &length)| text(index, length));
    let texts = format!("texts={}", texts.collect::<Vec<_>>().join(";"));
    let (model, component) = (model(), guest("score_lists"));
    let scored = |more: &[&str]| {
        let context = TestContext::new();
        let args = ["exec", &component, "--model", &model, "--dtype", "f32", "-p", &texts];
        context.llem(&[&args[..], more].concat()).ok();
        let events = context.events();
        let calls = of_kind(&events, "score");
        let passes: u64 = calls.iter().map(|call| number(&call["passes"])).sum();
        (likelihoods(&context.record()), passes)
    };
    let (apart, one_by_one) = scored(&["-p", "apart=true"]);
    assert_eq!(apart.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
    for more in [&[][..], &["--dp", "2"], &["--tp", "2"]] {
        let (together, passes) = scored(more);
        for (index, (together, apart)) in together.iter().zip(&apart).enumerate() {
            assert_eq!(together.len(), apart.len());
            let worst = together.iter().zip(apart).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst <= 1e-5, "text {index} {more:?}: {worst}");
        }
        // 1,671 tokens take two passes of 1,024; one by one each text would take at least one.
        assert!(passes <= 4 && one_by_one >= 11, "{passes} {one_by_one} {more:?}");
    }
}

#[test]
fn an_interrupted_call_keeps_what_it_completed() {
    // Returns the cost of one such request.
    let context = TestContext::new();
    let few = ["exec", &guest("many_scores"), "-p", "requests=10"];
    context.llem(&few).ok();
    let events = context.events();
    let whole = of_kind(&events, "score")[0]["window"]["activity"].clone();
    let [tokens, each] = [&whole["prompt_tokens"], &whole["flops_estimated"]["prefill"]]
        .map(|sum| sum.as_f64().unwrap() / 10.0);

    for rolling in ["rolling=false", "rolling=true"] {
        let context = TestContext::new();
        let more = ["-p", rolling, "--power-model", "tdp=100,idle=40"];
        let child = start(&context, &more);
        wait_for_progress(&context, 1);
        signal(&child, "-INT");
        let ran = CommandOutput::from_output(child.wait_with_output().unwrap());
        ran.refused(130, &["interrupted"]);

        let (events, record) = (context.events(), context.record());
        let mut lines = of_kind(&events, "score-progress");
        let call = *of_kind(&events, "score").last().unwrap();
        assert_eq!(call["cut_short"], "interrupted");
        let completed = number(&call["completed"]);
        assert!(completed > 0 && completed < 50_000, "{completed} completed");
        for line in &lines {
            assert_eq!(line["started_ns"], call["window"]["started_ns"]);
            assert_eq!(line["phase"], "measure");
        }
        lines.push(call);
        assert_eq!(results(&lines).len() as u64, completed);
        assert_eq!(number(&call["scored_tokens"]) / 24, completed, "of 24 tokens each");

        // The work of the requests that ran counts, and no other.
        let activity = &call["window"]["activity"];
        let flops = activity["flops_estimated"]["prefill"].as_f64().unwrap();
        if rolling == "rolling=false" {
            let run = activity["prompt_tokens"].as_f64().unwrap() / tokens;
            assert!(run >= completed as f64 && run < completed as f64 + 100.0, "{run} {completed}");
            assert!((flops / each - run).abs() < 1.0, "{flops} FLOP for {run} requests");
        }
        assert!(call["window"]["energy_total"]["value"].as_f64().unwrap() > 0.0);
        let group = &record["score_groups"][0];
        assert_eq!((&group["requests"], &group["activity"]), (&call["completed"], activity));
        assert_eq!(record["status"], "interrupted");
    }
}

#[test]
fn a_deadline_keeps_what_was_completed() {
    let context = TestContext::new();
    let args = ["exec", &guest("many_scores"), "--deadline", "4"];
    context.llem(&args).refused(1, &["deadline of 4 s"]);
    let events = context.events();
    let call = *of_kind(&events, "score").last().unwrap();
    assert_eq!(call["cut_short"], "interrupted");
    let completed = number(&call["completed"]);
    assert!(completed > 0 && completed < number(&call["requests"]), "{completed}");
}

/// One line a second during a call, each with the scores since the line before.
#[test]
fn kill_9_leaves_what_was_completed_a_moment_before() {
    let context = TestContext::new();
    let mut child = start(&context, &[]);
    wait_for_progress(&context, 2);
    signal(&child, "-KILL");
    child.wait().unwrap();
    let text = fs::read_to_string(context.folder.path().join("run/events.jsonl")).unwrap();
    let complete = &text[..text.rfind('\n').unwrap() + 1];
    let events: Vec<Value> =
        complete.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(of_kind(&events, "score").is_empty());
    let lines = of_kind(&events, "score-progress");
    let mut sum = 0;
    for line in &lines {
        sum += line["results"].as_array().unwrap().len() as u64;
        assert_eq!(number(&line["completed"]), sum);
        assert!(number(&line["scored_tokens"]) >= sum * 24);
    }
    assert!(sum > 0);
    assert_eq!(results(&lines), (0..sum).collect::<Vec<_>>());
    for pair in lines.windows(2) {
        let apart = number(&pair[1]["t_ns"]) - number(&pair[0]["t_ns"]);
        assert!(apart >= 900_000_000, "{apart} ns between lines");
    }
}

/// Makes a copy of the GPT-2 fixture in which the embedding of a token overflows.
fn overflowing(context: &TestContext, token: usize) -> String {
    let from = fixtures().join("families/gpt2-untied");
    let to = context.folder.path().join("overflowing");
    fs::create_dir(&to).unwrap();
    fs::copy(from.join("config.json"), to.join("config.json")).unwrap();
    let mut bytes = fs::read(from.join("model.safetensors")).unwrap();
    let head = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let tensors: Value = serde_json::from_slice(&bytes[8..head]).unwrap();
    let embedding = &tensors["transformer.wte.weight"];
    let width = number(&embedding["shape"][1]) as usize;
    let start = head + number(&embedding["data_offsets"][0]) as usize + token * width * 4;
    for place in 0..width {
        bytes[start + 4 * place..][..4].copy_from_slice(&3e38f32.to_le_bytes());
    }
    fs::write(to.join("model.safetensors"), bytes).unwrap();
    Path::new(&to).to_str().unwrap().to_owned()
}

#[test]
fn a_logit_that_is_not_a_number_fails_its_own_request_only() {
    let context = TestContext::new();
    let (model, component) = (overflowing(&context, 92), guest("score_lists"));
    // The last token is never run through the model.
    let requests = "requests=1,2>3,4;5,92>6,7;8>9;10,11>92";
    let args = ["exec", &component, "--model", &model, "--dtype", "f32", "-p", requests];
    context.llem(&args).refused(1, &["not a number"]);
    let (events, record) = (context.events(), context.record());
    let call = of_kind(&events, "score")[0];
    assert_eq!(results(&[call]), [0, 2, 3]);
    assert_eq!((number(&call["completed"]), number(&call["scored_tokens"])), (3, 4));
    assert!(call["cut_short"].as_str().unwrap().contains("not a number"));
    // All four requests ran.
    assert_eq!(number(&call["window"]["activity"]["requests"]), 4);
    assert_eq!(number(&record["score_groups"][0]["requests"]), 3);
}

#[test]
fn a_rank_that_dies_leaves_what_was_completed() {
    let context = TestContext::new();
    let component = guest("many_scores");
    let args = ["exec", &component, "--tp", "2", "--rank-timeout", "5"];
    let launched = Launch::start(&context, &args, 2);
    wait_for_progress(&context, 1);
    launched.signal(1, "-KILL");
    launched.end().remove(0).refused(1, &["rank 1 failed"]);
    let events = context.events();
    let call = of_kind(&events, "score")[0];
    assert!(call["cut_short"].as_str().unwrap().contains("rank 1 failed"));
    let mut lines = of_kind(&events, "score-progress");
    lines.push(call);
    assert!(number(&call["completed"]) > 0);
    assert_eq!(results(&lines).len() as u64, number(&call["completed"]));
}

/// A refused call runs nothing and measures nothing; the error names the fault.
#[test]
fn what_cannot_be_scored_is_refused_before_any_of_it_is_run() {
    let (model, component) = (model(), guest("score_lists"));
    for (lists, words) in [
        ("requests=1>2;1>", &["score request 1", "at least one token"]),
        ("requests=1>200", &["score request 0", "token 200 is beyond the vocabulary"]),
        ("texts=1,2;3,999", &["text 1", "token 999 is beyond the vocabulary"]),
    ] {
        let context = TestContext::new();
        let ran = context.llem(&["exec", &component, "--model", &model, "-p", lists]);
        ran.refused(2, words);
        assert!(of_kind(&context.events(), "score").is_empty());
    }
}
