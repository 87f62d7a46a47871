//! The command `llem generate`: runs a model without an experiment. It is used to compare the engine with others.

use super::{
    ModelArgs,
    output::{print_json, print_text},
    parse, positive,
};
use crate::untrusted;
use llem_engine::{
    ActiveAdapter, AdapterSource, Completion, Control, DType, DeviceId, Generation, Model,
    ModelSource, Prompt, Request, Sampling,
};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Generate text or tokens with a model, without an experiment.
#[derive(clap::Args)]
pub(crate) struct GenerateArgs {
    /// A folder, a .gguf file, a Hub id (org/name[@revision]) or synthetic:PRESET
    #[arg(value_parser = parse::<ModelSource>)]
    model: ModelSource,
    /// The text to continue
    #[arg(required_unless_present = "tokens", conflicts_with = "tokens")]
    prompt: Option<String>,
    /// The prompt as token ids; needs no tokenizer
    #[arg(long, value_name = "1,2,3", value_delimiter = ',')]
    tokens: Option<Vec<u32>>,
    /// Number format of weights and activations: f32, bf16, f16 [default: the checkpoint's own]
    #[arg(long, value_parser = parse::<DType>)]
    dtype: Option<DType>,
    /// Device that the model runs on: cpu, cuda:N
    #[arg(long, default_value = "cpu", value_parser = parse::<DeviceId>)]
    device: DeviceId,
    #[command(flatten)]
    model_args: ModelArgs,

    /// A LoRA adapter to run with: a folder as PEFT saves it, a Hub id, or synthetic:rank=8
    #[arg(long, value_name = "SOURCE", value_parser = parse::<AdapterSource>, help_heading = "Adapters")]
    adapter: Option<AdapterSource>,
    /// Merge the adapter into the weights before generating
    #[arg(long, requires = "adapter", help_heading = "Adapters")]
    merge: bool,

    /// Most tokens to generate
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = positive, help_heading = "Generation")]
    max_new_tokens: usize,
    /// Go on past end-of-sequence tokens
    #[arg(long, help_heading = "Generation")]
    ignore_eos: bool,
    /// End when the text contains this; may be given several times
    #[arg(long, value_name = "TEXT", help_heading = "Generation")]
    stop: Vec<String>,
    /// 0 takes the most likely token; above, tokens are drawn
    #[arg(long, default_value_t = 0.0, help_heading = "Generation")]
    temperature: f32,
    /// Draw from the k most likely tokens
    #[arg(long, help_heading = "Generation")]
    top_k: Option<usize>,
    /// Draw from the smallest set of this probability
    #[arg(long, help_heading = "Generation")]
    top_p: Option<f32>,
    /// Make tokens that are already there less likely (above 1) or more (below 1)
    #[arg(long, default_value_t = 1.0, help_heading = "Generation")]
    repetition_penalty: f32,

    /// Print one JSON object: tokens, text, timings
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Write float32 logits [positions, vocab] to a safetensors file: row i is the distribution of
    /// token i + 1, over the prompt and all generated tokens but the last
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    logits: Option<PathBuf>,
}

impl GenerateArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let options = self.model_args.load_options(self.model.clone(), self.dtype, self.device)?;
        let mut model = Model::load(&options)?;
        let merge_time = match &self.adapter {
            Some(source) => self.attach(&mut model, source)?,
            None => None,
        };
        let attached = model.adapters().flat_map(|adapted| adapted.adapter.warnings.clone());
        for warning in model.info().warnings.iter().cloned().chain(attached) {
            tracing::warn!("{}", untrusted::line(&warning));
        }
        let prompt = match (self.tokens, self.prompt) {
            (Some(tokens), _) => Prompt::Tokens(tokens),
            (None, text) => Prompt::Text(text.unwrap_or_default()),
        };
        let request = Request {
            prompts: vec![prompt],
            max_new_tokens: self.max_new_tokens,
            ignore_eos: self.ignore_eos,
            stop: self.stop,
            sampling: Sampling {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                repetition_penalty: self.repetition_penalty,
                seed: self.model_args.seed,
                ..Sampling::default()
            },
            keep_logits: self.logits.is_some(),
            ..Request::default()
        };
        let mut generation = model.generate(request, &Control::default())?;
        if let Some(error) = generation.failure.take() {
            return Err(error.into());
        }
        let completion = &generation.completions[0];
        if let Some(path) = &self.logits {
            write_logits(path, completion, model.info().shape.vocab)?;
        }
        if self.json {
            let object = to_json(&model, &generation, completion, merge_time);
            return print_json(&object.to_string());
        }
        match &completion.text {
            Some(text) => print_text(text)?,
            None => {
                let ids: Vec<String> = completion.tokens.iter().map(u32::to_string).collect();
                print_text(&ids.join(","))?;
            }
        }
        print_timings(&model, &generation, completion);
        Ok(())
    }

    /// Attaches the adapter, and merges it if that was asked. Returns how long merging took.
    fn attach(
        &self,
        model: &mut Model,
        source: &AdapterSource,
    ) -> llem_engine::Result<Option<Duration>> {
        let name = model.attach(source, None, self.model_args.seed)?.name.clone();
        model.use_adapter(Some(&name))?;
        self.merge.then(|| model.merge(&name)).transpose()
    }
}

