//! The description of an experiment or a policy.

use crate::bindings::{description, types::Value};

pub use description::{Clocks, DatasetInput, Parameter};

/// The description of an experiment or a policy: its name, parameters and datasets.
///
/// ```
/// use llem_sdk::About;
///
/// let about = About::new("hello", "0.1.0", "Generates once.")
///     .integer("rounds", 3, "how often each prompt is measured")
///     .dataset("prompts", "rows with a text each");
/// assert_eq!(about.parameters.len(), 1);
/// assert_eq!(about.parameters[0].name, "rounds");
/// assert!(!about.datasets[0].required);
/// ```
#[derive(Clone, Debug)]
pub struct About {
    /// The name in kebab case.
    pub name: String,
    /// The version of the script.
    pub version: String,
    /// One line that says what the script is for.
    pub summary: String,
    /// The parameters that the user can set with `-p name=value`.
    pub parameters: Vec<Parameter>,
    /// The datasets that the user can grant with `--dataset name=file`.
    pub datasets: Vec<DatasetInput>,
    /// The behaviour of WASI's clocks, which the standard libraries of guest languages read.
    pub clocks: Clocks,
}

impl About {
    /// Creates a description without parameters or datasets, with seeded clocks.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            parameters: Vec::new(),
            datasets: Vec::new(),
            clocks: Clocks::Seeded,
        }
    }

    /// Adds a parameter that holds a whole number.
    pub fn integer(self, name: &str, default: i64, summary: &str) -> Self {
        self.parameter(name, Value::Integer(default), summary)
    }

    /// Adds a parameter that holds a number.
    pub fn number(self, name: &str, default: f64, summary: &str) -> Self {
        self.parameter(name, Value::Number(default), summary)
    }

    /// Adds a parameter that holds text.
    pub fn text(self, name: &str, default: &str, summary: &str) -> Self {
        self.parameter(name, Value::Text(default.to_owned()), summary)
    }

    /// Adds a parameter that is true or false.
    pub fn boolean(self, name: &str, default: bool, summary: &str) -> Self {
        self.parameter(name, Value::Boolean(default), summary)
    }

    /// Adds an optional dataset.
    pub fn dataset(self, name: &str, summary: &str) -> Self {
        self.add_dataset(name, summary, false)
    }

    /// Adds a required dataset. The host refuses to run the experiment without it.
    pub fn required_dataset(self, name: &str, summary: &str) -> Self {
        self.add_dataset(name, summary, true)
    }

    /// Makes WASI's clocks follow the host's monotonic clock. By default they are seeded: the same in every run.
    pub fn monotonic_clocks(mut self) -> Self {
        self.clocks = Clocks::Monotonic;
        self
    }

    fn parameter(mut self, name: &str, default: Value, summary: &str) -> Self {
        let (name, summary) = (name.to_owned(), summary.to_owned());
        self.parameters.push(Parameter { name, summary, default });
        self
    }

    fn add_dataset(mut self, name: &str, summary: &str, required: bool) -> Self {
        let (name, summary) = (name.to_owned(), summary.to_owned());
        self.datasets.push(DatasetInput { name, summary, required });
        self
    }
}

impl From<About> for description::About {
    fn from(given: About) -> Self {
        let About { name, version, summary, parameters, datasets, clocks } = given;
        let about = Self::new(&name, &version, &summary);
        for parameter in &parameters {
            about.add_parameter(parameter);
        }
        for dataset in &datasets {
            about.add_dataset(dataset);
        }
        about.set_clocks(clocks);
        about
    }
}

impl From<&description::About> for About {
    fn from(about: &description::About) -> Self {
        Self {
            name: about.name(),
            version: about.version(),
            summary: about.summary(),
            parameters: about.parameters(),
            datasets: about.datasets(),
            clocks: about.clocks(),
        }
    }
}
