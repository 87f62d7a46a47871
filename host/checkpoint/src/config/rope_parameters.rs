//! Reads the parameters of rotary embeddings from a `config.json`, as transformers 5 does.
//!
//! transformers 5 writes one object, `rope_parameters`. Earlier versions wrote the object `rope_scaling` and, beside
//! it, the base of the frequencies. Model cards still tell people to add `rope_scaling`. The rules are from
//! `RotaryEmbeddingConfigMixin` in `modeling_rope_utils.py`, and from `Gemma3TextConfig`, `Phi3Config` and
//! `GPTNeoXConfig`, which differ from it.

use super::{field::FieldTypeError, python_json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The parameters of a rotary embedding, as a config gives them. Which fields have an effect depends on the type.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct RopeParameters {
    /// The type: `default`, `linear`, `dynamic`, `llama3`, `yarn` or `longrope`.
    pub rope_type: Option<String>,
    /// The base of the frequencies.
    pub rope_theta: Option<f64>,
    /// The share of a head that is rotated, from 0 to 1. `None` means the whole head.
    pub partial_rotary_factor: Option<f64>,
    /// The factor by which the context is stretched.
    pub factor: Option<f64>,
    /// llama3: wavelengths above the original context divided by this number are stretched by the full factor.
    pub low_freq_factor: Option<f64>,
    /// llama3: wavelengths below the original context divided by this number are not stretched.
    pub high_freq_factor: Option<f64>,
    /// llama3, yarn and longrope: the original context, which is the number of positions of the first training.
    pub original_max_position_embeddings: Option<f64>,
    /// The number of positions that the model was made for.
    pub max_position_embeddings: Option<f64>,
    /// yarn: frequencies with more rotations than this over the original context are not stretched.
    pub beta_fast: Option<f64>,
    /// yarn: frequencies with fewer rotations than this over the original context are stretched by the full factor.
    pub beta_slow: Option<f64>,
    /// yarn and longrope: the number by which cosines and sines are multiplied.
    pub attention_factor: Option<f64>,
    /// yarn: if `attention_factor` is absent, it is computed from this number and `mscale_all_dim`.
    pub mscale: Option<f64>,
    /// yarn: if `attention_factor` is absent, it is computed from this number and `mscale`.
    pub mscale_all_dim: Option<f64>,
    /// yarn: whether the first and the last pair whose frequencies are blended are rounded to whole numbers. `None`
    /// means yes.
    pub truncate: Option<bool>,
    /// longrope: the divisors of the frequencies within the original context, one for each pair of dimensions.
    pub short_factor: Option<Vec<f64>>,
    /// longrope: the divisors of the frequencies beyond the original context, one for each pair of dimensions.
    pub long_factor: Option<Vec<f64>>,
}

/// Why the parameters of rotary embeddings cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RopeParametersError {
    /// A value has the wrong type.
    #[error(transparent)]
    FieldType(#[from] FieldTypeError),

    /// The file has a rotary embedding for each kind of layer, and the family has one for all layers.
    #[error("{object}.{layer_kind}: this family's layers have one rotary embedding")]
    ByLayerKind {
        /// The name of the object.
        object: &'static str,
        /// The name of the kind of layers.
        layer_kind: &'static str,
    },

    /// The family does not have the type.
    #[error("{object}.rope_type is '{rope_type}', and this family's is default or longrope")]
    UnknownType {
        /// The name of the object.
        object: &'static str,
        /// The type in the file.
        rope_type: String,
    },

    /// A part of each head would be rotated with scaled frequencies, and the family rotates whole heads.
    #[error(
        "{SHARE} is {share}, and this family rotates whole heads: remove it, or rope_type '{rope_type}'"
    )]
    PartialHeads {
        /// The share of a head that would be rotated.
        share: f64,
        /// The type in the file, which scales the frequencies.
        rope_type: String,
    },
}

/// How a class describes the rotary embeddings of its layers.
#[derive(Debug)]
pub(crate) enum RopeRule {
    /// The model has learned positions and no rotary embedding.
    Learned,
    /// All layers have the same rotary embedding.
    Shared(RopeFields),
    /// Layers with full attention and windowed layers have different rotary embeddings, as in Gemma 3.
    ByLayerKind,
}

