//! Command lines as the tools' documentation has them, and the commands of llem that come of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(missing_docs, reason = "tests are named for what they show")]

use llem_migrate::{Error, Migration, Note, Tool, migrate};
use std::fs;

/// Migrates a line that a shell would split.
fn line(line: &str) -> Result<Migration, Error> {
    migrate(&shlex::split(line).unwrap())
}

/// The commands that come of a line.
fn commands(text: &str) -> Vec<String> {
    line(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .commands
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn command(text: &str) -> String {
    let commands = commands(text);
    assert_eq!(commands.len(), 1, "{commands:?}");
    commands[0].clone()
}

/// The options that are left out.
fn left_out(text: &str) -> Vec<String> {
    let notes = line(text).unwrap().notes.into_iter();
    notes
        .filter(|note| matches!(note, Note::Untranslated { .. }))
        .map(|note| note.to_string())
        .collect()
}

fn error(text: &str) -> String {
    line(text).expect_err(text).to_string()
}

#[test]
fn vllm_bench_latency() {
    assert_eq!(
        command(
            "vllm bench latency --model meta-llama/Llama-3.2-1B --input-len 32 --output-len 1 --batch-size 1 \
                    --enforce-eager --load-format dummy"
        ),
        "llem exec scripts/vllm-bench --model meta-llama/Llama-3.2-1B -p input-len=32 -p output-len=1 -p \
                batch-size=1 -p mode=latency"
    );
    assert_eq!(
        left_out("vllm bench latency --model m/m --enforce-eager --load-format=dummy"),
        [
            "--enforce-eager: an option of vLLM's kernels; llem has its own",
            "--load-format dummy: llem maps safetensors and GGUF files"
        ]
    );
}

#[test]
fn vllm_bench_throughput_with_sharegpt() {
    assert_eq!(
        command(
            "vllm bench throughput --model NousResearch/Hermes-3-Llama-3.1-8B --dataset-name sharegpt \
                    --dataset-path ShareGPT_V3.json --num-prompts 10 -tp 2 --dtype half"
        ),
        "llem exec scripts/vllm-bench --model NousResearch/Hermes-3-Llama-3.1-8B --dtype f16 --tp 2 \
         --dataset prompts=ShareGPT_V3.json -p num-prompts=10 -p mode=throughput -p dataset-name=sharegpt"
    );
    assert!(
        command("python benchmarks/benchmark_throughput.py --model m --dataset a.json")
            .contains("dataset-name=sharegpt")
    );
}

#[test]
fn vllm_bench_serve_with_a_rate_and_service_levels() {
    assert_eq!(
        command(
            "vllm bench serve --backend vllm --model m/m --endpoint /v1/completions --dataset-name random \
             --random-input-len 1024 \
                 --num-prompts 200 --request-rate 5 --burstiness 0.5 --max-concurrency 16 --goodput ttft:500 \
                 tpot:50 --seed 3 --save-result"
        ),
        "llem exec scripts/vllm-bench --model m/m --seed 3 -p random-input-len=1024 -p num-prompts=200 -p \
         request-rate=5 \
         -p burstiness=0.5 -p max-concurrency=16 -p mode=serve -p dataset-name=random -p goodput='ttft:500 tpot:50'"
    );
    // Underscores, and a module of Python.
    let other = "python3 -m vllm.entrypoints.cli.main bench serve --model m/m --request_rate=inf \
            --ramp-up-strategy linear --ramp-up-start-rps 1 --ramp-up-end-rps 5";
    assert!(command(other).contains("-p request-rate=inf -p ramp-up-strategy=linear"));
    assert!(error(&other.replace("inf", "5")).contains("leave one out"));
}

#[test]
fn vllm_bench_sweep() {
    assert_eq!(
        command(
            "vllm bench sweep serve_workload --serve-cmd 'vllm serve m/m --max-num-seqs 64' --bench-cmd 'vllm \
                    bench serve --dataset-name random --num-prompts 100' --workload-var max_concurrency \
                    --workload-iters 5 -o out"
        ),
        "llem exec scripts/vllm-bench --model m/m -p num-prompts=100 -p dataset-name=random -p max-num-seqs=64 \
         -p mode=sweep -p workload-var=max_concurrency -p workload-iters=5"
    );
    let folder = tempfile::tempdir().unwrap();
    let (serve, bench) = (folder.path().join("serve.json"), folder.path().join("bench.json"));
    fs::write(&serve, r#"[{"max_num_seqs": 32}, {"max_num_seqs": 64}]"#).unwrap();
    fs::write(&bench, r#"{"a": {"random_input_len": 128}, "b": {"random_input_len": 256}}"#)
        .unwrap();
    let made = commands(&format!(
        "vllm bench sweep serve --serve-cmd 'vllm serve m/m' --bench-cmd 'vllm bench serve' --serve-params {} \
                --bench-params {}",
        serve.display(),
        bench.display()
    ));
    assert_eq!(made.len(), 4);
    assert_eq!(
        made[1],
        "llem exec scripts/vllm-bench --model m/m -p random-input-len=256 -p max-num-seqs=32 -p mode=serve -p \
                percentile-metrics=ttft,tpot,itl,e2el"
    );
}

#[test]
fn optimum_benchmark_with_a_file_and_overrides() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("_base_.yaml"),
        "log_report: true\nhydra:\n  run:\n    dir: runs/${name}\n",
    )
    .unwrap();
    let file = folder.path().join("cuda_pytorch_llama.yaml");
    let text = "
defaults:
  - benchmark
  - scenario: inference
  - launcher: process
  - backend: pytorch
  - _base_
  - _self_
name: cuda_pytorch_llama
launcher:
  device_isolation: true
backend:
  device: cuda
  device_ids: 0
  torch_dtype: float16
  model: TinyLlama/TinyLlama-1.1B-Chat-v1.0
scenario:
  input_shapes:
    batch_size: 4
    sequence_length: 64
  generate_kwargs:
    max_new_tokens: 32
    min_new_tokens: 32
";
    fs::write(&file, text).unwrap();
    let expected = "llem exec scripts/optimum-benchmark --model TinyLlama/TinyLlama-1.1B-Chat-v1.0 --dtype f16 \
     --device cuda:0 --seed 42 \
                    -p batch-size=4 -p sequence-length=64 -p max-new-tokens=32";
    let folder = folder.path().display();
    assert_eq!(
        command(&format!(
            "optimum-benchmark --config-dir {folder} --config-name cuda_pytorch_llama"
        )),
        expected
    );
    assert_eq!(command(&format!("optimum-benchmark {}", file.display())), expected);
    let with = command(&format!(
        "optimum-benchmark --config-dir {folder} --config-name cuda_pytorch_llama scenario.energy=true \
                backend.device=cpu scenario.input_shapes.batch_size=1"
    ));
    assert!(
        with.contains("--device cpu")
            && with.contains("-p batch-size=1")
            && with.contains("-p energy=true"),
        "{with}"
    );
    assert!(
        error(&format!(
            "optimum-benchmark --config-dir {folder} --config-name cuda_pytorch_llama \
            scenario.warm_runs=1"
        ))
        .contains("no option scenario.warm_runs")
    );
    assert!(
        error(&format!("optimum-benchmark --config-dir {folder} --config-name nothing"))
            .contains("cannot be read")
    );
    let vllm = command(&format!(
        "optimum-benchmark --config-dir {folder} --config-name cuda_pytorch_llama backend=vllm"
    ));
    assert!(vllm.contains("-p per-token=false"), "{vllm}");
}

#[test]
fn llama_bench_with_lists_and_ranges() {
    assert_eq!(
        command("./llama-bench -m models/7B/ggml-model-q4_0.gguf -p 0 -n 128,256,512 -r 3 -ngl 99"),
        "llem exec scripts/llama-bench --model models/7B/ggml-model-q4_0.gguf --device cuda:0 -p repetitions=3 \
                -p n-prompt=0 -p n-gen=128,256,512 -p cache-type=f16"
    );
    assert_eq!(
        command("llama-bench -m a.gguf -pg 512,128 -pg 1024,64 -d 0,512 -ngl 0 --no-warmup"),
        "llem exec scripts/llama-bench --model a.gguf --device cpu -p no-warmup=true -p n-depth=0,512 -p \
                pg='512,128;1024,64' -p cache-type=f16"
    );
    let several = commands("llama-bench -m a.gguf -m b.gguf -t 1-4*2");
    assert_eq!(several.len(), 6);
    assert_eq!(
        several[5],
        "llem exec scripts/llama-bench --model b.gguf -p cache-type=f16 -p threads=4"
    );
    assert_eq!(left_out("llama-bench -m a.gguf -ctk q8_0 -ngl 10").len(), 2);
    assert!(error("llama-bench -m a.gguf -p many").contains("-p is 'many': give numbers"));
}

#[test]
fn lm_eval_with_an_adapter() {
    assert_eq!(
        command("lm_eval --model hf --model_args \
                pretrained=EleutherAI/gpt-j-6B,peft=nomic-ai/gpt4all-j-lora,dtype=bfloat16 --tasks arc_easy \
                --device cuda:0 --batch_size 8 --num_fewshot 5"),
        "llem exec scripts/lm-eval --model EleutherAI/gpt-j-6B --adapter nomic-ai/gpt4all-j-lora --dtype bf16 \
         --device cuda:0 \
         --dataset items=arc_easy.jsonl -p num-fewshot=5 -p batch-size=8 -p task=arc_easy -p doc-to-text='Question: \
         {{question}}\nAnswer:' \
         -p doc-to-choice='{{choices.text}}' -p doc-to-target='{{choices.label.index(answerKey)}}'"
            .replace("\\n", "\n")
    );
    let two = commands(
        "lm-eval run --model hf --model_args pretrained=gpt2 revision=main --tasks sciq piqa --seed 1,2,3,4 \
                --limit 10",
    );
    assert_eq!(two.len(), 2);
    assert!(
        two[0].starts_with("llem exec scripts/lm-eval --model gpt2 ")
            && two[0].contains("fewshot-seed=4"),
        "{two:?}"
    );
    assert_eq!(
        left_out("lm_eval --model_args pretrained=gpt2,load_in_4bit=True --tasks sciq --limit 0.5")
            .len(),
        2
    );
    assert!(
        error("lm_eval --model openai-completions --model_args model=davinci --tasks sciq")
            .contains("llem runs models itself")
    );
}

#[test]
fn a_task_file_of_lm_eval_becomes_parameters() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("arc.yaml"),
        "task: arc_easy_local\ndataset_path: json\ndataset_name: null\ndataset_kwargs: { data_files: { test: \
         /data/arc_easy.jsonl } }\n\
         test_split: test\noutput_type: multiple_choice\ndoc_to_text: \"Question: {{question}}\"\ndoc_to_choice: \
         [\"no\", \"yes\"]\n\
         doc_to_target: label\nmetric_list: [ { metric: acc }, { metric: acc_norm } ]\n",
    )
    .unwrap();
    let line = format!(
        "lm_eval --model_args pretrained=gpt2 --tasks arc_easy_local --include_path {}",
        folder.path().display()
    );
    assert_eq!(
        command(&line),
        "llem exec scripts/lm-eval --model gpt2 --dataset items=/data/arc_easy.jsonl -p batch-size=1 -p \
         output-type=multiple_choice \
         -p task=arc_easy_local -p doc-to-text='Question: {{question}}' -p doc-to-target=label -p \
         doc-to-choice='[\"no\",\"yes\"]' -p metric-list=acc,acc_norm"
    );
}

