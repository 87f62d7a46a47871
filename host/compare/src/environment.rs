//! Compares the surroundings of two runs: the program, the machine, its devices and the variables. They may differ in runs of
//! one method, and explain why numbers do.

use crate::difference::{Difference, Facts};
use llem_record::RunRecord;

/// Returns what two runs do not have in common, by name.
pub(crate) fn differences(first: &RunRecord, second: &RunRecord) -> Vec<Difference> {
    Facts::differences(&facts(first), &facts(second))
}

fn facts(record: &RunRecord) -> Facts {
    let mut facts = Facts::default();
    let plan = &record.plan;
    facts.add("llem_version", &plan.llem_version);
    facts.add("schema_version", &record.schema_version);
    facts.add_fields("build", &plan.build);
    // It is the version above.
    facts.remove(|name| name == "build.version");
    facts.add_fields("host", &plan.host);
    if let Some(date) = &plan.date {
        facts.add("date of chat templates", date);
    }
    for (name, value) in &plan.environment {
        facts.add(format!("variable {name}"), value);
    }
    if let Some(metering) = &plan.metering {
        facts.add_chosen_fields("meter: ", metering, &["proc_root", "sys_root"]);
    }
    for device in &record.devices {
        let name = |field: &str| format!("device {}: {field}", device.id);
        facts.add(name("name"), &device.name);
        facts.add_fields(&name("uuid"), &device.uuid);
        facts.add_fields(&name("memory_bytes"), &device.memory_bytes);
        for (setting, value) in &device.settings {
            facts.add(name(setting), value);
        }
        for gauge in &device.gauges {
            let source =
                gauge.source.map_or_else(|| "none".to_owned(), |source| source.to_string());
            facts.add(name(&format!("source of {}", gauge.domain)), source);
        }
    }
    facts
}