/// The fields by which a class describes the one rotary embedding of all its layers.
#[derive(Debug)]
pub(crate) struct RopeFields {
    /// The name of the base's field beside the object, and its default.
    pub theta: (&'static str, f64),
    /// The name of the rotated share's field beside the object, and its default. `None` if whole heads are rotated.
    pub share: Option<(&'static str, f64)>,
    /// The default of `original_max_position_embeddings`, if the class has that field beside the object.
    pub original: Option<f64>,
    /// Whether `longrope` is the only type besides `default`. Older names of it are then accepted too.
    pub is_longrope: bool,
}

impl RopeFields {
    /// Describes the fields of most classes: the base is in `rope_theta`, and whole heads are rotated.
    pub(crate) const fn new(default_theta: f64) -> Self {
        let theta = ("rope_theta", default_theta);
        Self { theta, share: None, original: None, is_longrope: false }
    }
}

/// Gemma 3's kinds of layers: the kind's name, the field of its base, and the default of the base.
const GEMMA3_THETAS: [(&str, &str, f64); 2] = [
    ("full_attention", "rope_theta", 1_000_000.0),
    ("sliding_attention", "rope_local_base_freq", 10_000.0),
];

/// The newer and the older object.
const PARAMETERS: &str = "rope_parameters";
const SCALING: &str = "rope_scaling";
const ORIGINAL: &str = "original_max_position_embeddings";
const SHARE: &str = "partial_rotary_factor";

impl RopeRule {
    /// Returns the names of the fields that are read, or are known to have no effect.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let mut names = match self {
            Self::Learned => return Vec::new(),
            Self::Shared(rope) => vec![rope.theta.0, rope.share.map_or(SHARE, |(name, _)| name)],
            Self::ByLayerKind => GEMMA3_THETAS.iter().map(|(_, name, _)| *name).collect(),
        };
        names.extend([PARAMETERS, SCALING, ORIGINAL]);
        names
    }

    /// Reads the rotary embeddings of a model with this many `positions`. The result has no entry, one entry for all
    /// layers, or two: for layers with full attention and for windowed layers. Fields without effect add a warning.
    ///
    /// # Errors
    /// Returns an error if a field has the wrong type, or does not fit the family.
    pub(crate) fn read(
        &self,
        json: &Map<String, Value>,
        positions: usize,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<RopeParameters>, RopeParametersError> {
        let mut ropes = match self {
            Self::Learned => Vec::new(),
            Self::Shared(rope) => vec![rope.read(json, warnings)?],
            Self::ByLayerKind => read_by_layer_kind(json, warnings)?,
        };
        for rope in &mut ropes {
            rope.max_position_embeddings = Some(positions as f64);
            rope.original_max_position_embeddings.get_or_insert(positions as f64);
        }
        Ok(ropes)
    }
}

impl RopeFields {
    fn read(
        &self,
        json: &Map<String, Value>,
        warnings: &mut Vec<String>,
    ) -> Result<RopeParameters, RopeParametersError> {
        // transformers reads only one of the two objects. It prefers the older one.
        let object_name =
            if json.get(SCALING).is_some_and(python_json::is_true) { SCALING } else { PARAMETERS };
        let object = object(json, object_name)?;
        for layer_kind in GEMMA3_THETAS.map(|(kind, _, _)| kind) {
            if object.contains_key(layer_kind) {
                return Err(RopeParametersError::ByLayerKind { object: object_name, layer_kind });
            }
        }
        let mut rope = RopeParameters::read(&object, object_name, warnings)?;
        let (theta, default_theta) = self.theta;
        rope.rope_theta = rope.rope_theta.or(number(json, theta)?).or(Some(default_theta));
        // When transformers builds the model, it reads this field beside the object again, and that value wins.
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
                // Phi-3's own code used these names before transformers had "longrope".
                Some("longrope" | "su" | "yarn") => Some("longrope".to_owned()),
                Some(other) => {
                    return Err(RopeParametersError::UnknownType {
                        object: object_name,
                        rope_type: other.to_owned(),
                    });
                }
            };
        }
        Ok(rope)
    }
}

/// Checks the rotated share for a class that rotates whole heads. If the share is not 1, transformers ignores it when
/// frequencies are not scaled, which gives a warning here. It fails when they are scaled, and so does this function.
fn whole_heads(
    rope: &RopeParameters,
    share: f64,
    warnings: &mut Vec<String>,
) -> Result<Option<f64>, RopeParametersError> {
    if share == 1.0 {
        return Ok(None);
    }
    match rope.rope_type.as_deref() {
        None | Some("default") => {
            warnings.push(format!("config.json: {SHARE} is {share}, which has no effect in this family: it rotates whole heads"));
            Ok(None)
        }
        Some(kind) => Err(RopeParametersError::PartialHeads { share, rope_type: kind.to_owned() }),
    }
}

