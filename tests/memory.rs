//! Memory grows linearly with a prompt's length, and holds the weights once.
#![cfg(target_os = "linux")]

use crate::support::{CommandOutput, Launch, TestContext, guest};
use std::{
    io::Read,
    mem::MaybeUninit,
    os::unix::process::CommandExt,
    process::{Child, Stdio},
};

/// Runs the binary, which must succeed, and returns its peak resident set, bytes.
fn peak(context: &TestContext, args: &[&str]) -> i64 {
    peak_of(context.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Waits for a process, which must succeed, and returns its peak resident set, bytes.
#[allow(clippy::zombie_processes, reason = "wait4 waits for it, and tells its memory")]
fn peak_of(child: Child) -> i64 {
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::uninit());
    // SAFETY: the child is our own and not waited for elsewhere; both places may be written.
    let usage = unsafe {
        libc::wait4(child.id() as i32, &mut status, 0, usage.as_mut_ptr());
        usage.assume_init()
    };
    let mut words = String::new();
    child.stderr.map(|mut stderr| stderr.read_to_string(&mut words));
    assert_eq!(status, 0, "{words}");
    usage.ru_maxrss * 1024
}

/// Writes the config of a Llama, and returns it as a synthetic model.
fn config(
    context: &TestContext,
    hidden: usize,
    keys: usize,
    layers: usize,
    positions: usize,
) -> String {
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": hidden, "intermediate_size": 3 * hidden, "num_hidden_layers": layers,
        "num_attention_heads": 4, "num_key_value_heads": keys, "vocab_size": 512,
        "max_position_embeddings": positions, "tie_word_embeddings": true,
    });
    format!("synthetic:{}", context.file("config.json", config.to_string()))
}

#[test]
fn a_prompt_of_16k_tokens_takes_linear_memory() {
    let context = TestContext::new();
    let model = config(&context, 64, 2, 2, 32768);
    let run = |length: usize| {
        let tokens: Vec<String> = (0..length).map(|index| (index % 500).to_string()).collect();
        peak(
            &context,
            &["generate", &model, "--tokens", &tokens.join(","), "--max-new-tokens", "2"],
        )
    };
    let (short, long) = (run(4096), run(16384));
    // Keys and values take 512 bytes a token in f32, and rows of a pass little more; the scores of all pairs of one head
    // would take a gigabyte.
    let a_token = (long - short) / (16384 - 4096);
    assert!(a_token < 4096, "{a_token} bytes a token");
}

#[test]
fn weights_are_in_memory_once() {
    let context = TestContext::new();
    let run = |hidden: usize| {
        let model = config(&context, hidden, 2, 4, 512);
        peak(&context, &["generate", &model, "--tokens", "1,2,3", "--max-new-tokens", "2"])
    };
    let bytes = |hidden: i64| 4 * (512 * hidden + 4 * (3 + 9) * hidden * hidden);
    let (small, large) = (run(64), run(1536));
    let share = (large - small) as f64 / (bytes(1536) - bytes(64)) as f64;
    assert!(share < 1.1, "{share} times the weights");
}

/// Each of four ranks reads and holds only its part.
#[test]
fn each_rank_has_its_part_in_memory() {
    let context = TestContext::new();
    let prompt: Vec<String> = (0..64).map(|index| index.to_string()).collect();
    let prompt = prompt.join(",");
    let run = |hidden: usize| {
        let model = config(&context, hidden, 4, 4, 512);
        let args = ["generate", &model, "--tokens", &prompt, "--max-new-tokens", "2", "--tp", "4"];
        // Huge pages add a megabyte on average to each matrix, and these have three megabytes.
        let launched = Launch::start_with(&context, &args, 4, &[("MIMALLOC_ALLOW_THP", "0")]);
        launched.0.into_iter().map(peak_of).collect::<Vec<_>>()
    };
    // Each layer has four matrices of attention, and three of an MLP that is three times as wide.
    let weights = |hidden: i64| 4 * (512 * hidden + 4 * (4 + 9) * hidden * hidden);
    // The keys and values of 128 tokens.
    let cache = |hidden: i64| 4 * 4 * 2 * 128 * hidden / 4;
    for (small, large) in run(64).into_iter().zip(run(1536)) {
        let grown = large - small - cache(1536) + cache(64);
        let share = grown as f64 / (weights(1536) - weights(64)) as f64;
        assert!(share < 0.3, "{share} of the weights");
    }
}