#[test]
fn zeus() {
    assert_eq!(
        command("python -m zeus.monitor power --gpu-indices 0 1 --update-period 0.5"),
        "llem exec scripts/zeus-window --sample-period 500 -p profile=none"
    );
    assert_eq!(
        command("zeus.profile measure measurement_duration=5 cooldown_duration=10"),
        "llem exec scripts/zeus-window -p profile=measure -p measurement-duration=5 -p cooldown-duration=10"
    );
    assert_eq!(
        command(
            "zeus.profile profile_measurement_duration num_trials=5 'measurement_duration_search_range=[1, 2, 4]'"
        ),
        "llem exec scripts/zeus-window -p num-trials=5 -p profile=measurement-duration -p cooldown-duration=10 \
                -p measurement-durations=1,2,4"
    );
}

#[test]
fn mlperf_reads_the_lines_of_its_model_and_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user.conf");
    fs::write(
        &file,
        "# limits\n*.Server.target_qps = 2\nllama3_1-8b.Server.target_qps = \
            3\n*.Offline.target_qps = 9\n*.*.min_duration = 60000\n",
    )
    .unwrap();
    assert_eq!(
        command(&format!(
            "mlperf-loadgen --scenario Server --user-conf {} --model-path my-llama --dtype bfloat16",
            file.display()
        )),
        "llem exec scripts/mlperf-loadgen --model my-llama --dtype bf16 -p scenario=Server -p \
                benchmark=llama3_1-8b -p target-qps=3 -p min-duration=60000"
    );
    assert!(
        error("mlperf --scenario Server *.Server.target_speed=2")
            .contains("no option *.Server.target_speed")
    );
}

