//! What a GGUF file says of its model, as the shape and the tensor names of a family.

use super::{
    Gguf, accounts,
    config::{LONG, Metadata, SHORT},
    keys,
    layout::Layout,
    modules::ModuleNames,
    not_models,
};
use crate::{
    Config, Error, Result,
    families::{self, MlpIn, Names, NormKind, Qkv, Rope, Shape},
};
use std::collections::HashSet;

/// A model family under llama.cpp's name for it.
struct Family {
    architecture: &'static str,
    /// transformers' name.
    class: &'static str,
    names: Names,
}

impl Family {
    const fn new(architecture: &'static str, class: &'static str, names: Names) -> Self {
        Self { architecture, class, names }
    }
}

/// What most families call their tensors.
const PLAIN: Names = Names {
    base: "",
    embedding: "token_embd",
    layers: "blk",
    norm: "output_norm",
    head: "output",
    attention_in_norm: Some("attn_norm"),
    mlp_in_norm: Some("ffn_norm"),
    qkv: SEPARATE,
    output: "attn_output",
    query_key_norms: ["attn_q_norm", "attn_k_norm"],
    mlp_in: MlpIn::Gated(["ffn_gate", "ffn_up"]),
    mlp_out: "ffn_down",
    router: "ffn_gate_inp",
    experts: "experts",
    expert: ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"],
    ..Names::LLAMA
};
const SEPARATE: Qkv = Qkv::Separate(["attn_q", "attn_k", "attn_v"]);
const SANDWICH: Names = Names {
    attention_out_norm: Some("post_attention_norm"),
    mlp_out_norm: Some("post_ffw_norm"),
    ..PLAIN
};
const POST: Names = Names { attention_in_norm: None, mlp_in_norm: None, ..SANDWICH };
const STACKED: Names =
    Names { qkv: Qkv::Stacked("attn_qkv"), mlp_in: MlpIn::Plain("ffn_up"), ..PLAIN };
const PHI3: Names = Names { mlp_in: MlpIn::GatedStacked("ffn_up"), ..STACKED };
const GPT2: Names = Names { positions: Some("position_embd"), ..STACKED };

const FAMILIES: [Family; 10] = [
    Family::new("llama", "LlamaForCausalLM", PLAIN),
    Family::new("qwen2", "Qwen2ForCausalLM", PLAIN),
    Family::new("qwen3", "Qwen3ForCausalLM", PLAIN),
    Family::new("qwen3moe", "Qwen3MoeForCausalLM", PLAIN),
    Family::new("gemma2", "Gemma2ForCausalLM", SANDWICH),
    Family::new("gemma3", "Gemma3ForCausalLM", SANDWICH),
    Family::new("olmo2", "Olmo2ForCausalLM", POST),
    Family::new("phi3", "Phi3ForCausalLM", PHI3),
    Family::new("gpt2", "GPT2LMHeadModel", GPT2),
    Family::new("gptneox", "GPTNeoXForCausalLM", STACKED),
];

/// Divisors of the rotary frequencies, as files keep llama3's scaling.
const DIVISORS: &str = "rope_freqs.weight";

/// What a file says of its model.
pub struct Model {
    /// As config.json would say it.
    pub config: Config,
    /// How the decoder is built, with llama.cpp's names for its tensors.
    pub shape: Shape,
    /// A sentence for each thing that was passed over.
    pub warnings: Vec<String>,
}

/// Reads the metadata. Tells the file how its rows lie.
///
/// # Errors
/// It is no language model of one of the families, or says something that changes what it computes and is not read.
pub fn read(gguf: &mut Gguf) -> Result<Model> {
    let path = gguf.path().to_path_buf();
    let bad = |reason: String| Error::file(&path, reason);
    if let Some(reason) = not_models::other_content(gguf) {
        return Err(bad(reason));
    }
    let architecture = gguf.text("general.architecture").unwrap_or_default();
    let family =
        FAMILIES.iter().find(|family| family.architecture == architecture).ok_or_else(|| {
            let known: Vec<_> = FAMILIES.iter().map(|family| family.architecture).collect();
            bad(format!(
                "unknown general.architecture '{architecture}'; this version runs {}",
                known.join(", ")
            ))
        })?;
    let mut warnings = keys::check(gguf, family.architecture)?;
    let metadata = Metadata { gguf, architecture: family.architecture };
    let is_long = metadata.has_long_rope();
    let json = metadata.config(family.class)?;
    let (config, mut shape) = families::of_json(json.clone(), &path)?;
    metadata.check_equal_heads(&shape)?;
    if let Some(windows) = metadata.windows(&shape)? {
        set_windows(&mut shape, &windows, json, gguf)?;
    }
    let plus_one = shape.norm == NormKind::RmsPlusOne;
    let modules = ModuleNames::new(&family.names, &shape.names, plus_one);
    shape.names = family.names;
    if family.class == "Phi3ForCausalLM" && !gguf.has("blk.0.attn_qkv.weight") {
        shape.names.qkv = SEPARATE;
    }
    if plus_one {
        // llama.cpp's converter has added the one already.
        shape.norm = NormKind::Rms;
    }
    let zeros = set_biases(gguf, family.architecture, &mut shape);
    let mut read = divide_frequencies(gguf, &mut shape)?;
    if is_long {
        read.extend([LONG, SHORT]);
    }
    let keys_and_values = shape.kv_heads * shape.head_dim;
    gguf.modules = modules;
    gguf.layout = Layout {
        interleaved_head: (family.architecture == "llama").then_some(shape.head_dim),
        qkv: [shape.heads * shape.head_dim, keys_and_values, keys_and_values],
        zeros,
    };
    warnings.extend(accounts::check(gguf, &shape, &read)?);
    Ok(Model { config, shape, warnings })
}

