//! The figures of the synthetic host.

/// The delays and joules of the synthetic host. All of them are exact.
///
/// ```
/// use llem_sdk::testing::SyntheticHost;
///
/// let host = SyntheticHost { idle_watts: 0.0, ..SyntheticHost::default() };
/// assert_eq!(host.decode_s_per_step, 5e-3);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SyntheticHost {
    /// The seed of its tokens.
    pub seed: u64,
    /// How long a model loads, in s.
    pub load_s: f64,
    /// How long a pass takes for each prompt token in it, in s.
    pub prefill_s_per_token: f64,
    /// How long a pass takes that generates tokens, in s. It does not depend on their number.
    pub decode_s_per_step: f64,
    /// The power at rest, in W.
    pub idle_watts: f64,
    /// The energy of a prompt token above the power at rest, in J.
    pub prefill_joules_per_token: f64,
    /// The energy of a generated token above the power at rest, in J.
    pub decode_joules_per_token: f64,
}

impl Default for SyntheticHost {
    fn default() -> Self {
        Self {
            seed: 1,
            load_s: 1.0,
            prefill_s_per_token: 1e-4,
            decode_s_per_step: 5e-3,
            idle_watts: 50.0,
            prefill_joules_per_token: 0.01,
            decode_joules_per_token: 0.5,
        }
    }
}

impl SyntheticHost {
    /// Returns the content of the file that `llem exec --synthetic-host=FILE` takes.
    pub(super) fn to_json(&self) -> String {
        let fields = [
            ("load_s", self.load_s),
            ("prefill_s_per_token", self.prefill_s_per_token),
            ("decode_s_per_step", self.decode_s_per_step),
            ("idle_watts", self.idle_watts),
            ("prefill_joules_per_token", self.prefill_joules_per_token),
            ("decode_joules_per_token", self.decode_joules_per_token),
        ];
        // Rust's notation of finite numbers is JSON's, and llem refuses a host with others.
        let fields = fields.map(|(name, value)| format!("\"{name}\": {value:?}"));
        format!("{{\"seed\": {}, {}}}", self.seed, fields.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_every_figure() {
        let host = SyntheticHost { seed: u64::MAX, load_s: 1e-7, ..SyntheticHost::default() };
        let read: serde_json::Value = serde_json::from_str(&host.to_json()).expect("it is JSON");
        assert_eq!(read["seed"], u64::MAX);
        assert_eq!(read["load_s"], 1e-7);
        assert_eq!(read["decode_joules_per_token"], 0.5);
        assert_eq!(read.as_object().map(serde_json::Map::len), Some(7));
    }
}
