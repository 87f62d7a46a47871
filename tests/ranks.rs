//! Ranks as a user meets them: processes of a launcher, ranks that fail, splits that cannot be, and what
//! stands in the record.

use crate::support::{Desk, Launched, Ran, fixtures, guest, of_kind};
use serde_json::{Value, json};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

fn model() -> String {
    fixtures().join("llama/untied-llama3").to_str().unwrap().to_owned()
}

#[test]
fn processes_give_what_one_rank_gives() {
    let desk = Desk::new();
    let model = model();
    let args = ["generate", &model, "--tokens", "1,2,3,4,5", "--dtype", "f32", "--json"];
    let alone = desk.llem(&args).ok().json();
    for split in [&["--tp", "2"][..], &["--pp", "3"], &["--tp", "2", "--pp", "2"]] {
        let ranks = split.iter().filter_map(|word| word.parse::<usize>().ok()).product();
        let mut ended = Launched::start(&desk, &[&args[..], split].concat(), ranks).end();
        let first = ended.remove(0).ok().json();
        assert_eq!(first["tokens"], alone["tokens"], "{split:?}");
        assert_eq!(first["model"]["digest"], alone["model"]["digest"]);
        assert_eq!(first["model"]["ranks"].as_array().unwrap().len(), ranks);
        for other in ended {
            assert_eq!((other.ok().stdout, String::new()), (String::new(), String::new()));
        }
    }
}

/// An experiment runs in rank 0, whose record it is; adapters reach every rank.
#[test]
fn an_experiment_over_processes() {
    let desk = Desk::new();
    let (model, throughput) = (model(), guest("throughput"));
    let adapter = fixtures().join("adapters/llama-all-linear-r64");
    let mut args = vec!["exec", &throughput, "--model", &model, "--tp", "2", "-p", "batch=1,3"];
    args.extend(["-p", "prompt-tokens=9", "-p", "new-tokens=4", "-p", "rounds=1"]);
    args.extend(["--adapter", adapter.to_str().unwrap()]);
    for ended in Launched::start(&desk, &args, 2).end() {
        ended.ok();
    }
    let record = desk.record();
    assert_eq!(record["status"], "completed");
    assert_eq!(record["models"][0]["ranks"].as_array().unwrap().len(), 2);
    assert_eq!(record["adapters"][0]["modules"], 3 * 7);
}

