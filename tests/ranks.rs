//! Ranks through the command line: processes of a launcher, ranks that fail, impossible splits, and the record of a run.

use crate::support::{CommandOutput, Launch, TestContext, fixtures, guest, of_kind};
use serde_json::{Value, json};
use std::{fs, time::Duration};

fn model() -> String {
    fixtures().join("llama/untied-llama3").to_str().unwrap().to_owned()
}

#[test]
fn processes_give_what_one_rank_gives() {
    let context = TestContext::new();
    let model = model();
    let args = ["generate", &model, "--tokens", "1,2,3,4,5", "--dtype", "f32", "--json"];
    let alone = context.llem(&args).ok().json();
    for split in [&["--tp", "2"][..], &["--pp", "3"], &["--tp", "2", "--pp", "2"]] {
        let ranks = split.iter().filter_map(|word| word.parse::<usize>().ok()).product();
        let mut ended = Launch::start(&context, &[&args[..], split].concat(), ranks).end();
        let first = ended.remove(0).ok().json();
        assert_eq!(first["tokens"], alone["tokens"], "{split:?}");
        assert_eq!(first["model"]["digest"], alone["model"]["digest"]);
        assert_eq!(first["model"]["ranks"].as_array().unwrap().len(), ranks);
        for other in ended {
            assert_eq!((other.ok().stdout, String::new()), (String::new(), String::new()));
        }
    }
}

/// The experiment runs in rank 0, which writes the record; adapters reach every rank.
#[test]
fn an_experiment_over_processes() {
    let context = TestContext::new();
    let (model, throughput) = (model(), guest("throughput"));
    let adapter = fixtures().join("adapters/llama-all-linear-r64");
    let mut args = vec!["exec", &throughput, "--model", &model, "--tp", "2", "-p", "batch=1,3"];
    args.extend(["-p", "prompt-tokens=9", "-p", "new-tokens=4", "-p", "rounds=1"]);
    args.extend(["--adapter", adapter.to_str().unwrap()]);
    for ended in Launch::start(&context, &args, 2).end() {
        ended.ok();
    }
    let record = context.record();
    assert_eq!(record["status"], "completed");
    assert_eq!(record["models"][0]["ranks"].as_array().unwrap().len(), 2);
    assert_eq!(record["adapters"][0]["modules"], 3 * 7);
}

/// Waits until the journal holds a measured request.
fn wait_for_a_request(context: &TestContext) {
    context.wait_for_journal("\"generation\"", 1, Duration::from_secs(120));
}

/// A dead rank is named at once, a hanging one after `--rank-timeout`. All processes end, and earlier measurements are kept.
#[test]
fn a_rank_that_dies_or_hangs_ends_the_run_and_loses_nothing() {
    // A dead rank is named without any wait, so its timeout may be long.
    for (signal, reason, timeout) in
        [("-KILL", "its process ended", "600"), ("-STOP", "it hangs", "5")]
    {
        let context = TestContext::new();
        let requests = guest("many_requests");
        let args = ["exec", &requests, "--tp", "4", "--rank-timeout", timeout];
        let launched = Launch::start(&context, &args, 4);
        wait_for_a_request(&context);
        launched.signal(2, signal);
        let mut first = launched.0;
        let mut others = first.split_off(1);
        let ran = CommandOutput::from_output(first.remove(0).wait_with_output().unwrap());
        ran.refused(1, &["rank 2 failed", reason]);
        let mut hung = others.remove(1);
        for other in others {
            let ran = CommandOutput::from_output(other.wait_with_output().unwrap());
            ran.refused(1, &["rank"]);
        }
        // Only the rank that this test has stopped is still there.
        hung.kill().unwrap();
        hung.wait().unwrap();
        let (record, events) = (context.record(), context.events());
        assert_eq!(record["status"], "failed");
        assert!(record["error"].as_str().unwrap().contains("rank 2 failed"));
        let measured = of_kind(&events, "generation");
        let names = (0..measured.len()).map(|index| json!(format!("request {index}")));
        let labels: Vec<Value> =
            measured.iter().map(|request| request["window"]["label"].clone()).collect();
        assert_eq!(labels, names.collect::<Vec<_>>());
        assert_eq!(record["groups"].as_array().unwrap().len(), measured.len());
    }
}

#[test]
fn a_rank_that_never_comes_is_named() {
    let context = TestContext::new();
    let args = ["generate", "synthetic:tiny", "a", "--tp", "4", "--rank-timeout", "5"];
    let ran = Launch::start_some(&context, &args, 4, 0..3, &[]).end().remove(0);
    ran.refused(2, &[" of 4 has not come", "start every rank"]);
    // A busy machine may start others too late as well, so rank 3 is the last of those that are named.
    let named = ran.stderr.split_once(" of 4 has not come").unwrap().0;
    let named = named.rsplit_once("rank ").unwrap().1;
    assert_eq!(named.split(", ").last(), Some("3"), "{}", ran.stderr);
}

