//! All commands except `exec`.

use crate::support::{TestContext, fixtures, guest};

#[test]
fn inspect_shows_what_a_component_is() {
    let shown = TestContext::new().llem(&["inspect", "quickstart", "--json"]).ok().json();
    assert_eq!(shown["roles"][0], "experiment");
    assert_eq!(shown["parameters"][0]["name"], "new-tokens");
    assert_eq!(shown["datasets"][0]["name"], "prompts");
    let imports = shown["imports"].as_array().unwrap();
    assert!(
        imports.iter().all(|import| import.as_str().unwrap().starts_with("llem:experiment/")),
        "{imports:?}"
    );
    assert!(shown["digest"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn inspect_refuses_what_exec_refuses() {
    TestContext::new()
        .llem(&["inspect", &guest("unknown_import")])
        .refused(2, &["test:hostile/secrets"]);
}

#[test]
fn doctor_names_the_cpu_and_every_source_or_its_reason() {
    let shown = TestContext::new().llem(&["doctor", "--json"]).ok().json();
    assert_eq!(shown["devices"][0]["id"], "cpu");
    for counter in shown["counters"].as_array().unwrap() {
        assert!(counter["source"].is_string() || counter["unavailable"].is_string());
    }
    TestContext::new().llem(&["doctor"]).ok();
}

#[test]
fn schema_describes_the_record() {
    let context = TestContext::new();
    let schema = context.llem(&["schema"]).ok().json();
    context.llem(&["exec", &guest("noop")]).ok();
    let record = context.record();
    let named: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    for field in record.as_object().unwrap().keys() {
        assert!(named.contains(&field), "run.json has the undescribed field {field}");
    }
    let required = schema["required"].as_array().unwrap();
    assert!(required.iter().all(|field| !record[field.as_str().unwrap()].is_null()));
    assert_eq!(record["schema_version"], "3.0");
}

#[test]
fn the_byte_tokenizer_gives_a_token_a_byte() {
    let generate = |prompt: &str| {
        TestContext::new().llem(&["generate", "synthetic:tiny", prompt, "--json"]).ok().json()
    };
    assert_eq!(generate("hello")["prompt_tokens"], 5);
    assert_eq!(generate("é ∑\n")["prompt_tokens"], 7);
    let by_text = generate("Hi");
    let args = ["generate", "synthetic:tiny", "--tokens", "72,105", "--json"];
    assert_eq!(by_text["tokens"], TestContext::new().llem(&args).ok().json()["tokens"]);
}

#[test]
fn sampling_follows_its_seed_and_its_limits() {
    let generate = |more: &[&str]| {
        let mut args = vec!["generate", "synthetic:tiny", "once", "--json", "--ignore-eos"];
        args.extend(more);
        TestContext::new().llem(&args).ok().json()["tokens"].clone()
    };
    let greedy = generate(&[]);
    // The seed also makes the model's weights, so only sampling options may differ here.
    assert_eq!(generate(&["--temperature", "1.0", "--top-k", "1"]), greedy);
    assert_eq!(generate(&["--temperature", "1.0", "--top-p", "1e-9"]), greedy);
    let drawn = generate(&["--temperature", "2.0"]);
    assert_eq!(generate(&["--temperature", "2.0"]), drawn);
    assert_ne!(drawn, greedy);
    // A penalty that strong forbids every repetition.
    let penalised = generate(&["--repetition-penalty", "1e6"]);
    let tokens: std::collections::BTreeSet<u64> =
        penalised.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    assert_eq!(tokens.len(), 32);
}

#[test]
fn eos_ends_a_sequence_unless_it_is_ignored() {
    let model = fixtures().join("llama/tied");
    let context = TestContext::new();
    let folder = context.folder.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(model.join(name), folder.join(name)).unwrap();
    }
    let folder = folder.to_str().unwrap();
    let generate = |more: &[&str]| {
        let mut args =
            vec!["generate", folder, "--tokens", "5,6,7", "--max-new-tokens", "8", "--json"];
        args.extend(more);
        context.llem(&args).ok().json()
    };
    let free = generate(&["--ignore-eos"]);
    let third = &free["tokens"][2];
    let first_of_it =
        free["tokens"].as_array().unwrap().iter().position(|token| token == third).unwrap();
    // generation_config.json takes precedence over config.json, and may name several tokens.
    std::fs::write(
        format!("{folder}/generation_config.json"),
        format!("{{\"eos_token_id\": [{third}, 199]}}"),
    )
    .unwrap();
    let ended = generate(&[]);
    assert_eq!(ended["finish"], "eos");
    assert_eq!(ended["tokens"].as_array().unwrap().len(), first_of_it + 1);
    assert_eq!(generate(&["--ignore-eos"])["tokens"], free["tokens"]);
}

#[test]
fn a_config_gives_a_synthetic_model_its_shape() {
    let config = fixtures().join("llama/biased-mha/config.json");
    let model = format!("synthetic:{}", config.display());
    let ran = TestContext::new()
        .llem(&["generate", &model, "--tokens", "1,2", "--json", "--ignore-eos", "--dtype", "bf16"])
        .ok();
    assert_eq!(ran.json()["tokens"].as_array().unwrap().len(), 32);
}

/// Compares with transformers on the same tokenizer and model (`fixtures/make-tokenizer`).
#[test]
fn text_is_tokenized_as_transformers_does() {
    let context = TestContext::new();
    let folder = context.folder.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    for source in
        ["llama/tied/config.json", "llama/tied/model.safetensors", "tokenizer/tokenizer.json"]
    {
        let source = fixtures().join(source);
        std::fs::copy(&source, folder.join(source.file_name().unwrap())).unwrap();
    }
    let expected = std::fs::read(fixtures().join("tokenizer/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
    let generate = |more: &[&str]| {
        let mut args =
            vec!["generate", folder.to_str().unwrap(), "--max-new-tokens", "16", "--json"];
        args.extend(more);
        context.llem(&args).ok().json()
    };
    for case in expected["cases"].as_array().unwrap() {
        let prompt = case["prompt"].as_str().unwrap();
        let output = generate(&[prompt, "--ignore-eos"]);
        assert_eq!(
            output["prompt_tokens"],
            case["prompt_ids"].as_array().unwrap().len(),
            "{prompt}"
        );
        assert_eq!(output["tokens"], case["tokens"], "{prompt}");
        assert_eq!(output["text"], case["text"], "{prompt}");
    }
    // A stop string ends a sequence with the token that completes it.
    let case = &expected["cases"][0];
    let text = case["text"].as_str().unwrap();
    let stop: String = text.chars().skip(text.chars().count() / 2).take(3).collect();
    let stopped = generate(&[case["prompt"].as_str().unwrap(), "--ignore-eos", "--stop", &stop]);
    assert_eq!(stopped["finish"], "stop");
    let shorter = stopped["text"].as_str().unwrap();
    assert!(
        text.starts_with(shorter) && shorter.contains(&stop) && shorter.len() < text.len(),
        "{shorter} of {text}"
    );
}

#[test]
fn every_number_format_runs() {
    for dtype in ["f32", "bf16", "f16"] {
        let ran = TestContext::new()
            .llem(&["generate", "synthetic:tiny", "hello", "--dtype", dtype, "--json"])
            .ok();
        assert_eq!(ran.json()["model"]["dtype"], dtype);
    }
}

/// Compares with torch's count for the same folder (`fixtures/make-flops`), for a batch of two sequences.
#[test]
fn flops_are_those_that_torch_counts() {
    let text = std::fs::read_to_string(fixtures().join("flops.json")).unwrap();
    let torch: serde_json::Value = serde_json::from_str(&text).unwrap();
    let torch = &torch["models"]["families/mixtral"];
    let model = fixtures().join("families/mixtral");
    let args = [
        "--batch",
        "2",
        "--prompt-tokens",
        "24",
        "--new-tokens",
        "13",
        "--logits",
        "all",
        "--json",
    ];
    let args = [&["flops", model.to_str().unwrap()], &args[..]].concat();
    let ours = TestContext::new().llem(&args).ok().json();
    let steps: f64 =
        torch["steps"].as_array().unwrap().iter().map(|step| step.as_f64().unwrap()).sum();
    assert_eq!(ours["executed"]["flops_prefill"], torch["prefill"].as_f64().unwrap());
    assert_eq!(ours["executed"]["flops_decode"], steps);
    assert!(ours["needed"]["flops_prefill"].as_f64() < ours["executed"]["flops_prefill"].as_f64());
    assert_eq!(ours["estimated"], true);
}

/// Returns the heading above each option in a command's help.
fn headings(command: &str) -> std::collections::BTreeMap<String, String> {
    let help = TestContext::new().llem(&[command, "--help"]).ok().stdout;
    let (mut heading, mut found) = (String::new(), std::collections::BTreeMap::new());
    for line in help.lines() {
        match line.strip_suffix(':').filter(|line| !line.starts_with(' ')) {
            Some(text) => heading = text.to_owned(),
            None => {
                let words = line.trim_start().split([' ', ',']);
                let options = words.take_while(|word| word.starts_with('-') || word.is_empty());
                found.extend(options.map(|option| (option.to_owned(), heading.clone())));
            }
        }
    }
    found
}

#[test]
fn options_stand_under_headings_that_fit_them() {
    let exec = headings("exec");
    for (heading, options) in [
        ("Options", "--warmup --workload --metrics --model --dtype --device --seed"),
        ("Parallelism", "--tp --pp --dp --ep --max-ranks --rank-timeout"),
        ("Metering", "--power-model --sample-period --align-windows --no-timeline --baseline"),
        ("Watching", "--serve-metrics --otlp-endpoint"),
        ("Adapters", "--adapter --merge"),
        ("Parameters and datasets", "-p --dataset"),
        ("Record", "--out --json"),
        ("Limits", "--deadline --max-memory --max-resources --max-models --max-output --max-call"),
    ] {
        for option in options.split(' ') {
            assert_eq!(exec.get(option).map(String::as_str), Some(heading), "{option}: {exec:?}");
        }
    }
    let generate = headings("generate");
    for (heading, options) in [
        ("Parallelism", "--tp --rank-timeout"),
        ("Adapters", "--adapter --merge"),
        ("Generation", "--max-new-tokens --stop --temperature --top-p"),
        ("Output", "--json --logits"),
    ] {
        for option in options.split(' ') {
            assert_eq!(generate.get(option).map(String::as_str), Some(heading), "{option}");
        }
    }
}

/// The record of a run holds its limits.
#[test]
fn limits_are_those_of_the_options() {
    let limits = |options: &[&str]| {
        let context = TestContext::new();
        context.llem(&[&["exec", &guest("noop")], options].concat()).ok();
        context.record()["limits"].clone()
    };
    let expected = serde_json::json!({
        "deadline_s": 86_400, "memory_bytes": 1 << 30, "resources": 10_000, "models": 16,
        "output_bytes": 100 << 20, "call_bytes": 64 << 20,
    });
    assert_eq!(limits(&[]), expected);
    let given = "--deadline 60 --max-memory 64 --max-resources 5 --max-models 3 --max-output 2 --max-call 1";
    let expected = serde_json::json!({
        "deadline_s": 60, "memory_bytes": 64 << 20, "resources": 5, "models": 3,
        "output_bytes": 2 << 20, "call_bytes": 1 << 20,
    });
    assert_eq!(limits(&given.split(' ').collect::<Vec<_>>()), expected);
}

#[test]
fn numbers_out_of_range_are_refused_with_their_option() {
    let exec = |option: &str, values: &[&str], sentence: &str| {
        for value in values {
            let option_and_value = format!("{option}={value}");
            let ran = TestContext::new().llem(&["exec", "quickstart", &option_and_value]);
            ran.refused(2, &[option, value, sentence]);
        }
    };
    let times = "from 0.001 to 1000000000 s";
    for option in ["--deadline", "--rank-timeout", "--baseline"] {
        exec(option, &["0", "-1", "nan", "inf", "1e10", "soon"], times);
    }
    exec("--sample-period", &["0", "0.9", "10001", "nan"], "from 1 to 10000 ms");
    for option in ["--max-memory", "--max-resources", "--max-models", "--max-output", "--max-call"]
    {
        exec(option, &["0", "-1", "4294967296"], "1..=4294967295");
    }
    for option in ["--batch", "--prompt-tokens", "--new-tokens"] {
        let mut args = vec!["flops", "synthetic:tiny"];
        let others = ["--batch=2", "--prompt-tokens=3", "--new-tokens=4"];
        args.extend(others.iter().filter(|other| !other.starts_with(option)));
        let zero = format!("{option}=0");
        args.push(&zero);
        TestContext::new().llem(&args).refused(2, &[option]);
    }
}
