//! Translates the metadata of a GGUF file to the fields of a `config.json`.
//!
//! An absent key has llama.cpp's default (`llama_model_base::load_hparams` in `llama-model.cpp`, and
//! `load_arch_hparams` of each architecture in `src/models`). Every field whose default differs in transformers is
//! therefore written explicitly.

use super::{Gguf, MetadataValue, metadata_keys};
use crate::Result;
use serde_json::{Map, Value, json};

/// The default of the rotary base.
const ROPE_BASE: f64 = 10_000.0;
/// Gemma 2's defaults of the window and the soft caps.
const GEMMA2_WINDOW: u64 = 4096;
const GEMMA2_SCORE_CAP: f64 = 50.0;
const GEMMA2_LOGIT_CAP: f64 = 30.0;

/// The metadata of a file whose keys begin with the name of its architecture.
pub(super) struct ArchitectureMetadata<'a> {
    pub gguf: &'a Gguf,
    pub architecture: &'static str,
}

impl ArchitectureMetadata<'_> {
    /// Returns the complete key of a name: the architecture, a dot, and the name.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn whole(&self, name: &str) -> Result<Option<u64>> {
        self.gguf.whole(&self.key(name))
    }

    /// Returns a number, which may have a fraction, or `None` if the key is absent.
    fn number(&self, name: &str) -> Result<Option<f64>> {
        self.gguf.number(&self.key(name))
    }

    /// Returns `value`, or an error if it is absent. Every model of the architecture must have it.
    fn required<T>(&self, name: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.gguf.bad_entry(&self.key(name), "is missing"))
    }

    fn is(&self, architectures: &[&str]) -> bool {
        architectures.contains(&self.architecture)
    }

    /// Returns a size. The file may have one for each layer, but they must be equal. Returns `None` if the key is
    /// absent.
    pub(super) fn size(&self, name: &str) -> Result<Option<u64>> {
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
        // The file contains something of each size, and memory is reserved for it, so a larger number is refused.
        let most = if name == "block_count" {
            self.gguf.tensor_names().count()
        } else {
            self.gguf.files().iter().map(|file| file.bytes.len()).sum()
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

    /// Returns a size that concerns experts. Files without experts may say 0, which counts as absent.
    fn expert_size(&self, name: &str) -> Result<Option<u64>> {
        match self.gguf.value(&self.key(name)) {
            Some(MetadataValue::Whole(0)) => Ok(None),
            _ => self.size(name),
        }
    }

    /// Returns the fields of the `config.json`. `class` is the name of the language model's class in transformers.
    pub(super) fn to_config(&self, class: &str) -> Result<Value> {
        let gguf = self.gguf;
        let layers = self.required("block_count", self.size("block_count")?)?;
        let hidden = self.required("embedding_length", self.size("embedding_length")?)?;
        let heads = self.required("attention.head_count", self.size("attention.head_count")?)?;
        let kv_heads = self.size("attention.head_count_kv")?.unwrap_or(heads);
        let head_dim = self.size("attention.key_length")?.unwrap_or(hidden / heads);
        if self.size("attention.value_length")?.is_some_and(|value| value != head_dim) {
            return Err(metadata_keys::refusal(gguf, &self.key("attention.value_length")));
        }
        let context = self.whole("context_length")?;
        let mut config = Map::new();
        let mut set = |field: &str, value: Value| config.insert(field.to_owned(), value);
        let is_gpt2 = self.is(&["gpt2"]);
        let named = |own: &'static str, general| if is_gpt2 { own } else { general };
        set(named("n_embd", "hidden_size"), json!(hidden));
        set(named("n_layer", "num_hidden_layers"), json!(layers));
        set(named("n_head", "num_attention_heads"), json!(heads));
        let context = self.required("context_length", context)?;
        set(named("n_positions", "max_position_embeddings"), json!(context));
        if !self.is(&["gpt2", "gptneox"]) {
            set("num_key_value_heads", json!(kv_heads));
            set("head_dim", json!(head_dim));
        }
        set("vocab_size", json!(gguf.row_count("token_embd.weight")?));
        set("tie_word_embeddings", json!(!gguf.has("output.weight")));
        let (epsilon, field) = match self.architecture {
            "gpt2" => ("attention.layer_norm_epsilon", "layer_norm_epsilon"),
            "gptneox" => ("attention.layer_norm_epsilon", "layer_norm_eps"),
            _ => ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        };
        set(field, json!(self.required(epsilon, self.number(epsilon)?)?));
        if !is_gpt2 {
            set("rope_parameters", self.ropes(head_dim)?);
        }
        if self.is(&["phi3"]) && self.has_long_rope() {
            // In Phi-3's class this field is outside the object and has a default, so it must be set here.
            set("original_max_position_embeddings", json!(self.original_context()?));
        }
        // If the file has no such key, null is set, because the default of the class does not apply.
        set("eos_token_id", json!(gguf.whole("tokenizer.ggml.eos_token_id")?));
        config.extend(self.mlp(class)?);
        config.extend(self.attention(layers, hidden, heads, head_dim)?);
        Ok(config.into())
    }

    /// Returns the fields for the class and for the widths of its MLP or experts.
    fn mlp(&self, class: &str) -> Result<Map<String, Value>> {
        let mut config = Map::new();
        let mut set = |field: &str, value: Value| config.insert(field.to_owned(), value);
        let experts = match self.is(&["llama", "qwen3moe"]) {
            true => self.expert_size("expert_count")?,
            false => None,
        };
        let width = self.size("feed_forward_length")?;
        if self.is(&["qwen3moe"]) {
            self.required("expert_count", experts)?;
        }
        let Some(experts) = experts else {
            let used = "expert_used_count";
            if self.is(&["llama"]) && self.expert_size(used)?.is_some() {
                return Err(metadata_keys::refusal(self.gguf, &self.key(used)));
            }
            let width = self.required("feed_forward_length", width)?;
            set("architectures", json!([class]));
            set(if self.is(&["gpt2"]) { "n_inner" } else { "intermediate_size" }, json!(width));
            return Ok(config);
        };
        let name = "expert_used_count";
        let active = self.required(name, self.expert_size(name)?)?;
        set("num_experts_per_tok", json!(active));
        if self.is(&["llama"]) {
            set("architectures", json!(["MixtralForCausalLM"]));
            set("num_local_experts", json!(experts));
            set("intermediate_size", json!(self.required("feed_forward_length", width)?));
            return Ok(config);
        }
        let own_width = self.expert_size("expert_feed_forward_length")?;
        let own_width = own_width.or(width.map(|width| width / active));
        let own_width = self.required("expert_feed_forward_length", own_width)?;
        let normalised = self.gguf.boolean(&self.key("expert_weights_norm")).unwrap_or(true);
        set("architectures", json!([class]));
        set("num_experts", json!(experts));
        set("moe_intermediate_size", json!(own_width));
        set("intermediate_size", json!(width.unwrap_or(own_width)));
        set("norm_topk_prob", json!(normalised));
        Ok(config)
    }

    /// Returns the fields for the scales, the soft caps and the windows of attention.
    fn attention(
        &self,
        layers: u64,
        hidden: u64,
        heads: u64,
        head_dim: u64,
    ) -> Result<Map<String, Value>> {
        let mut config = Map::new();
        let mut set = |field: &str, value: Value| config.insert(field.to_owned(), value);
        if self.is(&["gptneox"]) {
            let key = self.key("use_parallel_residual");
            let parallel = self.required("use_parallel_residual", self.gguf.boolean(&key))?;
            set("use_parallel_residual", json!(parallel));
        }
        // The windows of other families are set in the shape, because not all classes of transformers have them.
        if self.is(&["gemma2", "gemma3", "phi3"]) {
            set("sliding_window", json!(self.window()?));
        }
        if !self.is(&["gemma2", "gemma3"]) {
            return Ok(config);
        }
        // This is llama.cpp's rule. The largest models of Gemma divide scores by another number than the head's width.
        let is_largest = matches!((self.architecture, layers), ("gemma2", 46) | ("gemma3", 62));
        let query_scalar = if is_largest { hidden / heads } else { head_dim };
        set("query_pre_attn_scalar", json!(query_scalar));
        let cap = |name: &str, default: Option<f64>| -> Result<Value> {
            let cap = self.number(name)?.or(default).filter(|&cap| cap != 0.0);
            Ok(json!(cap))
        };
        let is_gemma2 = self.is(&["gemma2"]);
        let default = |cap: f64| is_gemma2.then_some(cap);
        if is_gemma2 {
            let name = "attn_logit_softcapping";
            set(name, cap(name, default(GEMMA2_SCORE_CAP))?);
        }
        let name = "final_logit_softcapping";
        set(name, cap(name, default(GEMMA2_LOGIT_CAP))?);
        let sliding = self.windowed_layers(layers as usize)?;
        let kind = |&sliding: &bool| match sliding {
            true => "sliding_attention",
            false => "full_attention",
        };
        set("layer_types", json!(sliding.iter().map(kind).collect::<Vec<_>>()));
        Ok(config)
    }

    /// Returns how many keys a query sees in windowed layers. Returns `None` if no layer is windowed.
    pub(super) fn window(&self) -> Result<Option<u64>> {
        let default = self.is(&["gemma2"]).then_some(GEMMA2_WINDOW);
        Ok(self.whole("attention.sliding_window")?.or(default).filter(|&window| window != 0))
    }

    /// Returns for each layer whether it is windowed. With a pattern of n, the last of every n layers has no window.
    pub(super) fn windowed_layers(&self, layers: usize) -> Result<Vec<bool>> {
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
            // In Mistral and Phi-3 every layer is windowed.
            (None, _) => 0,
        };
        Ok((0..layers).map(|layer| every == 0 || layer % every < every - 1).collect())
    }

    /// Returns the rotary embedding of all layers, or of each kind of layer if they differ.
    fn ropes(&self, head_dim: u64) -> Result<Value> {
        let share = self.rotated_share(head_dim)?;
        let base = self.number("rope.freq_base")?;
        if !self.is(&["gemma3"]) {
            return self.rope(base.unwrap_or(ROPE_BASE), share);
        }
        // Ollama has its own keys for the two bases.
        let base = base.or(self.number("rope.global.freq_base")?).unwrap_or(ROPE_BASE);
        let local = self.number("rope.freq_base_swa")?.or(self.number("rope.local.freq_base")?);
        Ok(json!({
            "full_attention": self.rope(base, share)?,
            "sliding_attention": plain_rope(local.unwrap_or(ROPE_BASE), share),
        }))
    }

    /// Returns the share of a head that is rotated. Its product with the head's width gives the file's number of
    /// rotated dimensions, whether the product is rounded or truncated.
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

    /// Returns a rotary embedding with the scaling of the file.
    fn rope(&self, base: f64, share: f64) -> Result<Value> {
        let named = self.gguf.text(&self.key("rope.scaling.type"));
        let factor = match self.number("rope.scaling.factor")? {
            None => self.number("rope.scale_linear")?,
            factor => factor,
        };
        let factor = factor.filter(|&factor| factor != 0.0).unwrap_or(1.0);
        let attention_factor = self.number("rope.scaling.attn_factor")?;
        let original = self.original_context()?;
        let mut rope = plain_rope(base, share);
        let mut set = |field: &str, value: Value| rope[field] = value;
        match named.as_deref().unwrap_or("linear") {
            _ if self.has_long_rope() => {
                if factor != 1.0 {
                    return Err(metadata_keys::refusal(
                        self.gguf,
                        &self.key("rope.scaling.factor"),
                    ));
                }
                let pairs = self.gguf.row_count(LONG_FACTORS)?;
                set("rope_type", json!("longrope"));
                set("long_factor", json!(self.gguf.vector(LONG_FACTORS, pairs)?));
                set("short_factor", json!(self.gguf.vector(SHORT_FACTORS, pairs)?));
                set("attention_factor", json!(attention_factor.unwrap_or(1.0)));
                set("original_max_position_embeddings", json!(original));
            }
            "yarn" if factor > 1.0 && !self.is(&["phi3"]) => {
                let own = self.number("rope.scaling.yarn_attn_factor")?;
                let own = own.unwrap_or(0.1 * factor.ln() + 1.0) * attention_factor.unwrap_or(1.0);
                set("rope_type", json!("yarn"));
                set("factor", json!(factor));
                set("attention_factor", json!(own));
                set("original_max_position_embeddings", json!(original));
                // Ollama's keys lack the prefix "yarn_".
                for (field, names) in [
                    ("beta_fast", ["rope.scaling.yarn_beta_fast", "rope.scaling.beta_fast"]),
                    ("beta_slow", ["rope.scaling.yarn_beta_slow", "rope.scaling.beta_slow"]),
                ] {
                    let own = self.number(names[0])?;
                    if let Some(number) = own.or(self.number(names[1])?) {
                        set(field, json!(number));
                    }
                }
            }
            "none" | "linear" | "yarn" if attention_factor.is_some_and(|factor| factor != 1.0) => {
                return Err(metadata_keys::refusal(
                    self.gguf,
                    &self.key("rope.scaling.attn_factor"),
                ));
            }
            "none" => {}
            "linear" | "yarn" if factor == 1.0 => {}
            // The class of transformers supports no other scaling than longrope.
            _ if self.is(&["phi3"]) => {
                return Err(metadata_keys::refusal(self.gguf, &self.key("rope.scaling.factor")));
            }
            "linear" => {
                set("rope_type", json!("linear"));
                set("factor", json!(factor));
            }
            _ => return Err(metadata_keys::refusal(self.gguf, &self.key("rope.scaling.type"))),
        }
        Ok(rope)
    }

    /// Returns the original context: the number of positions of the first training.
    fn original_context(&self) -> Result<Option<u64>> {
        match self.whole("rope.scaling.original_context_length")? {
            None => self.whole("context_length"),
            original => Ok(original),
        }
    }

    /// Returns `true` if the rotary embedding is of the type longrope. Phi-3's converter writes the two lists of
    /// divisors but not the type.
    pub(super) fn has_long_rope(&self) -> bool {
        match self.architecture {
            "phi3" => self.gguf.has(LONG_FACTORS) || self.gguf.has(SHORT_FACTORS),
            "llama" => {
                self.gguf.text(&self.key("rope.scaling.type")).as_deref() == Some("longrope")
            }
            _ => false,
        }
    }
}

/// The tensors with longrope's divisors of the rotary frequencies.
pub(super) const LONG_FACTORS: &str = "rope_factors_long.weight";
pub(super) const SHORT_FACTORS: &str = "rope_factors_short.weight";

fn plain_rope(base: f64, share: f64) -> Value {
    json!({ "rope_type": "default", "rope_theta": base, "partial_rotary_factor": share })
}
