//! Where a `config.json` keeps what its rotary embeddings are made of, and what transformers 5 takes of it.
//!
//! transformers 5 writes one object, `rope_parameters`. Earlier versions wrote `rope_scaling` and kept the base beside
//! it; model cards still tell people to add that one. Classes: `RotaryEmbeddingConfigMixin` in `modeling_rope_utils.py`,
//! and what `Gemma3TextConfig`, `Phi3Config` and `GPTNeoXConfig` do otherwise.

use super::value;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How rotary frequencies are made. Which fields apply depends on the type.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct RopeParameters {
    /// `default`, `linear`, `dynamic`, `llama3`, `yarn` or `longrope`.
    pub rope_type: Option<String>,
    /// Base of the frequencies.
    pub rope_theta: Option<f64>,
    /// Share of a head that is rotated; `None` means all of it.
    pub partial_rotary_factor: Option<f64>,
    /// By how much the context is stretched.
    pub factor: Option<f64>,
    /// llama3: wavelengths above original / this are stretched wholly.
    pub low_freq_factor: Option<f64>,
    /// llama3: wavelengths below original / this are left alone.
    pub high_freq_factor: Option<f64>,
    /// llama3, yarn and longrope: positions that the model was first trained for.
    pub original_max_position_embeddings: Option<f64>,
    /// Positions that the model was made for.
    pub max_position_embeddings: Option<f64>,
    /// yarn: rotations over the original context above which a frequency is left alone.
    pub beta_fast: Option<f64>,
    /// yarn: rotations below which it is stretched wholly.
    pub beta_slow: Option<f64>,
    /// yarn and longrope: cosines and sines are multiplied by this.
    pub attention_factor: Option<f64>,
    /// yarn: with `mscale_all_dim`, what the attention factor is made of where it is absent.
    pub mscale: Option<f64>,
    /// yarn: see `mscale`.
    pub mscale_all_dim: Option<f64>,
    /// yarn: whether the pairs between which frequencies are blended are whole numbers. `None` means they are.
    pub truncate: Option<bool>,
    /// longrope: divisors of the frequencies within the original context, one a pair.
    pub short_factor: Option<Vec<f64>>,
    /// longrope: divisors beyond it.
    pub long_factor: Option<Vec<f64>>,
}

/// Where a class keeps what its rotary embeddings are made of.
#[derive(Debug)]
pub enum RopeRule {
    /// Positions are learned.
    Learned,
    /// All layers have one.
    One(OneRope),
    /// Layers that see everything and windowed ones differ, as in Gemma 3.
    ByKind,
}

/// How a class whose layers have one rotary embedding describes it.
#[derive(Debug)]
pub struct OneRope {
    /// The base's name beside the object, and its default.
    pub theta: (&'static str, f64),
    /// The rotated share's name beside the object, and its default; `None` where whole heads are rotated.
    pub share: Option<(&'static str, f64)>,
    /// The default of `original_max_position_embeddings` where that is a field of the class, beside the object.
    pub original: Option<f64>,
    /// Whether `longrope` is the only type but `default`, and older names of it are taken for it.
    pub is_longrope: bool,
}

impl OneRope {
    /// As most classes have it: `rope_theta`, and whole heads.
    pub const fn new(default_theta: f64) -> Self {
        let theta = ("rope_theta", default_theta);
        Self { theta, share: None, original: None, is_longrope: false }
    }
}

/// Gemma 3's bases where the file says none: of layers that see everything, and of windowed ones.
const GEMMA3_THETAS: [(&str, &str, f64); 2] = [
    ("full_attention", "rope_theta", 1_000_000.0),
    ("sliding_attention", "rope_local_base_freq", 10_000.0),
];

/// The two objects, the newer first.
const PARAMETERS: &str = "rope_parameters";
const SCALING: &str = "rope_scaling";
const ORIGINAL: &str = "original_max_position_embeddings";
const SHARE: &str = "partial_rotary_factor";

impl RopeRule {
    /// Names that it reads, or knows to be without effect.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names = match self {
            Self::Learned => return Vec::new(),
            Self::One(rope) => vec![rope.theta.0, rope.share.map_or(SHARE, |(name, _)| name)],
            Self::ByKind => GEMMA3_THETAS.iter().map(|(_, name, _)| *name).collect(),
        };
        names.extend([PARAMETERS, SCALING, ORIGINAL]);
        names
    }

