//! Reads the metadata of a GGUF file: the config, the decoder's shape, and the names of its tensors.

use super::{
    Gguf,
    architecture_metadata::{ArchitectureMetadata, LONG_FACTORS, SHORT_FACTORS},
    detection, metadata_keys,
    module_names::ModuleNames,
    unexpected_tensors,
    weight_rows::TensorLayout,
};
use crate::{
    Config, Error, Result,
    families::{self, MlpIn, NamingScheme, NormKind, Qkv, Rope, Shape},
};
use std::collections::HashSet;

/// A model family of llama.cpp.
struct GgufFamily {
    /// llama.cpp's name of the architecture.
    architecture: &'static str,
    /// The name of the language model's class in transformers.
    class: &'static str,
    names: NamingScheme,
}

impl GgufFamily {
    const fn new(architecture: &'static str, class: &'static str, names: NamingScheme) -> Self {
        Self { architecture, class, names }
    }
}

/// The tensor names of most families.
const PLAIN: NamingScheme = NamingScheme {
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
    ..NamingScheme::LLAMA
};
const SEPARATE: Qkv = Qkv::Separate(["attn_q", "attn_k", "attn_v"]);
/// Gemma's tensor names, with norms before and after attention and MLP.
const SANDWICH: NamingScheme = NamingScheme {
    attention_out_norm: Some("post_attention_norm"),
    mlp_out_norm: Some("post_ffw_norm"),
    ..PLAIN
};
/// OLMo 2's tensor names, with norms only after attention and MLP.
const POST: NamingScheme = NamingScheme { attention_in_norm: None, mlp_in_norm: None, ..SANDWICH };
/// Tensor names with Q, K and V in one tensor, and with an MLP without a gate.
const STACKED: NamingScheme =
    NamingScheme { qkv: Qkv::Stacked("attn_qkv"), mlp_in: MlpIn::Plain("ffn_up"), ..PLAIN };
const PHI3: NamingScheme = NamingScheme { mlp_in: MlpIn::GatedStacked("ffn_up"), ..STACKED };
const GPT2: NamingScheme = NamingScheme { positions: Some("position_embd"), ..STACKED };

const FAMILIES: [GgufFamily; 10] = [
    GgufFamily::new("llama", "LlamaForCausalLM", PLAIN),
    GgufFamily::new("qwen2", "Qwen2ForCausalLM", PLAIN),
    GgufFamily::new("qwen3", "Qwen3ForCausalLM", PLAIN),
    GgufFamily::new("qwen3moe", "Qwen3MoeForCausalLM", PLAIN),
    GgufFamily::new("gemma2", "Gemma2ForCausalLM", SANDWICH),
    GgufFamily::new("gemma3", "Gemma3ForCausalLM", SANDWICH),
    GgufFamily::new("olmo2", "Olmo2ForCausalLM", POST),
    GgufFamily::new("phi3", "Phi3ForCausalLM", PHI3),
    GgufFamily::new("gpt2", "GPT2LMHeadModel", GPT2),
    GgufFamily::new("gptneox", "GPTNeoXForCausalLM", STACKED),
];

/// The tensor with divisors of the rotary frequencies, by which files store the scaling of the type llama3.
const DIVISORS: &str = "rope_freqs.weight";

/// The description of the model in a GGUF file.
pub(crate) struct GgufModel {
    /// The config, in the words of a `config.json`.
    pub config: Config,
    /// The shape of the decoder, with llama.cpp's names of the tensors.
    pub shape: Shape,
    /// Sentences about what was ignored.
    pub warnings: Vec<String>,
}