/// Batches of several sizes in turn: after each has run once, no request reserves KV memory.
#[test]
fn batches_in_turn_find_their_memory() {
    const SIZES: usize = 3;
    for ranks in [1, 2] {
        let context = TestContext::new();
        let (throughput, split) = (guest("throughput"), ranks.to_string());
        let mut args = vec!["exec", &throughput, "--model", "synthetic:tiny", "--tp", &split];
        for parameter in ["batch=5,1,3", "prompt-tokens=40", "new-tokens=30", "rounds=3"] {
            args.extend(["-p", parameter]);
        }
        let mut command = context.command(&args);
        command.env("LLEM_LOG", "llem_engine=debug").env("NO_COLOR", "1");
        let ran = CommandOutput::from_output(command.output().unwrap()).ok();
        let made: Vec<usize> = ran
            .stderr
            .lines()
            .filter_map(|line| line.split_once("made=")?.1.split_whitespace().next()?.parse().ok())
            .collect();
        assert!(made.len() >= 3 * SIZES * ranks, "{}", ran.stderr);
        assert_eq!(made.iter().max(), Some(&5), "{made:?}");
        assert!(made[made.len() - 2 * SIZES * ranks..].iter().all(|&made| made == 0), "{made:?}");
    }
}

/// Dropping a model frees its memory before the next is loaded, even if a batch of it is open.
#[test]
fn models_that_follow_one_another_are_not_in_memory_together() {
    let model = |context: &TestContext| config(context, 512, 4, 4, 64);
    let weights = 4 * (512 * 512 + 4 * (4 + 9) * 512 * 512);
    for batch in ["batch=false", "batch=true"] {
        let run = |rounds: &str| {
            let (context, again) = (TestContext::new(), guest("loads_again"));
            let args = ["exec", &again, "--model", &model(&context), "-p", rounds, "-p", batch];
            // Huge pages would make the resident set depend on chance.
            let mut command = context.command(&args);
            command.env("MIMALLOC_ALLOW_THP", "0").env("MIMALLOC_PURGE_DELAY", "0");
            peak_of(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        };
        let (one, twenty) = (run("rounds=1"), run("rounds=20"));
        let more = (twenty - one) as f64 / f64::from(weights);
        assert!(more < 0.5, "{batch}: {more} models more");
    }
}

/// Runs the binary with a limit of its address space, bytes.
fn within(context: &TestContext, addresses: u64, args: &[&str]) -> CommandOutput {
    let mut command = context.command(args);
    let limit = libc::rlimit { rlim_cur: addresses, rlim_max: addresses };
    // SAFETY: setrlimit may be called between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_AS, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    CommandOutput::from_output(command.output().unwrap())
}

#[test]
fn weights_that_memory_does_not_hold_are_refused() {
    let generate = |model: &str, more: &[&str]| {
        let args = ["generate", model, "--tokens", "1,2", "--max-new-tokens", "1"];
        within(&TestContext::new(), 12 << 30, &[&args[..], more].concat())
    };
    let signs = ["llama-3.1-8b", "f32", "29.9 GiB", "are free", "--dtype bf16"];
    generate("synthetic:llama-3.1-8b", &["--dtype", "f32"]).refused(2, &signs);
    // Four replicas of a model that would fit once.
    let signs = ["smollm2-135m", "f32", "(tp1 pp1 dp40)", "are free", "fewer replicas"];
    generate("synthetic:smollm2-135m", &["--dtype", "f32", "--dp", "40"]).refused(2, &signs);
    let most = u64::MAX.to_string();
    generate("synthetic:tiny", &["--dp", &most]).refused(2, &["ranks", "fewer"]);
    generate("synthetic:tiny", &[]).ok();
}

#[test]
fn batches_that_memory_does_not_hold_are_refused() {
    let context = TestContext::new();
    let args = ["exec", &guest("oversized_batches"), "--model", "synthetic:tiny"];
    within(&context, 16 << 30, &args).ok();
}

/// A model of few weights whose rows in a pass are wide.
#[test]
fn a_pass_that_memory_does_not_hold_is_refused() {
    let context = TestContext::new();
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 8, "intermediate_size": 1 << 22, "num_hidden_layers": 1,
        "num_attention_heads": 1, "vocab_size": 512, "max_position_embeddings": 4096,
    });
    let model = format!("synthetic:{}", context.file("config.json", config.to_string()));
    let prompt = vec!["1"; 1024].join(",");
    let args = ["generate", &model, "--tokens", &prompt, "--max-new-tokens", "1"];
    within(&context, 8 << 30, &args).refused(2, &["a pass of 1024 rows", "are free", "fewer"]);
}
