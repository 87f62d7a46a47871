//! What an experiment says of itself.

use crate::bindings::{description, types::Value};

pub use description::{Clocks, DatasetInput, Parameter};

/// What an experiment or a policy is.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name in kebab case.
    pub name: String,
    /// The script's own version.
    pub version: String,
    /// One line that says what it is for.
    pub summary: String,
    /// What can be set with `-p`.
    pub parameters: Vec<Parameter>,
    /// What can be granted with `--dataset`.
    pub datasets: Vec<DatasetInput>,
    /// What WASI's clocks show.
    pub clocks: Clocks,
}

impl About {
    /// A description without parameters or datasets.
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

    /// Adds a dataset that may be granted.
    pub fn dataset(self, name: &str, summary: &str) -> Self {
        self.input(name, summary, false)
    }

    /// Adds a dataset without which the run is refused.
    pub fn required_dataset(self, name: &str, summary: &str) -> Self {
        self.input(name, summary, true)
    }

    /// Lets the language runtime's clocks follow the host's monotonic clock.
    pub fn monotonic_clocks(mut self) -> Self {
        self.clocks = Clocks::Monotonic;
        self
    }

    fn parameter(mut self, name: &str, default: Value, summary: &str) -> Self {
        let (name, summary) = (name.to_owned(), summary.to_owned());
        self.parameters.push(Parameter { name, summary, default });
        self
    }

    fn input(mut self, name: &str, summary: &str, required: bool) -> Self {
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
