//! The command `llem new`: writes a project that builds and runs at once.

use super::output::print;
use crate::project::{Kind, Language, template};
use std::path::Path;

/// Make a project from the template of a language: an experiment, or a policy.
#[derive(clap::Args)]
pub(crate) struct NewArgs {
    /// The name of the project and of its folder, such as my-experiment
    name: String,
    /// The language of the project
    #[arg(long = "lang", value_name = "LANGUAGE")]
    language: Language,
    /// Make a policy, which others combine on the command line, rather than an experiment
    #[arg(long, value_name = "POLICY", value_parser = ["warmup", "workload", "metrics"])]
    policy: Option<String>,
}

impl NewArgs {
    /// Writes the project and prints what to do next.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let kind = match self.policy.as_deref() {
            None => Kind::Experiment,
            Some("warmup") => Kind::Warmup,
            Some("workload") => Kind::Workload,
            Some(_) => Kind::Metrics,
        };
        let name = &self.name;
        template::write(Path::new(""), name, self.language, kind)?;
        let option = match kind {
            Kind::Experiment => String::new(),
            policy => format!("--{} ", policy.name()),
        };
        print(|out| {
            writeln!(out, "{name}/ is made. Build, run and test it:")?;
            writeln!(out, "  llem exec {option}{name} --model FOLDER")?;
            writeln!(out, "  llem test {name}")
        })
    }
}
