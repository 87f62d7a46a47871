//! Prepares a run before anything of it is run: compiles the component, checks its imports, and calls its `describe`.

use crate::{
    Error, Limits, Result, StopSignal,
    about::{self, About},
    component_compiler::{ComponentCompiler, root_cause},
    compose::{self, ComponentRole, RunComponent},
    describe::{self, ComponentDescription},
    host,
    output::Output,
    package::{self, PACKAGE},
    store_data::StoreData,
};
use llem_record::Event;
use std::sync::Arc;
use wasmtime::component::InstancePre;

/// A component of a run with its description.
pub struct DescribedComponent {
    /// The component with its roles.
    pub component: RunComponent,
    /// The description. A component with several roles has the parameters and datasets of all.
    pub about: About,
}

/// A component that is ready to run: an experiment, or policies composed with the runner.
pub(crate) struct PreparedRun {
    /// The files that the user gave, for messages.
    pub file: String,
    /// The description of the whole.
    pub about: About,
    /// The components that take part: an experiment alone, or policies and the runner.
    pub components: Vec<DescribedComponent>,
    /// The compiled whole, with its imports resolved.
    pub linked: InstancePre<StoreData>,
}

impl PreparedRun {
    /// Compiles and links `parts` as one component, and calls its `describe`. Nothing is granted yet.
    pub(crate) async fn new(
        compiler: &ComponentCompiler,
        parts: Vec<RunComponent>,
        output: &Arc<Output>,
        limits: &Limits,
        stop: &Arc<StopSignal>,
    ) -> Result<Self> {
        let (file, parts) = (compose::given_files(&parts), Arc::new(parts));
        let compiling = || {
            let message = format!("compiling {file} (kept for the next run)");
            output.observer().event(&Event::Log { level: "info".to_owned(), message });
        };
        let component = compiler.load(&parts, stop, compiling).await?;
        let engine = compiler.engine();
        let linker = host::linker(engine).map_err(|error| {
            Error::Failed(format!("the host's own interfaces do not link: {error}"))
        })?;
        let linked =
            linker.instantiate_pre(&component).map_err(|error| refuse_import(&file, &error))?;
        let is_composed = compose::is_composed(&parts);
        let described =
            describe::describe(&file, &component, engine, is_composed, output, limits, stop)
                .await?;
        let components = describe_components(&parts, &described)?;
        let about = described.about;
        about::check(&file, &about)?;
        Ok(Self { file, about, components, linked })
    }

    /// Returns true if it is policies that are composed with the runner.
    pub(crate) fn is_composed(&self) -> bool {
        self.components.len() > 1
    }

    /// The names in the descriptions of the given components, joined by `-`.
    pub(crate) fn name(&self) -> String {
        let given = self.components.iter().filter(|member| !member.component.is_shipped);
        given.map(|member| member.about.name.as_str()).collect::<Vec<_>>().join("-")
    }
}

/// Pairs each component with its description.
fn describe_components(
    parts: &[RunComponent],
    described: &ComponentDescription,
) -> Result<Vec<DescribedComponent>> {
    let policies = ComponentRole::POLICIES.into_iter().zip(&described.policies);
    let of_part = |part: &RunComponent| {
        let own = policies.clone().filter(|(role, _)| part.roles.contains(role));
        own.map(|(_, about)| about).collect::<Vec<_>>()
    };
    let mut components = Vec::with_capacity(parts.len());
    for part in parts {
        let abouts = of_part(part);
        abouts.iter().try_for_each(|about| about::check(&part.file, about))?;
        let about = match &abouts[..] {
            [] => without_inputs_of(&described.about, &described.policies),
            [first, more @ ..] => merge_descriptions(first, more),
        };
        components.push(DescribedComponent { component: part.clone(), about });
    }
    let called = policies.clone().filter_map(|(role, about)| {
        let part = parts.iter().find(|part| part.roles.contains(&role))?;
        let called = format!("the {} policy {} ({})", role.name(), about.name, part.file);
        Some((called, about))
    });
    about::check_agreement(&described.about, &called.collect::<Vec<_>>())?;
    Ok(components)
}

/// A description without the parameters and datasets that come from policies.
fn without_inputs_of(whole: &About, policies: &[About]) -> About {
    let mut own = whole.clone();
    for policy in policies {
        own.parameters.retain(|one| policy.parameters.iter().all(|other| other.name != one.name));
        own.datasets.retain(|one| policy.datasets.iter().all(|other| other.name != one.name));
    }
    own
}

/// Merges the descriptions of a component with several roles. The first one gives its name.
fn merge_descriptions(first: &About, more: &[&About]) -> About {
    let mut all = first.clone();
    for about in more {
        let new = without_inputs_of(about, std::slice::from_ref(&all));
        all.parameters.extend(new.parameters);
        all.datasets.extend(new.datasets);
    }
    all
}

/// Explains an import that cannot be linked. wasmtime names it in backquotes in a sentence about its linker.
fn refuse_import(file: &str, error: &wasmtime::Error) -> Error {
    let outer = error.to_string();
    let name = outer.split('`').nth(1).unwrap_or(&outer).to_owned();
    if name.starts_with(PACKAGE) || name.starts_with("wasi:") {
        let cause = root_cause(error);
        return Error::Input(format!(
            "{file} imports {name} in a form that llem does not provide: {cause}"
        ));
    }
    Error::Input(format!(
        "{file} imports {name}, which llem does not provide; scripts get {PACKAGE}*@{} and an empty \
         WASI 0.2 world",
        package::version()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::{
        description::{DatasetInput, Parameter},
        types::Value,
    };

    fn about(name: &str, parameters: &[&str], datasets: &[&str]) -> About {
        let mut about = About::new(name.to_owned(), "1.0".to_owned(), String::new());
        for name in parameters {
            let (name, summary, default) = ((*name).to_owned(), String::new(), Value::Integer(1));
            about.add_parameter(Parameter { name, summary, default });
        }
        for name in datasets {
            let (name, summary) = ((*name).to_owned(), String::new());
            about.add_dataset(DatasetInput { name, summary, required: false });
        }
        about
    }

    fn names(about: &About) -> Vec<&str> {
        let parameters = about.parameters.iter().map(|one| one.name.as_str());
        parameters.chain(about.datasets.iter().map(|one| one.name.as_str())).collect()
    }

    #[test]
    fn a_component_with_several_roles_declares_each_input_once() {
        let first = about("first", &["a", "b"], &["d"]);
        let second = about("second", &["b", "c"], &["d", "e"]);
        let merged = merge_descriptions(&first, &[&second]);
        assert_eq!(merged.name, "first");
        assert_eq!(names(&merged), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn the_runner_keeps_the_inputs_that_no_policy_declares() {
        let whole = about("whole", &["a", "b", "c"], &["d"]);
        let own = without_inputs_of(&whole, &[about("policy", &["b"], &["d"])]);
        assert_eq!(names(&own), ["a", "c"]);
    }
}