/// Waits until the journal holds a measured request.
fn wait_for_a_request(desk: &Desk) {
    let journal = desk.folder.path().join("run/events.jsonl");
    let patience = Instant::now() + Duration::from_secs(30);
    while !fs::read_to_string(&journal).is_ok_and(|events| events.contains("\"generation\"")) {
        assert!(Instant::now() < patience, "nothing was measured");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A rank that dies is named at once, one that hangs within the deadline; all processes end, and what was
/// measured until then is kept.
#[test]
fn a_rank_that_dies_or_hangs_ends_the_run_and_loses_nothing() {
    for (signal, reason) in [("-KILL", "its process ended"), ("-STOP", "it hangs")] {
        let desk = Desk::new();
        let requests = guest("many_requests");
        let args = ["exec", &requests, "--tp", "4", "--rank-timeout", "5"];
        let launched = Launched::start(&desk, &args, 4);
        wait_for_a_request(&desk);
        let signalled = Instant::now();
        launched.signal(2, signal);
        let mut first = launched.0;
        let mut others = first.split_off(1);
        let ran = Ran::of(first.remove(0).wait_with_output().unwrap());
        assert!(signalled.elapsed() < Duration::from_secs(10), "{:?}", signalled.elapsed());
        ran.refused(1, &["rank 2 failed", reason]);
        let mut hung = others.remove(1);
        for other in others {
            let ran = Ran::of(other.wait_with_output().unwrap());
            ran.refused(1, &["rank"]);
        }
        // Only the one that this test has stopped is still there.
        hung.kill().unwrap();
        hung.wait().unwrap();
        let (record, events) = (desk.record(), desk.events());
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
    let desk = Desk::new();
    let args = ["generate", "synthetic:tiny", "a", "--tp", "4", "--rank-timeout", "5"];
    let mut launched = Launched::start(&desk, &args, 4);
    let mut third = launched.0.remove(3);
    third.kill().unwrap();
    third.wait().unwrap();
    // It may have come and gone, or never have come.
    let ran = launched.end().remove(0);
    assert!(ran.code == Some(2) || ran.code == Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("rank 3"), "{}", ran.stderr);
}

/// What launchers and shells leave behind, a run of one process passes over.
#[test]
fn leftovers_of_launchers_do_no_harm() {
    for left in [
        &[("RANK", "0"), ("WORLD_SIZE", "2")][..],
        &[("RANK", ""), ("WORLD_SIZE", "2"), ("MASTER_PORT", "none")],
        &[("SLURM_STEP_ID", "4294967290"), ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2")],
    ] {
        let desk = Desk::new();
        let generate = ["generate", "synthetic:tiny", "a", "--max-new-tokens", "2"];
        for args in [&generate[..], &["exec", &guest("noop")]] {
            let mut command = desk.command(args);
            Ran::of(command.envs(left.iter().copied()).output().unwrap()).ok();
        }
    }
    // A split in an interactive step has nobody to wait for.
    let desk = Desk::new();
    let args = ["generate", "synthetic:tiny", "a", "--max-new-tokens", "2", "--tp", "2"];
    let mut command = desk.command(&args);
    command.env("SLURM_STEP_ID", "4294967290").env("SLURM_PROCID", "0").env("SLURM_NTASKS", "2");
    Ran::of(command.output().unwrap()).ok();
}

/// Several runs beside one another would measure each other.
#[test]
fn processes_of_a_launcher_without_a_split_are_told() {
    let desk = Desk::new();
    let torchrun = [("TORCHELASTIC_RUN_ID", "none"), ("LOCAL_WORLD_SIZE", "2")];
    let quickstart = ["exec", "quickstart", "-p", "rounds=1", "-p", "new-tokens=2"];
    for args in [&quickstart[..], &["generate", "synthetic:tiny", "a"]] {
        for ran in Launched::start_with(&desk, args, 2, &torchrun).end() {
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
        let mut command = desk.command(&["generate", "synthetic:tiny", "a"]);
        let ran = Ran::of(command.envs(variables.iter().copied()).output().unwrap());
        ran.refused(2, &["started 2 processes", "--tp 2"]);
    }
}

/// Of a launch that does not fit the split, every process says so.
#[test]
fn a_launch_of_another_size_is_refused() {
    let desk = Desk::new();
    for split in [&["--tp", "4"][..], &["--dp", "2"]] {
        let args = [&["generate", "synthetic:tiny", "a"][..], split].concat();
        for ran in Launched::start(&desk, &args, 2).end() {
            ran.refused(
                2,
                &[if split[0] == "--dp" { "--dp" } else { "2 processes were launched" }],
            );
        }
    }
}

/// Before any weights are read: this model's are not there at all.
#[test]
fn splits_that_cannot_be_are_refused_and_the_others_listed() {
    let desk = Desk::new();
    let folder = desk.folder.path().join("model");
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
        desk.llem(&args).refused(2, words);
    };
    refuse("--tp 3", &["--tp 3", "4 query and 1 key heads", "--tp 1, 2 or 4"]);
    refuse("--pp 3", &["--pp 3", "--pp 1 to 2"]);
    refuse("--tp 0", &["at least 1"]);
    refuse("--tp 2 --microbatches 0", &["at least 1"]);
    refuse("--tp 2 --rank-timeout 0", &["--rank-timeout"]);
    let args = ["generate", "synthetic:tiny", "a", "--tp", "2", "--ep"];
    desk.llem(&args).refused(2, &["--ep", "none"]);
    // With a split that can be, the weights are read, and refused.
    refuse("--tp 2 --pp 2", &["NaN"]);
}

/// A script may have as many ranks as were granted.
#[test]
fn a_script_splits_within_its_grant() {
    let desk = Desk::new();
    let splits = guest("splits");
    desk.llem(&["exec", &splits]).refused(2, &["--max-ranks 2"]);
    let desk = Desk::new();
    desk.llem(&["exec", &splits, "--max-ranks", "4"]).ok();
    let record = desk.record();
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
    // Replicas change what is measured, and the record says so once.
    let warnings = record["warnings"].as_array().unwrap();
    assert_eq!(
        warnings.iter().filter(|text| text.as_str().unwrap().contains("replicas")).count(),
        1
    );
    let layers: Vec<_> =
        models[3]["ranks"].as_array().unwrap().iter().map(|r| r["layers"].clone()).collect();
    assert_eq!(layers, [2, 2, 2, 2]);
    let events = desk.events();
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

/// Static and continuous batches, with adapters, on every kind of split: components that compare each
/// sequence with itself alone.
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
            // Each replica runs its own chunk, and this component counts on one.
            if name == "continuous" && split.contains("dp") {
                continue;
            }
            let desk = Desk::new();
            let component = guest(name);
            let mut args = vec!["exec", &component, "--dtype", "f32"];
            args.extend(split.split(' '));
            let ran = desk.llem(&args);
            assert_eq!(ran.code, Some(0), "{name} {split}: {}", ran.stderr);
        }
    }
}

/// A terminal signals every process; rank 0 ends the run in good order, and the others with it.
#[test]
fn ctrl_c_reaches_all_and_ends_the_run_in_good_order() {
    let desk = Desk::new();
    let requests = guest("many_requests");
    let launched = Launched::start(&desk, &["exec", &requests, "--tp", "2"], 2);
    wait_for_a_request(&desk);
    launched.signal(1, "-INT");
    launched.signal(0, "-INT");
    let mut ended = launched.end();
    ended.remove(0).refused(130, &["interrupted"]);
    ended.remove(0).ok();
    assert_eq!(desk.record()["status"], "interrupted");
}

/// With cores to spare each rank has threads of its own.
#[test]
fn ranks_with_several_threads_each() {
    let desk = Desk::new();
    let prompt: Vec<String> = (0..300).map(|index| (index * 7 % 500).to_string()).collect();
    let prompt = prompt.join(",");
    let args =
        ["generate", "synthetic:tiny", "--json", "--max-new-tokens", "8", "--tokens", &prompt];
    let alone = desk.llem(&args).ok().json();
    let mut command = desk.command(&[&args[..], &["--tp", "2"]].concat());
    let ran = Ran::of(command.env("RAYON_NUM_THREADS", "8").output().unwrap()).ok();
    assert_eq!(ran.json()["tokens"], alone["tokens"]);
}

/// A model over processes is gone when its drop has returned, and the next may be loaded at once.
#[test]
fn models_follow_one_another_over_processes() {
    let (desk, again) = (Desk::new(), guest("loads_again"));
    let args = ["exec", &again, "--tp", "2", "-p", "rounds=30", "-p", "batch=true"];
    for ended in Launched::start(&desk, &args, 2).end() {
        ended.ok();
    }
    assert_eq!(desk.record()["models"].as_array().unwrap().len(), 30);
}