/// A run of one process ignores variables that launchers and shells leave behind.
#[test]
fn leftovers_of_launchers_do_no_harm() {
    for left in [
        &[("RANK", "0"), ("WORLD_SIZE", "2")][..],
        &[("RANK", ""), ("WORLD_SIZE", "2"), ("MASTER_PORT", "none")],
        &[("SLURM_STEP_ID", "4294967290"), ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2")],
    ] {
        let context = TestContext::new();
        let generate = ["generate", "synthetic:tiny", "a", "--max-new-tokens", "2"];
        for args in [&generate[..], &["exec", &guest("noop")]] {
            let mut command = context.command(args);
            CommandOutput::from_output(command.envs(left.iter().copied()).output().unwrap()).ok();
        }
    }
    // A split in an interactive step would wait for ranks that do not exist.
    let context = TestContext::new();
    let args = ["generate", "synthetic:tiny", "a", "--max-new-tokens", "2", "--tp", "2"];
    let mut command = context.command(&args);
    command.env("SLURM_STEP_ID", "4294967290").env("SLURM_PROCID", "0").env("SLURM_NTASKS", "2");
    CommandOutput::from_output(command.output().unwrap()).ok();
}

/// Without a split, several processes would each run the whole experiment and disturb one another's measurements.
#[test]
fn processes_of_a_launcher_without_a_split_are_told() {
    let context = TestContext::new();
    let torchrun = [("TORCHELASTIC_RUN_ID", "none"), ("LOCAL_WORLD_SIZE", "2")];
    let quickstart = ["exec", "quickstart", "-p", "rounds=1", "-p", "new-tokens=2"];
    for args in [&quickstart[..], &["generate", "synthetic:tiny", "a"]] {
        for ran in Launch::start_with(&context, args, 2, &torchrun).end() {
            ran.refused(
                2,
                &["torchrun started 2 processes", "--tp 2", "env -u TORCHELASTIC_RUN_ID"],
            );
        }
    }
    for variables in [
        &[("SLURM_STEP_ID", "0"), ("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_PROCID", "1")][..],
        &[("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_RANK", "1")],
    ] {
        let mut command = context.command(&["generate", "synthetic:tiny", "a"]);
        let ran =
            CommandOutput::from_output(command.envs(variables.iter().copied()).output().unwrap());
        ran.refused(2, &["started 2 processes", "--tp 2"]);
    }
}

/// If a launch does not fit the split, every process says so.
#[test]
fn a_launch_of_another_size_is_refused() {
    let context = TestContext::new();
    for split in [&["--tp", "4"][..], &["--dp", "2"]] {
        let args = [&["generate", "synthetic:tiny", "a"][..], split].concat();
        for ran in Launch::start(&context, &args, 2).end() {
            ran.refused(
                2,
                &[if split[0] == "--dp" { "--dp" } else { "2 processes were launched" }],
            );
        }
    }
}

/// The split is checked before weights are read: this model has none.
#[test]
fn splits_that_cannot_be_are_refused_and_the_others_listed() {
    let context = TestContext::new();
    let folder = context.folder.path().join("model");
    fs::create_dir(&folder).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixtures().join("families/mixtral").join(file), folder.join(file)).unwrap();
    }
    let weights = folder.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let end = bytes.len();
    bytes[end - 4000..].fill(0xff);
    fs::write(&weights, bytes).unwrap();
    let model = folder.to_str().unwrap();
    let refuse = |split: &str, words: &[&str]| {
        let mut args = vec!["generate", model, "--tokens", "1"];
        args.extend(split.split(' '));
        context.llem(&args).refused(2, words);
    };
    refuse("--tp 3", &["--tp 3", "4 query and 1 key heads", "--tp 1, 2 or 4"]);
    refuse("--pp 3", &["--pp 3", "--pp 1 to 2"]);
    refuse("--tp 0", &["at least 1"]);
    refuse("--tp 2 --microbatches 0", &["at least 1"]);
    refuse("--tp 2 --rank-timeout 0", &["--rank-timeout"]);
    let args = ["generate", "synthetic:tiny", "a", "--tp", "2", "--ep"];
    context.llem(&args).refused(2, &["--ep", "none"]);
    // With a possible split the weights are read, and found missing.
    refuse("--tp 2 --pp 2", &["NaN"]);
}