/// Reads Gemma 3's two rotary embeddings. Before transformers 5, `rope_scaling` stretched only layers with full
/// attention.
fn read_by_layer_kind(
    json: &Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<Vec<RopeParameters>, RopeParametersError> {
    let parameters = object(json, PARAMETERS)?;
    let is_kind = |name: &str| GEMMA3_THETAS.iter().any(|(kind, _, _)| *kind == name);
    for name in parameters.keys().filter(|name| !is_kind(name) && *name != "truncate") {
        warnings.push(format!(
            "config.json: {PARAMETERS}.{name} has no effect: each kind of layer has its own"
        ));
    }
    let one = |&(kind, theta, default): &(&str, &'static str, f64), warnings: &mut Vec<String>| {
        let object_name = format!("{PARAMETERS}.{kind}");
        let mut fields = object(&parameters, kind).map_err(|error| error.inside(PARAMETERS))?;
        if kind == "full_attention" {
            // transformers merges rope_scaling into this object. Without the newer object, its type is the default.
            let scaling = object(json, SCALING)?;
            if !scaling.is_empty() && !json.get(PARAMETERS).is_some_and(Value::is_object) {
                fields.insert("rope_type".to_owned(), "default".into());
            }
            fields.extend(scaling);
        }
        let mut rope = RopeParameters::read(&fields, &object_name, warnings)?;
        rope.rope_theta = rope.rope_theta.or(number(json, theta)?).or(Some(default));
        rope.partial_rotary_factor =
            whole_heads(&rope, rope.partial_rotary_factor.unwrap_or(1.0), warnings)?;
        // transformers reads this field beside the kinds.
        rope.truncate = parameters.get("truncate").map(python_json::is_true);
        Ok(rope)
    };
    GEMMA3_THETAS.iter().map(|kind| one(kind, warnings)).collect()
}

impl RopeParameters {
    /// Reads the fields of an object. `object_name` is for messages.
    fn read(
        object: &Map<String, Value>,
        object_name: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Self, FieldTypeError> {
        let mut rope = Self::default();
        let inside = |error: FieldTypeError| error.inside(object_name);
        for name in object.keys() {
            let number = || number(object, name).map_err(inside);
            match name.as_str() {
                // Files of transformers 4.43 to 4.57 have both fields, and the newer one wins.
                "rope_type" => rope.rope_type = text(object, name).map_err(inside)?,
                "type" if object.get("rope_type").is_none_or(Value::is_null) => {
                    rope.rope_type = text(object, name).map_err(inside)?;
                }
                "type" if object.get("rope_type") != object.get("type") => {
                    warnings.push(format!(
                        "config.json: {object_name}.type has no effect beside rope_type"
                    ));
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
                // transformers uses Python's `or`, which replaces 0 by the default.
                "beta_fast" => rope.beta_fast = number()?.filter(|&beta| beta != 0.0),
                "beta_slow" => rope.beta_slow = number()?.filter(|&beta| beta != 0.0),
                "attention_factor" => rope.attention_factor = number()?,
                "mscale" => rope.mscale = number()?.filter(|&scale| scale != 0.0),
                "mscale_all_dim" => rope.mscale_all_dim = number()?.filter(|&scale| scale != 0.0),
                "truncate" => rope.truncate = object.get(name).map(python_json::is_true),
                "short_factor" => rope.short_factor = numbers(object, name).map_err(inside)?,
                "long_factor" => rope.long_factor = numbers(object, name).map_err(inside)?,
                other => warnings.push(format!(
                    "config.json: {object_name}.{other} is unknown and has no effect here"
                )),
            }
        }
        Ok(rope)
    }
}

/// Returns the fields of an object. The result is empty if the object is absent or `null`.
fn object(json: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, FieldTypeError> {
    match json.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(fields)) => Ok(fields.clone()),
        Some(other) => Err(FieldTypeError::new(name, other, "an object")),
    }
}

/// Returns a number, or `None` if it is absent or `null`.
fn number(json: &Map<String, Value>, name: &str) -> Result<Option<f64>, FieldTypeError> {
    take(json, name, "a finite number", Value::as_f64)
}

fn numbers(json: &Map<String, Value>, name: &str) -> Result<Option<Vec<f64>>, FieldTypeError> {
    take(json, name, "a list of numbers", |value| {
        value.as_array()?.iter().map(Value::as_f64).collect()
    })
}

fn text(json: &Map<String, Value>, name: &str) -> Result<Option<String>, FieldTypeError> {
    take(json, name, "a string", |value| value.as_str().map(str::to_owned))
}

fn take<T>(
    json: &Map<String, Value>,
    name: &str,
    expected: &'static str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, FieldTypeError> {
    let value = json.get(name).filter(|value| !value.is_null());
    let convert =
        |value: &Value| read(value).ok_or_else(|| FieldTypeError::new(name, value, expected));
    value.map(convert).transpose()
}
