//! The options of vLLM's engine, which `latency`, `throughput` and `vllm serve` share.

use crate::{
    draft::Draft,
    given::Given,
    option::{Kind::*, OptionRow, exec, none, parameter, read},
};

const FILES: &str = "the model's own files decide";
const TEXT: &str = "llem runs text";
const KERNELS: &str = "an option of vLLM's kernels; llem has its own";
const MEMORY: &str = "llem reserves memory for each sequence that it admits";
const WHOLE: &str = "all weights are on the devices of --device, --tp and --pp";
const RANKS: &str = "llem's ranks are those of --tp, --pp and --dp";
const SPECULATION: &str = "llem has no speculative decoding";
const LOGS: &str = "the record has every request, token and window";
const SCHEDULER: &str = "an option of vLLM's scheduler";
const LOADING: &str = "llem maps safetensors and GGUF files";
const MAMBA: &str = "llem runs transformers with a KV cache";

pub(super) const ENGINE: &[OptionRow] = &[
    read("--model", Text, &["--model"]),
    read("--revision", Text, &["--model"]),
    read("--dtype", Text, &["--dtype"]),
    read("--device", Text, &["--device"]),
    exec("--seed", Integer, "--seed"),
    exec("--tensor-parallel-size -tp", Integer, "--tp"),
    exec("--pipeline-parallel-size -pp", Integer, "--pp"),
    exec("--data-parallel-size -dp", Integer, "--dp"),
    exec("--enable-expert-parallel -ep", Flag, "--ep"),
    exec("--fully-sharded-loras", Flag, "--sharded-adapters"),
    parameter("--max-num-seqs", Integer, "max-num-seqs").same("256"),
    read("--max-num-batched-tokens", Text, &["max-num-batched-tokens"]).same("0"),
    parameter("--enable-prefix-caching", Flag, "enable-prefix-caching").same("auto"),
    none("--tokenizer --tokenizer-mode --tokenizer-revision --code-revision", Text, FILES),
    none("--hf-config-path --config-format --hf-overrides --hf-token --model-impl", Text, FILES),
    none(
        "--rope-scaling --rope-theta --generation-config --override-generation-config",
        Text,
        FILES,
    ),
    none("--trust-remote-code --skip-tokenizer-init", Flag, FILES),
    none("--quantization -q --quantization-config", Text, FILES),
    none("--allow-deprecated-quantization", Flag, FILES),
    none("--max-model-len --max-seq-len-to-capture", Text, "the context is the model's own"),
    none("--served-model-name", Words, "the record names the model by its source and digest"),
    none("--task --runner --convert", Text, "llem generates text"),
    none(
        "--pooler-config --override-pooler-config --io-processor-plugin",
        Text,
        "llem generates text",
    ),
    none("--logits-processor-pattern --logprobs-mode", Text, "a script may change logits"),
    none("--logits-processors", Words, "a script may change logits"),
    none("--max-logprobs --renderer-num-workers", Integer, "the script asks for tokens only"),
    none("--enforce-eager --enable-sleep-mode --enable-nccl-comm-suspend", Flag, KERNELS),
    none(
        "--disable-sliding-window --disable-cascade-attn --enable-return-routed-experts",
        Flag,
        KERNELS,
    ),
    none("--override-attention-dtype --optimization-level --performance-mode", Text, KERNELS),
    none("--enable-prompt-embeds", Flag, TEXT),
    none("--allowed-local-media-path", Text, TEXT),
    none("--allowed-media-domains", Words, TEXT),
    none(
        "--load-format --download-dir --model-loader-extra-config --pt-load-map-location",
        Text,
        LOADING,
    ),
    none("--safetensors-load-strategy --safetensors-prefetch-num-threads", Text, LOADING),
    none("--safetensors-prefetch-block-size --weight-transfer-config", Text, LOADING),
    none("--ignore-patterns", Words, LOADING),
    none("--use-tqdm-on-load", Flag, LOADING),
    none("--attention-backend --attention-config -ac --block-size", Text, KERNELS),
    none(
        "--compilation-config -O -cc --kernel-config --moe-backend --linear-backend",
        Text,
        KERNELS,
    ),
    none("--gdn-prefill-backend --max-cudagraph-capture-size --additional-config", Text, KERNELS),
    none("--cudagraph-capture-sizes --cuda-graph-sizes --ir-op-priority", Words, KERNELS),
    none("--enable-flashinfer-autotune --enable-bf16x3-router-gemm", Flag, KERNELS),
    none(
        "--mamba-backend --mamba-ssu-algorithm --mamba-cache-philox-rounds --mamba-config",
        Text,
        MAMBA,
    ),
    none(
        "--mamba-cache-dtype --mamba-ssm-cache-dtype --mamba-block-size --mamba-cache-mode",
        Text,
        MAMBA,
    ),
    none("--replayssm-buffer-len", Integer, MAMBA),
    none("--enable-mamba-cache-stochastic-rounding --use-replayssm", Flag, MAMBA),
    none("--reasoning-parser --reasoning-parser-plugin --reasoning-config", Text, TEXT),
    none(
        "--structured-outputs-config --guided-decoding-backend",
        Text,
        "a script may change logits",
    ),
    none("--distributed-executor-backend --master-addr --all2all-backend", Text, RANKS),
    none("--master-port --nnodes -n --node-rank -r --distributed-timeout-seconds", Integer, RANKS),
    none("--cpu-distributed-timeout-seconds --dp-sync-interval", Integer, RANKS),
    none(
        "--numa-bind --disable-custom-all-reduce --ray-workers-use-nsight --dcp-q-replicate",
        Flag,
        RANKS,
    ),
    none("--numa-bind-nodes --numa-bind-cpus", Words, RANKS),
    none("--device-ids --worker-cls --worker-extension-cls --dcp-comm-backend", Text, RANKS),
    none(
        "--decode-context-parallel-size -dcp --prefill-context-parallel-size -pcp",
        Integer,
        RANKS,
    ),
    none("--dcp-kv-cache-interleave-size --cp-kv-cache-interleave-size", Integer, RANKS),
    none("--data-parallel-rank -dpn --data-parallel-start-rank -dpr", Integer, RANKS),
    none("--data-parallel-size-local -dpl --data-parallel-rpc-port -dpp", Integer, RANKS),
    none("--data-parallel-address -dpa --data-parallel-backend -dpb", Text, RANKS),
    none("--data-parallel-hybrid-lb -dph --data-parallel-external-lb -dpe", Flag, RANKS),
    none(
        "--data-parallel-multi-port-external-lb -dpm --enable-batch-sharded-sampling",
        Flag,
        RANKS,
    ),
    none("--enable-ep-weight-filter --enable-elastic-ep --enable-eplb --enable-dbo", Flag, RANKS),
    none("--eplb-log-balancedness --disable-nccl-for-dp-synchronization", Flag, RANKS),
    none("--enable-fault-tolerance --enable-multimodal-encoder-data-parallel", Flag, RANKS),
    none("--eplb-config --expert-placement-strategy --fault-tolerance-config", Text, RANKS),
    none(
        "--num-redundant-experts --eplb-window-size --eplb-step-interval --ubatch-size",
        Integer,
        RANKS,
    ),
    none("--dbo-decode-token-threshold --dbo-prefill-token-threshold", Integer, RANKS),
    none("--max-parallel-loading-workers", Integer, RANKS),
    none("--gpu-memory-utilization --swap-space --watermark", Number, MEMORY),
    none("--kv-cache-memory-bytes --num-gpu-blocks-override --kv-offloading-size", Text, MEMORY),
    none(
        "--kv-offloading-backend --prefix-match-unit --prefix-cache-retention-interval",
        Text,
        MEMORY,
    ),
    none("--kv-cache-dtype", Text, "keys and values have the model's number format in this script"),
    none(
        "--kv-cache-dtype-skip-layers",
        Words,
        "keys and values have the model's number format in this script",
    ),
    none("--calculate-kv-scales --kv-sharing-fast-prefill", Flag, MEMORY),
    none("--prefix-caching-hash-algo", Text, MEMORY),
    none("--cpu-offload-gb", Number, WHOLE),
    none("--offload-backend", Text, WHOLE),
    none("--cpu-offload-params --offload-params", Words, WHOLE),
    none("--offload-group-size --offload-num-in-group --offload-prefetch-step", Integer, WHOLE),
    none(
        "--limit-mm-per-prompt --media-io-kwargs --mm-processor-kwargs --mm-processor-cache-gb",
        Text,
        TEXT,
    ),
    none("--mm-processor-cache-type --mm-hasher-algorithm --mm-encoder-tp-mode", Text, TEXT),
    none(
        "--mm-shm-cache-max-object-size-mb --mm-encoder-attn-backend --mm-encoder-attn-dtype",
        Text,
        TEXT,
    ),
    none("--mm-encoder-fp8-scale-path --mm-encoder-fp8-scale-save-path", Text, TEXT),
    none(
        "--mm-encoder-fp8-scale-save-margin --video-pruning-rate --video-pruning-method",
        Text,
        TEXT,
    ),
    none("--mm-tensor-ipc --mm-processor-device --mm-ipc-gpu-memory-gb", Text, TEXT),
    none(
        "--language-model-only --enable-mm-embeds --mm-encoder-only --skip-mm-profiling",
        Flag,
        TEXT,
    ),
    none(
        "--interleave-mm-strings --mm-device-do-normalize --disable-mm-preprocessor-cache",
        Flag,
        TEXT,
    ),
    none(
        "--enable-lora --enable-lora-bias",
        Flag,
        "llem takes adapters with --adapter NAME=FOLDER",
    ),
    none(
        "--enable-tower-connector-lora --specialize-active-lora",
        Flag,
        "llem takes adapters with --adapter NAME=FOLDER",
    ),
    none(
        "--enable-mixed-moe-lora-format --enable-moe-shared-loras",
        Flag,
        "llem takes adapters with --adapter NAME=FOLDER",
    ),
    none(
        "--max-loras --max-lora-rank --max-cpu-loras --lora-extra-vocab-size",
        Integer,
        "llem has no limits for adapters",
    ),
    none("--lora-dtype --default-mm-loras", Text, "an adapter's number format is the model's"),
    none("--lora-target-modules", Words, "the adapter's own config decides"),
    none("--show-hidden-metrics-for-version --otlp-traces-endpoint", Text, LOGS),
    none("--collect-detailed-traces", Words, LOGS),
    none("--per-request-spec-decode-metrics --kv-cache-metrics --cudagraph-metrics", Flag, LOGS),
    none("--enable-layerwise-nvtx-tracing --enable-mfu-metrics", Flag, LOGS),
    none("--enable-logging-iteration-details --jit-monitor-verbose", Flag, LOGS),
    none("--kv-cache-metrics-sample", Number, LOGS),
    none("--jit-monitor-mode --profiler-config", Text, LOGS),
    none("--disable-log-stats --aggregate-engine-logging --enable-log-requests", Flag, LOGS),
    none("--disable-log-requests", Flag, LOGS),
    none(
        "--max-num-scheduled-tokens --max-num-queued-reqs --max-num-queued-tokens",
        Text,
        SCHEDULER,
    ),
    none("--max-num-partial-prefills --max-long-partial-prefills", Integer, SCHEDULER),
    none(
        "--long-prefill-token-threshold --num-lookahead-slots --num-scheduler-steps",
        Integer,
        SCHEDULER,
    ),
    none("--scheduling-policy --scheduler-cls --preemption-mode", Text, SCHEDULER),
    none("--prefill-schedule-interval --stream-interval", Integer, SCHEDULER),
    none("--scheduler-delay-factor", Number, SCHEDULER),
    none(
        "--enable-chunked-prefill",
        Flag,
        "prompts are always cut to the rows of a step: --max-num-batched-tokens",
    ),
    none("--disable-chunked-mm-input --disable-hybrid-kv-cache-manager", Flag, SCHEDULER),
    none(
        "--async-scheduling --scheduler-reserve-full-isl --disable-async-output-proc",
        Flag,
        SCHEDULER,
    ),
    none("--use-v2-block-manager --multi-step-stream-outputs", Flag, SCHEDULER),
    none("--speculative-config -sc --spec-method --spec-model --spec-tokens", Text, SPECULATION),
    none(
        "--speculative-model --speculative-model-quantization --num-speculative-tokens",
        Text,
        SPECULATION,
    ),
    none("--speculative-draft-tensor-parallel-size -spec-draft-tp", Integer, SPECULATION),
    none(
        "--kv-transfer-config --kv-events-config --ec-transfer-config",
        Text,
        "prefill and decode are in one process",
    ),
    none("--shutdown-timeout", Number, "a signal ends a run and keeps its record"),
    none("--fail-on-environ-validation", Flag, "llem refuses wrong variables always"),
];

/// The model, its number format and device.
pub(super) fn apply(given: &Given, draft: &mut Draft) {
    match given.text("--model") {
        Some(model) => draft.model(model, given.text("--revision")),
        None => draft.note("no model is given: add --model; llem's own is synthetic:tiny"),
    }
    if let Some(option) = given.option("--dtype") {
        draft.dtype(option.values.last().map_or("", String::as_str), &option.shown);
    }
    if let Some(option) = given.option("--device") {
        match option.values.last().map_or("", String::as_str) {
            "auto" => {}
            device => draft.device(device, &option.shown),
        }
    }
    if let Some(tokens) = given.text("--max-num-batched-tokens") {
        draft.parameter(
            "max-num-batched-tokens",
            human_readable(tokens).unwrap_or_else(|| tokens.to_owned()),
        );
    }
    draft.note_device();
    draft.note("vLLM serves over HTTP or copies outputs; llem runs the model in its own process: latencies have \
            no network in them");
}

/// A number as vLLM reads it: `2k` is 2000, `2K` is 2048.
fn human_readable(text: &str) -> Option<String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let factor = match unit {
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "K" => 1024.0,
        "M" => 1024.0 * 1024.0,
        "G" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * factor;
    Some(value.round().to_string())
}