/// A script may use as many ranks as were granted.
#[test]
fn a_script_splits_within_its_grant() {
    let context = TestContext::new();
    let splits = guest("splits");
    context.llem(&["exec", &splits]).refused(2, &["--max-ranks 2"]);
    let context = TestContext::new();
    context.llem(&["exec", &splits, "--max-ranks", "4"]).ok();
    let record = context.record();
    let models = record["models"].as_array().unwrap();
    let split = |model: &Value| {
        let split = &model["parallelism"];
        json!([split["tensor"], split["pipeline"], split["data"]])
    };
    let all: Vec<Value> = models.iter().map(split).collect();
    assert_eq!(
        all,
        [json!([1, 1, 1]), json!([2, 1, 1]), json!([1, 2, 1]), json!([2, 2, 1]), json!([1, 1, 2])]
    );
    // Replicas change what is measured, so the record warns once.
    let warnings = record["warnings"].as_array().unwrap();
    assert_eq!(
        warnings.iter().filter(|text| text.as_str().unwrap().contains("replicas")).count(),
        1
    );
    let layers: Vec<_> =
        models[3]["ranks"].as_array().unwrap().iter().map(|r| r["layers"].clone()).collect();
    assert_eq!(layers, [2, 2, 2, 2]);
    let events = context.events();
    for request in of_kind(&events, "generation") {
        let ranks = request["window"]["ranks"].as_array().map_or(1, Vec::len);
        let label = request["window"]["label"].as_str().unwrap();
        assert_eq!(label.split_once(' ').unwrap().0, ranks.to_string());
        assert_eq!(request["window"]["devices_used"], 1, "ranks of the CPU are one device");
        for rank in request["window"]["ranks"].as_array().into_iter().flatten() {
            let seconds = rank["communication"]["value"].as_f64().unwrap();
            assert!(seconds > 0.0 || label.ends_with("dp2"), "{label}: {seconds}");
            assert!(seconds <= request["window"]["wall_ns"].as_f64().unwrap() * 1e-9);
        }
    }
}

/// Static and continuous batches with adapters on every kind of split. The components compare each sequence with the same
/// sequence alone.
#[test]
fn batches_on_several_ranks() {
    for split in [
        "--tp 2",
        "--pp 2",
        "--tp 2 --pp 2 --microbatches 2",
        "--dp 2",
        "--tp 4 --sharded-adapters",
    ] {
        for name in ["batch", "continuous", "adapters", "scores", "rolling"] {
            // Each replica runs its own chunk, but this component expects a single one.
            if name == "continuous" && split.contains("dp") {
                continue;
            }
            let context = TestContext::new();
            let component = guest(name);
            let mut args = vec!["exec", &component, "--dtype", "f32"];
            args.extend(split.split(' '));
            let ran = context.llem(&args);
            assert_eq!(ran.code, Some(0), "{name} {split}: {}", ran.stderr);
        }
    }
}

/// A terminal signals every process; rank 0 ends the run properly, and the others end with it.
#[test]
fn ctrl_c_reaches_all_and_ends_the_run_in_good_order() {
    let context = TestContext::new();
    let requests = guest("many_requests");
    let launched = Launch::start(&context, &["exec", &requests, "--tp", "2"], 2);
    wait_for_a_request(&context);
    launched.signal(1, "-INT");
    launched.signal(0, "-INT");
    let mut ended = launched.end();
    ended.remove(0).refused(130, &["interrupted"]);
    ended.remove(0).ok();
    assert_eq!(context.record()["status"], "interrupted");
}

/// Each rank has its own threads if there are cores enough.
#[test]
fn ranks_with_several_threads_each() {
    let context = TestContext::new();
    let prompt: Vec<String> = (0..300).map(|index| (index * 7 % 500).to_string()).collect();
    let prompt = prompt.join(",");
    let args =
        ["generate", "synthetic:tiny", "--json", "--max-new-tokens", "8", "--tokens", &prompt];
    let alone = context.llem(&args).ok().json();
    let mut command = context.command(&[&args[..], &["--tp", "2"]].concat());
    let ran =
        CommandOutput::from_output(command.env("RAYON_NUM_THREADS", "8").output().unwrap()).ok();
    assert_eq!(ran.json()["tokens"], alone["tokens"]);
}

/// A model over several processes is gone when its drop has returned, so the next can be loaded at once.
#[test]
fn models_follow_one_another_over_processes() {
    let (context, again) = (TestContext::new(), guest("loads_again"));
    let args = ["exec", &again, "--tp", "2", "-p", "rounds=30", "-p", "batch=true"];
    for ended in Launch::start(&context, &args, 2).end() {
        ended.ok();
    }
    assert_eq!(context.record()["models"].as_array().unwrap().len(), 30);
}