fn write_logits(path: &Path, completion: &Completion, vocab: usize) -> anyhow::Result<()> {
    let bytes: Vec<u8> = completion.logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![completion.logits.len() / vocab, vocab], &bytes)?;
    safetensors::serialize_to_file([("logits", view)], None, path)
        .map_err(|error| anyhow::anyhow!("cannot write {}: {error}", path.display()))
}

/// The times of a generation, in seconds. TTFT starts when the request is handed over and includes tokenization, as in
/// an experiment's record.
struct Timings {
    ttft: f64,
    tokenize: f64,
    prefill: f64,
    decode: f64,
}

impl Timings {
    fn from_generation(generation: &Generation) -> Self {
        let first = generation.completions[0].token_times.first();
        Self {
            ttft: first.map_or(0.0, |first| (*first - generation.submitted).as_secs_f64()),
            tokenize: generation.tokenize_time().as_secs_f64(),
            prefill: generation.prefill_time().as_secs_f64(),
            decode: generation.decode_time().as_secs_f64(),
        }
    }

    /// The decode rate in tokens per second, without the first token. `None` if there is only one token.
    fn decode_rate(&self, completion: &Completion) -> Option<f64> {
        (completion.tokens.len() > 1).then(|| (completion.tokens.len() - 1) as f64 / self.decode)
    }
}

fn to_json(
    model: &Model,
    generation: &Generation,
    completion: &Completion,
    merge_time: Option<Duration>,
) -> serde_json::Value {
    let info = model.info();
    let timings = Timings::from_generation(generation);
    let token_times: Vec<f64> = completion
        .token_times
        .iter()
        .map(|time| (*time - generation.submitted).as_secs_f64())
        .collect();
    json!({
        "model": { "source": info.source, "digest": info.digest, "files": info.files, "dtype": info.dtype.to_string(), "quantization": info.quantization, "device": info.device.to_string(),
            "weight_bytes": info.weight_bytes, "decode_weight_bytes": info.decode_weight_bytes, "kv_bytes_per_token": info.kv_bytes_per_token, "warnings": info.warnings,
            "parallelism": { "tensor": info.split.tensor, "pipeline": info.split.pipeline, "data": info.split.data, "experts": info.split.experts },
            "ranks": info.ranks.iter().map(|rank| json!({ "device": rank.device_name(), "layers": [rank.layers.start, rank.layers.end], "weight_bytes": rank.weight_bytes })).collect::<Vec<_>>() },
        "adapter": completion.adapter.as_ref().map(|ActiveAdapter { adapter, mode }| json!({
            "name": adapter.name, "source": adapter.source, "digest": adapter.digest, "mode": mode.to_string(),
            "rank": adapter.rank, "modules": adapter.modules, "parameters": adapter.parameters, "weight_bytes": adapter.bytes,
            "flops_per_token": adapter.flops.per_token, "flops_per_logits": adapter.flops.per_logits,
            "warnings": adapter.warnings, "attach_s": adapter.attach_time.as_secs_f64(), "merge_s": merge_time.map(|time| time.as_secs_f64()),
        })),
        "prompt_tokens": completion.prompt_tokens,
        "tokens": completion.tokens,
        "text": completion.text,
        "finish": completion.finish.to_string(),
        "timings": {
            "load_s": info.load_time.as_secs_f64(),
            "digest_s": info.digest_time.as_secs_f64(),
            "ttft_s": timings.ttft,
            "tokenize_s": timings.tokenize,
            "prefill_s": timings.prefill,
            "decode_s": timings.decode,
            "detokenize_s": generation.detokenize_time().as_secs_f64(),
            "prefill_tokens_per_s": completion.prompt_tokens as f64 / timings.prefill,
            "decode_tokens_per_s": timings.decode_rate(completion),
            "token_times_s": token_times,
        },
    })
}

/// Prints to standard error, because standard output contains only the text.
fn print_timings(model: &Model, generation: &Generation, completion: &Completion) {
    let timings = Timings::from_generation(generation);
    let decode = timings
        .decode_rate(completion)
        .map_or_else(String::new, |rate| format!(", decode {rate:.1} tok/s"));
    let adapter =
        completion.adapter.as_ref().map_or_else(String::new, |ActiveAdapter { adapter, mode }| {
            format!(" with {} ({mode}, rank {})", adapter.name, adapter.rank)
        });
    let text = format!(
        "{}{adapter} in {}: {} + {} tokens; TTFT {:.1} ms, prefill {:.1} tok/s{decode}",
        model.info().source,
        model.info().dtype,
        completion.prompt_tokens,
        completion.tokens.len(),
        timings.ttft * 1e3,
        completion.prompt_tokens as f64 / timings.prefill,
    );
    eprintln!("{}", untrusted::line(&text));
}
