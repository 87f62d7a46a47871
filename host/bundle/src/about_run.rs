//! What the pages of a bundle say of its run. Texts of the record are made visible here.

use llem_record::{RunRecord, RunStatus};
use llem_report::visible;

/// The words for a run that the README, the citation and the RO-Crate share.
pub(crate) struct AboutRun {
    /// The run's id.
    pub(crate) id: String,
    /// The name and version of the experiment, or of the given policies.
    pub(crate) experiment: String,
    /// The version of what was given, without its name.
    pub(crate) version: String,
    /// The day on which the run began, such as `2026-11-28`. Empty if it is not known.
    pub(crate) day: String,
    /// The version of llem.
    pub(crate) llem_version: String,
    /// How the run ended.
    pub(crate) status: &'static str,
    /// The models, each once.
    pub(crate) models: Vec<String>,
    /// Whether the run was made on the synthetic host, so that nothing was measured.
    pub(crate) is_synthetic: bool,
}

impl AboutRun {
    pub(crate) fn new(record: &RunRecord) -> Self {
        let given = record.plan.components.iter().filter(|component| !component.is_shipped);
        let (names, versions): (Vec<String>, Vec<String>) = given
            .map(|component| {
                (format!("{} {}", component.name, component.version), component.version.clone())
            })
            .unzip();
        let mut models: Vec<String> =
            record.models.iter().map(|model| visible(&model.source)).collect();
        models.dedup();
        let is_day = |day: &&str| day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        Self {
            id: visible(&record.id),
            experiment: visible(&names.join(" + ")),
            version: visible(&versions.join(" + ")),
            day: record.started_at.get(..10).filter(is_day).unwrap_or_default().to_owned(),
            llem_version: visible(&record.plan.llem_version),
            status: match record.status {
                RunStatus::Running => "has not ended",
                RunStatus::Completed => "completed",
                RunStatus::Failed => "failed",
                RunStatus::Interrupted => "was interrupted",
                RunStatus::Killed => "was killed",
            },
            models,
            is_synthetic: record.plan.synthetic_host.is_some(),
        }
    }

    /// The title of the bundle.
    pub(crate) fn title(&self) -> String {
        let what = match self.is_synthetic {
            true => "Synthetic run",
            false => "Measurements",
        };
        format!("{what} of the experiment {} (run {})", self.experiment, self.id)
    }

    /// What the bundle is, in two or three sentences.
    pub(crate) fn summary(&self) -> String {
        let models = match &self.models[..] {
            [] => "no model".to_owned(),
            models => models.join(", "),
        };
        let synthetic = match self.is_synthetic {
            true => " It ran on the synthetic host: nothing in it was measured.",
            false => "",
        };
        format!(
            "A run of {} with {models}, made by llem {}. The run {}.{synthetic} The bundle holds its record, and what is needed to verify and to repeat it, without the model.",
            self.experiment, self.llem_version, self.status
        )
    }
}
