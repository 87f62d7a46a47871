//! The metadata in config.json's words. What an absent key means is what llama.cpp makes of it
//! (`llama_model_base::load_hparams` of `llama-model.cpp`, and each architecture's `load_arch_hparams` in
//! `src/models`), so that every field whose default transformers has otherwise is written out.

use super::{Gguf, Value, keys};
use crate::Result;
use serde_json::{Map, json};

/// Rotary base where the file has none.
const ROPE_BASE: f64 = 10_000.0;
/// Gemma 2's window and soft caps where the file has none.
const GEMMA2_WINDOW: u64 = 4096;
const GEMMA2_SCORE_CAP: f64 = 50.0;
const GEMMA2_LOGIT_CAP: f64 = 30.0;

/// Metadata under the name of an architecture.
pub struct Metadata<'a> {
    pub gguf: &'a Gguf,
    pub architecture: &'static str,
}

impl Metadata<'_> {
    /// The whole key.
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn whole(&self, name: &str) -> Result<Option<u64>> {
        self.gguf.whole(&self.key(name))
    }

    /// A number that may have a fraction; none where the key is absent.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        self.gguf.number(&self.key(name))
    }

    /// A number that every model of the architecture has.
    fn required<T>(&self, name: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.gguf.bad_entry(&self.key(name), "is missing"))
    }

    fn is(&self, architectures: &[&str]) -> bool {
        architectures.contains(&self.architecture)
    }

    /// A size that may be given for each layer, where it is the same for all; none where the key is absent.
    pub fn size(&self, name: &str) -> Result<Option<u64>> {
        let key = self.key(name);
        let is_array = self.gguf.has_key(&key) && self.gguf.value(&key).is_none();
        let number = if is_array {
            let all = self.gguf.numbers(&key).unwrap_or_default();
            match all.split_first() {
                Some((first, rest)) if rest.iter().all(|other| other == first) => *first as u64,
                _ => {
                    let reason = "differs from layer to layer, which this version does not run";
                    return Err(self.gguf.bad_entry(&key, reason));
                }
            }
        } else {
            match self.whole(name)? {
                Some(number) => number,
                None => return Ok(None),
            }
        };
        // Each is a size of something in the file, and memory is reserved by it.
        let most = if name == "block_count" {
            self.gguf.tensor_names().count()
        } else {
            self.gguf.parts().iter().map(|part| part.bytes.len()).sum()
        };
        match number {
            0 => Err(self.gguf.bad_entry(&key, "is 0")),
            _ if number > most as u64 => {
                let reason = format!("is {number}, more than the file has room for");
                Err(self.gguf.bad_entry(&key, &reason))
            }
            _ => Ok(Some(number)),
        }
    }

    /// A size of experts, which files without experts may say is 0.
    fn size_or_none(&self, name: &str) -> Result<Option<u64>> {
        match self.gguf.value(&self.key(name)) {
            Some(Value::Whole(0)) => Ok(None),
            _ => self.size(name),
        }
    }

    /// The whole of it; `class` is transformers' name of the architecture.
    pub fn config(&self, class: &str) -> Result<serde_json::Value> {
        let gguf = self.gguf;
        let layers = self.required("block_count", self.size("block_count")?)?;
        let hidden = self.required("embedding_length", self.size("embedding_length")?)?;
        let heads = self.required("attention.head_count", self.size("attention.head_count")?)?;
        let kv_heads = self.size("attention.head_count_kv")?.unwrap_or(heads);
        let head_dim = self.size("attention.key_length")?.unwrap_or(hidden / heads);
        if self.size("attention.value_length")?.is_some_and(|value| value != head_dim) {
            return Err(keys::refusal(gguf, &self.key("attention.value_length")));
        }
        let context = self.whole("context_length")?;
        let mut config = Map::new();
        let mut say =
            |field: &str, value: serde_json::Value| config.insert(field.to_owned(), value);
        let is_gpt2 = self.is(&["gpt2"]);
        let named = |own: &'static str, general| if is_gpt2 { own } else { general };
        say(named("n_embd", "hidden_size"), json!(hidden));
        say(named("n_layer", "num_hidden_layers"), json!(layers));
        say(named("n_head", "num_attention_heads"), json!(heads));
        let context = self.required("context_length", context)?;
        say(named("n_positions", "max_position_embeddings"), json!(context));
        if !self.is(&["gpt2", "gptneox"]) {
            say("num_key_value_heads", json!(kv_heads));
            say("head_dim", json!(head_dim));
        }
        say("vocab_size", json!(gguf.row_count("token_embd.weight")?));
        say("tie_word_embeddings", json!(!gguf.has("output.weight")));
        let (epsilon, field) = match self.architecture {
            "gpt2" => ("attention.layer_norm_epsilon", "layer_norm_epsilon"),
            "gptneox" => ("attention.layer_norm_epsilon", "layer_norm_eps"),
            _ => ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        };
        say(field, json!(self.required(epsilon, self.number(epsilon)?)?));
        if !is_gpt2 {
            say("rope_parameters", self.ropes(head_dim)?);
        }
        if self.is(&["phi3"]) && self.has_long_rope() {
            // Of its class the field is beside the others, with a default.
            say("original_max_position_embeddings", json!(self.original_context()?));
        }
        // Where the file names none, the class's own is not meant.
        say("eos_token_id", json!(gguf.whole("tokenizer.ggml.eos_token_id")?));
        config.extend(self.mlp(class)?);
        config.extend(self.attention(layers, hidden, heads, head_dim)?);
        Ok(config.into())
    }

    /// The class, and the widths of its MLP or experts.
    fn mlp(&self, class: &str) -> Result<Map<String, serde_json::Value>> {
        let mut config = Map::new();
        let mut say =
            |field: &str, value: serde_json::Value| config.insert(field.to_owned(), value);
        let experts = match self.is(&["llama", "qwen3moe"]) {
            true => self.size_or_none("expert_count")?,
            false => None,
        };
        let width = self.size("feed_forward_length")?;
        if self.is(&["qwen3moe"]) {
            self.required("expert_count", experts)?;
        }
        let Some(experts) = experts else {
            let used = "expert_used_count";
            if self.is(&["llama"]) && self.size_or_none(used)?.is_some() {
                return Err(keys::refusal(self.gguf, &self.key(used)));
            }
            let width = self.required("feed_forward_length", width)?;
            say("architectures", json!([class]));
            say(if self.is(&["gpt2"]) { "n_inner" } else { "intermediate_size" }, json!(width));
            return Ok(config);
        };
        let name = "expert_used_count";
        let active = self.required(name, self.size_or_none(name)?)?;
        say("num_experts_per_tok", json!(active));
        if self.is(&["llama"]) {
            say("architectures", json!(["MixtralForCausalLM"]));
            say("num_local_experts", json!(experts));
            say("intermediate_size", json!(self.required("feed_forward_length", width)?));
            return Ok(config);
        }
        let own_width = self.size_or_none("expert_feed_forward_length")?;
        let own_width = own_width.or(width.map(|width| width / active));
        let own_width = self.required("expert_feed_forward_length", own_width)?;
        let normalised = self.gguf.boolean(&self.key("expert_weights_norm")).unwrap_or(true);
        say("architectures", json!([class]));
        say("num_experts", json!(experts));
        say("moe_intermediate_size", json!(own_width));
        say("intermediate_size", json!(width.unwrap_or(own_width)));
        say("norm_topk_prob", json!(normalised));
        Ok(config)
    }

    /// Scales, caps and windows of attention.
    fn attention(
        &self,
        layers: u64,
        hidden: u64,
        heads: u64,
        head_dim: u64,
    ) -> Result<Map<String, serde_json::Value>> {
        let mut config = Map::new();
        let mut say =
            |field: &str, value: serde_json::Value| config.insert(field.to_owned(), value);
        if self.is(&["gptneox"]) {
            let key = self.key("use_parallel_residual");
            let parallel = self.required("use_parallel_residual", self.gguf.boolean(&key))?;
            say("use_parallel_residual", json!(parallel));
        }
        // The windows of other families are set on their layers, for not all of transformers' classes have them.
        if self.is(&["gemma2", "gemma3", "phi3"]) {
            say("sliding_window", json!(self.window()?));
        }
        if !self.is(&["gemma2", "gemma3"]) {
            return Ok(config);
        }
        // llama.cpp's rule: Gemma's largest models scale scores by the width of the residual stream.
        let is_largest = matches!((self.architecture, layers), ("gemma2", 46) | ("gemma3", 62));
        let query_scalar = if is_largest { hidden / heads } else { head_dim };
        say("query_pre_attn_scalar", json!(query_scalar));
        let cap = |name: &str, default: Option<f64>| -> Result<serde_json::Value> {
            let cap = self.number(name)?.or(default).filter(|&cap| cap != 0.0);
            Ok(json!(cap))
        };
        let is_gemma2 = self.is(&["gemma2"]);
        let default = |cap: f64| is_gemma2.then_some(cap);
        if is_gemma2 {
            let name = "attn_logit_softcapping";
            say(name, cap(name, default(GEMMA2_SCORE_CAP))?);
        }
        let name = "final_logit_softcapping";
        say(name, cap(name, default(GEMMA2_LOGIT_CAP))?);
        let sliding = self.sliding_layers(layers as usize)?;
        let kind = |&sliding: &bool| match sliding {
            true => "sliding_attention",
            false => "full_attention",
        };
        say("layer_types", json!(sliding.iter().map(kind).collect::<Vec<_>>()));
        Ok(config)
    }

    /// Keys that a query sees in windowed layers; none if no layer is windowed.
    pub fn window(&self) -> Result<Option<u64>> {
        let default = self.is(&["gemma2"]).then_some(GEMMA2_WINDOW);
        Ok(self.whole("attention.sliding_window")?.or(default).filter(|&window| window != 0))
    }

    /// Which layers are windowed. A pattern of n leaves one in n without a window, the last of them.
    pub fn sliding_layers(&self, layers: usize) -> Result<Vec<bool>> {
        if self.window()?.is_none() {
            return Ok(vec![false; layers]);
        }
        let name = "attention.sliding_window_pattern";
        if let Some(pattern) = self.gguf.numbers(&self.key(name)) {
            if pattern.len() < layers {
                let reason = format!("is of {} layers, and there are {layers}", pattern.len());
                return Err(self.gguf.bad_entry(&self.key(name), &reason));
            }
            return Ok(pattern[..layers].iter().map(|&sliding| sliding != 0.0).collect());
        }
        let every = match (self.whole(name)?, self.architecture) {
            (Some(every), _) => every as usize,
            (None, "gemma2") => 2,
            (None, "gemma3") => 6,
            (None, "olmo2") => 4,
            // Mistral and Phi-3 window every layer.
            (None, _) => 0,
        };
        Ok((0..layers).map(|layer| every == 0 || layer % every < every - 1).collect())
    }

    /// Rotary embeddings: of all layers, or of each kind where kinds differ.
    fn ropes(&self, head_dim: u64) -> Result<serde_json::Value> {
        let share = self.rotated_share(head_dim)?;
        let base = self.number("rope.freq_base")?;
        if !self.is(&["gemma3"]) {
            return self.rope(base.unwrap_or(ROPE_BASE), share);
        }
        // Ollama has names of its own for the two bases.
        let base = base.or(self.number("rope.global.freq_base")?).unwrap_or(ROPE_BASE);
        let local = self.number("rope.freq_base_swa")?.or(self.number("rope.local.freq_base")?);
        Ok(json!({
            "full_attention": self.rope(base, share)?,
            "sliding_attention": plain_rope(local.unwrap_or(ROPE_BASE), share),
        }))
    }

    /// The share of a head that is rotated, so that a product with the head's width, rounded or cut off, is the number
    /// of dimensions that the file tells.
    fn rotated_share(&self, head_dim: u64) -> Result<f64> {
        let name = "rope.dimension_count";
        let rotated = self.whole(name)?.unwrap_or(head_dim);
        if rotated == head_dim {
            return Ok(1.0);
        }
        if !self.is(&["gptneox", "phi3"]) {
            let reason =
                format!("is {rotated}, and models of this kind rotate whole heads ({head_dim})");
            return Err(self.gguf.bad_entry(&self.key(name), &reason));
        }
        Ok((rotated as f64 + 0.25) / head_dim as f64)
    }

    /// A rotary embedding with the scaling that the file tells.
    fn rope(&self, base: f64, share: f64) -> Result<serde_json::Value> {
        let named = self.gguf.text(&self.key("rope.scaling.type"));
        let factor = match self.number("rope.scaling.factor")? {
            None => self.number("rope.scale_linear")?,
            factor => factor,
        };
        let factor = factor.filter(|&factor| factor != 0.0).unwrap_or(1.0);
        let strength = self.number("rope.scaling.attn_factor")?;
        let original = self.original_context()?;
        let mut rope = plain_rope(base, share);
        let mut say = |field: &str, value: serde_json::Value| rope[field] = value;
        match named.as_deref().unwrap_or("linear") {
            _ if self.has_long_rope() => {
                if factor != 1.0 {
                    return Err(keys::refusal(self.gguf, &self.key("rope.scaling.factor")));
                }
                let pairs = self.gguf.row_count(LONG)?;
                say("rope_type", json!("longrope"));
                say("long_factor", json!(self.gguf.vector(LONG, pairs)?));
                say("short_factor", json!(self.gguf.vector(SHORT, pairs)?));
                say("attention_factor", json!(strength.unwrap_or(1.0)));
                say("original_max_position_embeddings", json!(original));
            }
            "yarn" if factor > 1.0 && !self.is(&["phi3"]) => {
                let own = self.number("rope.scaling.yarn_attn_factor")?;
                let own = own.unwrap_or(0.1 * factor.ln() + 1.0) * strength.unwrap_or(1.0);
                say("rope_type", json!("yarn"));
                say("factor", json!(factor));
                say("attention_factor", json!(own));
                say("original_max_position_embeddings", json!(original));
                // Ollama leaves out the prefix.
                for (field, names) in [
                    ("beta_fast", ["rope.scaling.yarn_beta_fast", "rope.scaling.beta_fast"]),
                    ("beta_slow", ["rope.scaling.yarn_beta_slow", "rope.scaling.beta_slow"]),
                ] {
                    let own = self.number(names[0])?;
                    if let Some(number) = own.or(self.number(names[1])?) {
                        say(field, json!(number));
                    }
                }
            }
            "none" | "linear" | "yarn" if strength.is_some_and(|strength| strength != 1.0) => {
                return Err(keys::refusal(self.gguf, &self.key("rope.scaling.attn_factor")));
            }
            "none" => {}
            "linear" | "yarn" if factor == 1.0 => {}
            // transformers' class has longrope alone.
            _ if self.is(&["phi3"]) => {
                return Err(keys::refusal(self.gguf, &self.key("rope.scaling.factor")));
            }
            "linear" => {
                say("rope_type", json!("linear"));
                say("factor", json!(factor));
            }
            _ => return Err(keys::refusal(self.gguf, &self.key("rope.scaling.type"))),
        }
        Ok(rope)
    }

    /// Positions that the model was first trained for.
    fn original_context(&self) -> Result<Option<u64>> {
        match self.whole("rope.scaling.original_context_length")? {
            None => self.whole("context_length"),
            original => Ok(original),
        }
    }

    /// Whether the rotary frequencies are divided by one of two lists, by the length of the sequence. Phi-3's converter
    /// writes the lists and no type.
    pub fn has_long_rope(&self) -> bool {
        match self.architecture {
            "phi3" => self.gguf.has(LONG) || self.gguf.has(SHORT),
            "llama" => {
                self.gguf.text(&self.key("rope.scaling.type")).as_deref() == Some("longrope")
            }
            _ => false,
        }
    }
}

/// The tensors of longrope.
pub const LONG: &str = "rope_factors_long.weight";
pub const SHORT: &str = "rope_factors_short.weight";

fn plain_rope(base: f64, share: f64) -> serde_json::Value {
    json!({ "rope_type": "default", "rope_theta": base, "partial_rotary_factor": share })
}