#[test]
fn ml_energy() {
    assert_eq!(
        command(
            "CUDA_VISIBLE_DEVICES=0 python -m mlenergy.benchmark.llm.benchmark --container-runtime singularity \
             --server-image /path/to/vllm.sif \
                 --max-output-tokens 4096 workload:lm-arena-chat --workload.model-id Qwen/Qwen3-8B \
                 --workload.base-dir run \
                 --workload.num-requests 1024 --workload.gpu-model H100 --workload.num-gpus 1 \
                 --workload.max-num-seqs 256"
        ),
        "llem exec scripts/ml-energy --model Qwen/Qwen3-8B --seed 48105 --dataset prompts=lm-arena-chat.jsonl \
         -p max-output-tokens=4096 -p num-requests=1024 -p max-num-seqs=256"
    );
}

#[test]
fn ai_energy_score() {
    assert_eq!(
        command(
            "BENCHMARK_BACKEND=optimum ./run_docker.sh -n 100 --config-name text_generation \
                    backend.model=openai/gpt-oss-20b"
        ),
        "llem exec scripts/ai-energy-score --model openai/gpt-oss-20b --dtype bf16 --device cuda:0 --dataset \
         prompts=text_generation.jsonl \
         -p protocol=v1 -p runs=1 -p num-samples=100"
    );
    let docker = "docker run --gpus all --shm-size 1g -v results:/results -e BENCHMARK_BACKEND=pytorch \
            ai_energy_score --config-name text_generation backend.model=a/b scenario.num_samples=20";
    assert!(
        command(docker).ends_with("-p protocol=v2 -p runs=1 -p num-samples=20"),
        "{}",
        command(docker)
    );
}