    /// The rotary embeddings of a model for so many positions: none, one, or first that of layers that see
    /// everything and then that of windowed ones. A sentence is added for what is passed over.
    ///
    /// # Errors
    /// The reason why the file describes none.
    pub fn read(
        &self,
        json: &Map<String, Value>,
        positions: usize,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<RopeParameters>, String> {
        let mut ropes = match self {
            Self::Learned => Vec::new(),
            Self::One(rope) => vec![rope.read(json, warnings)?],
            Self::ByKind => by_kind(json, warnings)?,
        };
        for rope in &mut ropes {
            rope.max_position_embeddings = Some(positions as f64);
            rope.original_max_position_embeddings.get_or_insert(positions as f64);
        }
        Ok(ropes)
    }
}

impl OneRope {
    fn read(
        &self,
        json: &Map<String, Value>,
        warnings: &mut Vec<String>,
    ) -> Result<RopeParameters, String> {
        // transformers takes one of the two whole, and the earlier one first.
        let place =
            if json.get(SCALING).is_some_and(value::is_true) { SCALING } else { PARAMETERS };
        let object = object(json, place)?;
        for kind in GEMMA3_THETAS.map(|(kind, _, _)| kind) {
            if object.contains_key(kind) {
                return Err(format!(
                    "{place}.{kind}: this family's layers have one rotary embedding"
                ));
            }
        }
        let mut rope = RopeParameters::read(&object, place, warnings)?;
        let (theta, default_theta) = self.theta;
        rope.rope_theta = rope.rope_theta.or(number(json, theta)?).or(Some(default_theta));
        // transformers looks beside the object again when it makes the model, and what it finds there wins.
        let original = number(json, ORIGINAL)?.or(self.original);
        rope.original_max_position_embeddings = original.or(rope.original_max_position_embeddings);
        rope.partial_rotary_factor = match self.share {
            Some((share, default)) => {
                rope.partial_rotary_factor.or(number(json, share)?).or(Some(default))
            }
            None => {
                let share = rope.partial_rotary_factor.or(number(json, SHARE)?).unwrap_or(1.0);
                whole_heads(&rope, share, warnings)?
            }
        };
        if self.is_longrope {
            rope.rope_type = match rope.rope_type.as_deref() {
                None | Some("default") => None,
                // Phi-3's own code called it so before transformers had a name for it.
                Some("longrope" | "su" | "yarn") => Some("longrope".to_owned()),
                Some(other) => {
                    return Err(format!(
                        "{place}.rope_type is '{other}', and this family's is default or longrope"
                    ));
                }
            };
        }
        Ok(rope)
    }
}

/// The rotated share of a class that rotates whole heads: transformers passes over another share where frequencies are
/// not scaled, and fails where they are.
fn whole_heads(
    rope: &RopeParameters,
    share: f64,
    warnings: &mut Vec<String>,
) -> Result<Option<f64>, String> {
    if share == 1.0 {
        return Ok(None);
    }
    match rope.rope_type.as_deref() {
        None | Some("default") => {
            warnings.push(format!("config.json: {SHARE} is {share}, which has no effect in this family: it rotates whole heads"));
            Ok(None)
        }
        Some(kind) => Err(format!(
            "{SHARE} is {share}, and this family rotates whole heads: remove it, or rope_type '{kind}'"
        )),
    }
}

/// Gemma 3's two. Before transformers 5, `rope_scaling` stretched only the layers that see everything.
fn by_kind(
    json: &Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<Vec<RopeParameters>, String> {
    let parameters = object(json, PARAMETERS)?;
    let is_kind = |name: &str| GEMMA3_THETAS.iter().any(|(kind, _, _)| *kind == name);
    for name in parameters.keys().filter(|name| !is_kind(name) && *name != "truncate") {
        warnings.push(format!(
            "config.json: {PARAMETERS}.{name} has no effect: each kind of layer has its own"
        ));
    }
    let one = |&(kind, theta, default): &(&str, &'static str, f64), warnings: &mut Vec<String>| {
        let place = format!("{PARAMETERS}.{kind}");
        let mut fields =
            object(&parameters, kind).map_err(|reason| format!("{PARAMETERS}.{reason}"))?;
        if kind == "full_attention" {
            // transformers puts it into what is there, which without the newer object is of the default type.
            let scaling = object(json, SCALING)?;
            if !scaling.is_empty() && !json.get(PARAMETERS).is_some_and(Value::is_object) {
                fields.insert("rope_type".to_owned(), "default".into());
            }
            fields.extend(scaling);
        }
        let mut rope = RopeParameters::read(&fields, &place, warnings)?;
        rope.rope_theta = rope.rope_theta.or(number(json, theta)?).or(Some(default));
        rope.partial_rotary_factor =
            whole_heads(&rope, rope.partial_rotary_factor.unwrap_or(1.0), warnings)?;
        // transformers looks for it beside the kinds.
        rope.truncate = parameters.get("truncate").map(value::is_true);
        Ok(rope)
    };
    GEMMA3_THETAS.iter().map(|kind| one(kind, warnings)).collect()
}

impl RopeParameters {
    /// What an object holds; `place` is its name in messages.
    fn read(
        object: &Map<String, Value>,
        place: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Self, String> {
        let mut rope = Self::default();
        let inside = |reason: String| format!("{place}.{reason}");
        for name in object.keys() {
            let number = || number(object, name).map_err(inside);
            match name.as_str() {
                // Files of transformers 4.43 to 4.57 hold both, and the newer name wins.
                "rope_type" => rope.rope_type = text(object, name).map_err(inside)?,
                "type" if object.get("rope_type").is_none_or(Value::is_null) => {
                    rope.rope_type = text(object, name).map_err(inside)?;
                }
                "type" if object.get("rope_type") != object.get("type") => {
                    warnings
                        .push(format!("config.json: {place}.type has no effect beside rope_type"));
                }
                "type" | "finetuned" => {}
                "rope_theta" => rope.rope_theta = number()?,
                "partial_rotary_factor" => rope.partial_rotary_factor = number()?,
                "factor" => rope.factor = number()?,
                "low_freq_factor" => rope.low_freq_factor = number()?,
                "high_freq_factor" => rope.high_freq_factor = number()?,
                "original_max_position_embeddings" => {
                    rope.original_max_position_embeddings = number()?
                }
                // Python's `or` takes the default for 0.
                "beta_fast" => rope.beta_fast = number()?.filter(|&beta| beta != 0.0),
                "beta_slow" => rope.beta_slow = number()?.filter(|&beta| beta != 0.0),
                "attention_factor" => rope.attention_factor = number()?,
                "mscale" => rope.mscale = number()?.filter(|&scale| scale != 0.0),
                "mscale_all_dim" => rope.mscale_all_dim = number()?.filter(|&scale| scale != 0.0),
                "truncate" => rope.truncate = object.get(name).map(value::is_true),
                "short_factor" => rope.short_factor = numbers(object, name).map_err(inside)?,
                "long_factor" => rope.long_factor = numbers(object, name).map_err(inside)?,
                other => warnings.push(format!(
                    "config.json: {place}.{other} is unknown and has no effect here"
                )),
            }
        }
        Ok(rope)
    }
}

/// An object of fields; empty where it is absent or null.
fn object(json: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, String> {
    match json.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(fields)) => Ok(fields.clone()),
        Some(other) => Err(format!("{name} is {} and must be an object", value::shown(other))),
    }
}

/// A number; `None` where it is absent or null.
fn number(json: &Map<String, Value>, name: &str) -> Result<Option<f64>, String> {
    take(json, name, "a finite number", Value::as_f64)
}

fn numbers(json: &Map<String, Value>, name: &str) -> Result<Option<Vec<f64>>, String> {
    take(json, name, "a list of numbers", |value| {
        value.as_array()?.iter().map(Value::as_f64).collect()
    })
}

fn text(json: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    take(json, name, "a string", |value| value.as_str().map(str::to_owned))
}

fn take<T>(
    json: &Map<String, Value>,
    name: &str,
    kind: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, String> {
    let value = json.get(name).filter(|value| !value.is_null());
    let taken = |value: &Value| {
        read(value).ok_or_else(|| format!("{name} is {} and must be {kind}", value::shown(value)))
    };
    value.map(taken).transpose()
}