impl GgufModel {
    /// Reads the metadata, and sets the layout of the tensors and the names of the modules in `gguf`.
    ///
    /// # Errors
    /// Returns an error if the file is no language model of a known family, or if it requests a computation that this
    /// version does not support.
    pub(crate) fn read(gguf: &mut Gguf) -> Result<Self> {
        let path = gguf.path().to_path_buf();
        let bad = |reason: String| Error::file(&path, reason);
        if let Some(reason) = detection::describe_other_content(gguf) {
            return Err(bad(reason));
        }
        let architecture = gguf.text("general.architecture").unwrap_or_default();
        let family = FAMILIES
            .iter()
            .find(|family| family.architecture == architecture)
            .ok_or_else(|| {
                let known: Vec<_> = FAMILIES.iter().map(|family| family.architecture).collect();
                bad(format!(
                    "unknown general.architecture '{architecture}'; this version runs {}",
                    known.join(", ")
                ))
            })?;
        let mut warnings = metadata_keys::check_keys(gguf, family.architecture)?;
        let metadata = ArchitectureMetadata { gguf, architecture: family.architecture };
        let is_long = metadata.has_long_rope();
        let json = metadata.to_config(family.class)?;
        let (config, mut shape) = families::from_json(json.clone(), &path)?;
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
            // llama.cpp's converter has already added the 1 of "1 + weight".
            shape.norm = NormKind::Rms;
        }
        let zeros = set_biases(gguf, family.architecture, &mut shape);
        let mut read = divide_frequencies(gguf, &mut shape)?;
        if is_long {
            read.extend([LONG_FACTORS, SHORT_FACTORS]);
        }
        let keys_and_values = shape.kv_heads * shape.head_dim;
        gguf.modules = modules;
        gguf.layout = TensorLayout {
            interleaved_head: (family.architecture == "llama").then_some(shape.head_dim),
            qkv: [shape.heads * shape.head_dim, keys_and_values, keys_and_values],
            zeros,
        };
        warnings.extend(unexpected_tensors::check_tensors(gguf, &shape, &read)?);
        Ok(Self { config, shape, warnings })
    }
}

impl ArchitectureMetadata<'_> {
    /// Refuses numbers of key and value heads that differ from the shape. GPT-2 and GPT-NeoX have as many of them as
    /// query heads, whatever their config says.
    fn check_equal_heads(&self, shape: &Shape) -> Result<()> {
        for (name, size) in
            [("attention.head_count_kv", shape.kv_heads), ("attention.key_length", shape.head_dim)]
        {
            if self.size(name)?.is_some_and(|number| number != size as u64) {
                return Err(metadata_keys::refusal(self.gguf, &self.key(name)));
            }
        }
        Ok(())
    }

    /// Returns how many keys a query sees in each layer, for architectures whose class in transformers has no such
    /// windows. Returns `None` for other architectures, and if the model has no windows.
    fn windows(&self, shape: &Shape) -> Result<Option<Vec<Option<usize>>>> {
        let Some(window) =
            self.window()?.filter(|_| matches!(self.architecture, "llama" | "olmo2"))
        else {
            return Ok(None);
        };
        let sliding = self.windowed_layers(shape.layers)?;
        Ok(Some(sliding.iter().map(|&sliding| sliding.then_some(window as usize)).collect()))
    }
}

/// Sets the windows of the layers. OLMo 3, which llama.cpp calls olmo2, scales the rotary frequencies only in layers
/// without a window.
fn set_windows(
    shape: &mut Shape,
    windows: &[Option<usize>],
    mut json: serde_json::Value,
    gguf: &Gguf,
) -> Result<()> {
    if json["architectures"][0] == "Olmo2ForCausalLM" {
        json["rope_parameters"]["rope_type"] = "default".into();
        let (_, plain) = families::from_json(json, gguf.path())?;
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

/// Sets which projections have biases, by the tensors of the file. If only some projections or layers have them, the
/// names of the absent biases are returned.
fn set_biases(gguf: &Gguf, architecture: &str, shape: &mut Shape) -> HashSet<String> {
    // GPT-2 and GPT-NeoX always have biases.
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
            all.partition(|name| gguf.has(name) || gguf.has(&stacked_name(name)));
        zeros.extend(absent);
        !present.is_empty()
    };
    shape.qkv_bias = has_any(qkv);
    shape.output_bias = has_any(&[shape.names.output]);
    shape.mlp_bias = has_any(&mlp);
    zeros
}

/// Returns the name of the tensor that contains the biases of Q, K and V together.
fn stacked_name(name: &str) -> String {
    ["attn_q.", "attn_k.", "attn_v."]
        .iter()
        .fold(name.to_owned(), |name, part| name.replace(part, "attn_qkv."))
}

/// Divides the rotary frequencies by the divisors of the file, if it has any. Returns the names of the tensors that
/// were read.
fn divide_frequencies(gguf: &Gguf, shape: &mut Shape) -> Result<Vec<&'static str>> {
    let mut read = Vec::new();
    // If the kinds of layers have different bases, the file does not say to which one the divisors belong.
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