#[test]
fn inferencex_by_its_variables() {
    assert_eq!(
        command(
            "MODEL=m/m ISL=1024 OSL=8192 CONC=16 TP=4 RANDOM_RANGE_RATIO=0.8 bash benchmarks/single_node/x_h200.sh"
        ),
        "llem exec scripts/inferencex --model m/m --tp 4 -p random-range-ratio=0.8 -p seq-lens=1024_8192 -p conc=16"
    );
    assert!(error("MODEL=m/m ISL=1024 OSL=8192 bash x.sh").contains("CONC"));
}

#[test]
fn guidellm_of_today_and_before() {
    assert_eq!(
        command(
            "guidellm run --backend kind=openai_http,target=http://localhost:8000 --data \
                    kind=synthetic_text,prompt_tokens=256,output_tokens=128 --constraint kind=max_duration,seconds=60"
        ),
        "llem exec scripts/guidellm-sweep -p max-seconds=60 -p output-tokens=128 -p prompt-tokens=256 -p \
                profile=sweep"
    );
    assert_eq!(
        command(
            "guidellm benchmark --target http://localhost:8000 --model m/m --rate-type constant --rate 1,2,4 \
                    --max-requests 30 --data 'prompt_tokens=256,output_tokens=128' --warmup 0.1"
        ),
        "llem exec scripts/guidellm-sweep --model m/m -p max-requests=30 -p output-tokens=128 -p \
                prompt-tokens=256 -p rate=1,2,4 -p profile=constant -p max-concurrency=0 -p warmup=0.1"
    );
    assert!(
        command(
            "guidellm run --profile '{\"kind\":\"concurrent\",\"streams\":[16,32]}' --seed \
            kind=static,value=7 --data '{\"prompt_tokens\": 8}'"
        )
        .contains("-p streams=16,32")
    );
    assert!(error("guidellm run --profile kind=constant").contains("a rate"));
    assert!(
        error("guidellm run --profile kind=constant,rates=1").contains("no option profile.rates")
    );
    assert!(error("guidellm mock-server").contains("guidellm run does"));
}