impl Metadata<'_> {
    /// GPT-2 and GPT-NeoX have as many key and value heads as query heads, whatever their config says.
    fn check_equal_heads(&self, shape: &Shape) -> Result<()> {
        for (name, size) in
            [("attention.head_count_kv", shape.kv_heads), ("attention.key_length", shape.head_dim)]
        {
            if self.size(name)?.is_some_and(|number| number != size as u64) {
                return Err(keys::refusal(self.gguf, &self.key(name)));
            }
        }
        Ok(())
    }

    /// Keys that a query sees in each layer, where transformers' class has no windows of the kind.
    fn windows(&self, shape: &Shape) -> Result<Option<Vec<Option<usize>>>> {
        let Some(window) =
            self.window()?.filter(|_| matches!(self.architecture, "llama" | "olmo2"))
        else {
            return Ok(None);
        };
        let sliding = self.sliding_layers(shape.layers)?;
        Ok(Some(sliding.iter().map(|&sliding| sliding.then_some(window as usize)).collect()))
    }
}

/// Windows some layers. OLMo 3, which llama.cpp calls olmo2, scales the frequencies of the others alone.
fn set_windows(
    shape: &mut Shape,
    windows: &[Option<usize>],
    mut json: serde_json::Value,
    gguf: &Gguf,
) -> Result<()> {
    if json["architectures"][0] == "Olmo2ForCausalLM" {
        json["rope_parameters"]["rope_type"] = "default".into();
        let (_, plain) = families::of_json(json, gguf.path())?;
        shape.ropes.extend(plain.ropes);
        for (kind, window) in shape.layer_kinds.iter_mut().zip(windows) {
            kind.rope = Some(usize::from(window.is_some()));
        }
    }
    for (kind, window) in shape.layer_kinds.iter_mut().zip(windows) {
        kind.window = *window;
    }
    Ok(())
}

/// Biases are where the file has them. Returns the names of those that only some projections or layers lack.
fn set_biases(gguf: &Gguf, architecture: &str, shape: &mut Shape) -> HashSet<String> {
    // GPT-2's and GPT-NeoX's are never missing.
    if matches!(architecture, "gpt2" | "gptneox") {
        return HashSet::new();
    }
    let qkv: &[&str] = match &shape.names.qkv {
        Qkv::Separate(parts) => parts,
        Qkv::Stacked(part) | Qkv::ByHead(part) => std::slice::from_ref(part),
    };
    let into: &[&str] = match &shape.names.mlp_in {
        MlpIn::Gated(parts) => parts,
        MlpIn::GatedStacked(part) | MlpIn::Plain(part) => std::slice::from_ref(part),
    };
    let mlp: Vec<&str> = into.iter().copied().chain([shape.names.mlp_out]).collect();
    let mut zeros = HashSet::new();
    let mut has_any = |parts: &[&str]| {
        let all = (0..shape.layers)
            .flat_map(|layer| parts.iter().map(move |part| format!("blk.{layer}.{part}.bias")));
        let (present, absent): (Vec<_>, Vec<_>) =
            all.partition(|name| gguf.has(name) || gguf.has(&stacked(name)));
        zeros.extend(absent);
        !present.is_empty()
    };
    shape.qkv_bias = has_any(qkv);
    shape.output_bias = has_any(&[shape.names.output]);
    shape.mlp_bias = has_any(&mlp);
    zeros
}

/// The bias of Q, K and V together.
fn stacked(name: &str) -> String {
    ["attn_q.", "attn_k.", "attn_v."]
        .iter()
        .fold(name.to_owned(), |name, part| name.replace(part, "attn_qkv."))
}

/// Divides the rotary frequencies as the file says. Returns the tensors that have been read for them.
fn divide_frequencies(gguf: &Gguf, shape: &mut Shape) -> Result<Vec<&'static str>> {
    let mut read = Vec::new();
    // With a base for each kind of layer nothing says which one the divisors are of.
    if let [rope] = &mut shape.ropes[..]
        && gguf.has(DIVISORS)
    {
        rope.divide(&gguf.vector(DIVISORS, rope.pairs())?);
        if !Rope::is_finite(rope) {
            return Err(Error::file(
                gguf.path(),
                format!("tensor {DIVISORS} holds 0, NaN or infinity: fetch it again"),
            ));
        }
        read.push(DIVISORS);
    }
    Ok(read)
}