#[test]
fn aiperf_with_a_load_and_with_a_trace() {
    assert_eq!(
        command(
            "aiperf profile --model m/m --url localhost:8000 --endpoint-type chat --streaming --isl 256 --osl 128 \
             --concurrency 8 --request-count 100 --goodput 'request_latency:250 inter_token_latency:10' --random-seed 1"
        ),
        "llem exec scripts/vllm-bench --model m/m --seed 1 -p random-input-len=256 -p random-output-len=128 \
         -p max-concurrency=8 -p mode=serve -p percentile-metrics=ttft,tpot,itl,e2el -p metric-percentiles=50,90,95,99 \
         -p num-prompts=100 -p goodput='e2el:250 tpot:10'"
    );
    let rate =
        command("genai-perf profile -m m/m --request-rate 5 --arrival-pattern constant --osl 8");
    assert!(rate.contains("-p request-rate=5") && rate.contains("-p burstiness=inf"), "{rate}");
    assert_eq!(
        command(
            "aiperf profile --model m/m --url localhost:8000 --input-file trace.jsonl --fixed-schedule --fixed-schedule-auto-offset"
        ),
        "llem exec scripts/aiperf-trace --model m/m --dataset trace=trace.jsonl -p fixed-schedule-auto-offset=true"
    );
    assert!(
        error("aiperf profile --model m --endpoint-type embeddings")
            .contains("llem generates text")
    );
}

#[test]
fn the_examples_of_the_guide_are_what_comes_of_them() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/migrating/README.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("| there | `llem migrate` prints |").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    for row in &rows {
        let cells: Vec<&str> = row.split('`').collect();
        let [_, there, _, here, _] = cells[..] else { panic!("{row}") };
        assert_eq!(command(there), here);
    }
    assert!(rows.len() > 12, "{}", rows.len());
}

#[test]
fn profilers_are_functions() {
    let made = line("calflops --model gpt2 --input-shape '(2, 64)'").unwrap();
    assert_eq!(
        made.commands[0].to_string(),
        "llem exec scripts/flops-profile --model gpt2 -p batch-size=2 -p seq-len=64"
    );
    assert!(made.notes[0].to_string().contains("have no command line"));
    assert!(
        command("deepspeed flops-profiler --model gpt2 --mode generate")
            .ends_with("-p logits=last")
    );
}

#[test]
fn a_study_of_llenergymeasure_is_a_command_for_each_experiment() {
    assert_eq!(
        command("llem run -m my-llama -d prompts.jsonl -n 50"),
        "llem exec scripts/llenergymeasure --model my-llama --dataset prompts=prompts.jsonl -p n-prompts=50"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.yaml");
    let text = "
study_name: both
task:
  model: gpt2
  dataset: {source: prompts.jsonl, n_prompts: 50}
  max_output_tokens: 128
measurement:
  warmup: {n_warmup: 3, thermal_floor_seconds: 30.0}
engine: transformers
sweep:
  transformers.dtype: [float16, bfloat16]
  transformers.batch_size: [1, 8]
study_execution: {n_cycles: 3}
";
    fs::write(&file, text).unwrap();
    let line_of = format!("llem run {}", file.display());
    let made = commands(&line_of);
    assert_eq!(made.len(), 4);
    assert_eq!(
        made[1],
        "llem exec scripts/llenergymeasure --model gpt2 --dtype bf16 --dataset prompts=prompts.jsonl \
         -p warmup-n-prompts=3 -p thermal-floor-seconds=30 -p n-prompts=50 -p max-output-tokens=128 -p batch-size=1"
    );
    assert!(
        line(&line_of).unwrap().notes.iter().any(|note| note.to_string().starts_with("3 cycles"))
    );
    // The layout of release 0.9.
    let text = "model: gpt2\nbackend: pytorch\ndataset: prompts.jsonl\nn_prompts: 20\ndtype: float32\nwarmup: {n_warmup: 2}\n";
    fs::write(&file, text).unwrap();
    assert_eq!(
        command(&line_of),
        "llem exec scripts/llenergymeasure --model gpt2 --dtype f32 --dataset prompts=prompts.jsonl \
         -p warmup-n-prompts=2 -p n-prompts=20"
    );
}

#[test]
fn a_line_in_quotes_is_split() {
    let words = ["vllm bench serve --model m/m --num-prompts 7".to_owned()];
    assert!(migrate(&words).unwrap().commands[0].to_string().contains("num-prompts=7"));
}

#[test]
fn overrides_of_hydra_add_replace_and_remove() {
    let begin = "optimum-benchmark backend.model=a scenario.input_shapes.sequence_length=8";
    assert_eq!(
        command(&format!(
            "{begin} backend.model=b +scenario.iterations=3 ++scenario.duration=0 ~scenario.iterations"
        )),
        "llem exec scripts/optimum-benchmark --model b --seed 42 -p duration=0 -p sequence-length=8"
    );
    assert!(
        error(&format!("{begin} backend.device=${{oc.env:DEVICE}}"))
            .contains("instead of an interpolation")
    );
    assert!(
        error(&format!("{begin} scenario=training"))
            .contains("the script is the scenario inference")
    );
    assert_eq!(left_out(&format!("{begin} --multirun")).len(), 1);
}

#[test]
fn every_option_of_every_tool_is_taken_or_refused_with_a_sentence() {
    for tool in Tool::all() {
        for name in tool.options().iter().flat_map(|option| option.names.split(' ')) {
            for value in ["1", "é=1,[", "-", ""] {
                let option = if name.starts_with('-') {
                    vec![name.to_owned(), value.to_owned()]
                } else {
                    vec![format!("{name}={value}")]
                };
                let words = tool.name().split(' ').map(str::to_owned).chain(option);
                if let Err(error) = migrate(&words.collect::<Vec<_>>()) {
                    assert!(error.to_string().len() > 10, "{error}");
                }
            }
        }
    }
}

#[test]
fn what_starts_a_program_is_left_out_and_variables_are_told() {
    for start in [
        "python3 -m lm_eval",
        "uv run lm-eval",
        "accelerate launch --num_processes 2 -m lm_eval",
        "/opt/venv/bin/python3.12 -m lm_eval",
    ] {
        let made = command(&format!("{start} --model_args pretrained=gpt2 --tasks sciq"));
        assert!(made.starts_with("llem exec scripts/lm-eval --model gpt2 "), "{made}");
    }
    let made = line("CUDA_VISIBLE_DEVICES=1 VLLM_USE_V1=1 vllm bench serve --model m/m").unwrap();
    let notes: Vec<String> = made.notes.iter().map(ToString::to_string).collect();
    assert!(notes.contains(&"VLLM_USE_V1=1: a variable of the tool".to_owned()), "{notes:?}");
    assert!(
        notes.iter().any(|note| note.contains("write CUDA_VISIBLE_DEVICES=1 before")),
        "{notes:?}"
    );
}

#[test]
fn words_for_a_shell_are_quoted() {
    let made = command("vllm bench serve --model './my model; rm -rf $HOME' --label 'a b'");
    let words = shlex::split(&made).unwrap();
    assert!(
        words.contains(&"./my model; rm -rf $HOME".to_owned())
            && words.contains(&"label=a b".to_owned()),
        "{made}"
    );
}

#[test]
fn what_the_tool_would_refuse_is_refused() {
    assert_eq!(
        error("vllm bench serve --model m --num-prompt 5"),
        "vllm bench serve has no option --num-prompt: --num-prompts begins like it"
    );
    assert_eq!(
        error("vllm bench serve --num-prompts many"),
        "vllm bench serve: --num-prompts is 'many': give a whole number"
    );
    assert_eq!(
        error("vllm bench serve --num-prompts"),
        "vllm bench serve: --num-prompts needs a value"
    );
    assert_eq!(error("vllm bench serve m"), "vllm bench serve: 'm' belongs to no option");
    assert!(
        error("hyperfine sleep 1")
            .starts_with("'hyperfine' begins no command of a tool that llem knows")
    );
    assert!(
        error("vllm bench serve --dataset-name sonnet")
            .contains("the script has random, sharegpt and prefix_repetition")
    );
    assert!(migrate(&[]).is_err());
}

#[test]
fn token_power_bench() {
    assert_eq!(
        command(
            "tokenpowerbench --model meta-llama/Llama-3.1-8B --prompts-file prompts.json --phase-profiling \
                    --tensor-parallel-size 2"
        ),
        "llem exec scripts/token-power-bench --model meta-llama/Llama-3.1-8B --seed 42 --max-ranks 2 --dataset \
         prompts=prompts.json \
         -p contract=1.0 -p batch-sizes=1 -p num-samples=1000 -p parallel=2x1"
    );
    let old = commands(
        "python SingleNode/llm_benchmark.py --engine vllm --models Llama-3.1-8B,Llama-3.1-70B --batch-sizes 128,256",
    );
    assert_eq!(old.len(), 2);
    assert!(
        old[1].contains("--model Llama-3.1-70B")
            && old[1].contains("-p contract=0.2 -p batch-sizes=128,256 -p num-samples=10240"),
        "{old:?}"
    );
    assert!(
        error("tokenpowerbench --model m --phase-profiling --batch-sizes 2")
            .contains("--batch-sizes 1")
    );
}
