//! Zeus: its command `python -m zeus.monitor`, and the functions of `zeus.profile`, which have no command line.

use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    option::{Kind::*, OptionRow, none, parameter, read},
    tool::Invocation,
};

pub(super) const MONITOR: Tool = Tool {
    name: "zeus.monitor",
    spellings: &["zeus.monitor", "zeus monitor", "zeus"],
    script: "zeus-window",
    tables: &[MONITOR_TABLE],
    sets: &["profile"],
    source: "zeus/monitor/__main__.py of version 0.16.0",
    migrate: migrate_monitor,
};

const MONITOR_TABLE: &[OptionRow] = &[
    none("--gpu-indices", Words, "every GPU that holds the model is measured: --device cuda:N"),
    read("--update-period", Number, &["--sample-period"]),
];

/// `zeus.monitor energy` and `power` measure whatever runs until Ctrl-C. llem measures what it runs itself.
fn migrate_monitor(invocation: &Invocation) -> Result<Migration, Error> {
    let given = arguments::parse(MONITOR.name, MONITOR.tables, &invocation.words)?;
    let mut draft = Draft::new(MONITOR.script, &given);
    draft.parameter("profile", "none");
    match given.words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["energy"] | [] => {}
        ["power"] => {
            // Zeus' default of a second is llem's 10 ms, which costs nothing.
            if let Some(seconds) = given.number("--update-period") {
                draft.exec("--sample-period", seconds * 1e3);
            }
            draft.note("power over time is in the record's timeline, with temperatures and clocks");
        }
        [word, ..] => {
            return Err(Error::UnexpectedWord { tool: MONITOR.name, word: word.to_owned() });
        }
    }
    draft.note("zeus.monitor measures whatever runs; llem measures its own generations: set -p batch-size, \
            prompt-tokens and new-tokens");
    draft.note_device();
    Ok(draft.into_migration())
}

pub(super) const PROFILE: Tool = Tool {
    name: "zeus.profile",
    spellings: &["zeus.profile", "zeus profile"],
    script: "zeus-window",
    tables: &[PROFILE_TABLE],
    sets: &["profile"],
    source: "zeus/profile.py of version 0.16.0 and at 75a8b9398034",
    migrate: migrate_profile,
};

const PROFILE_TABLE: &[OptionRow] = &[
    read("measurement_duration", Number, &["measurement-duration"]),
    read("cooldown_duration", Number, &["cooldown-duration"]),
    read("measurement_duration_search_range", Words, &["measurement-durations"])
        .same("1,2,3,4,5,6,7,8,9,10"),
    read("cooldown_duration_search_range", Words, &["cooldown-durations"])
        .same("1,2,3,4,5,6,7,8,9,10"),
    parameter("num_trials", Integer, "num-trials").same("10"),
    parameter("num_warmup_trials", Integer, "num-warmup-trials").same("2"),
    parameter("trial_stddev_threshold", Number, "trial-stddev-threshold").same("0.01"),
    parameter("num_warmup_iterations", Integer, "num-warmup-iterations").same("10"),
    parameter("num_calibration_iterations", Integer, "num-calibration-iterations").same("100"),
    none("iteration_duration", Number, "it is always calibrated"),
    none(
        "warmup_settle_duration",
        Number,
        "warm-up is a number of generations: num_warmup_iterations",
    ),
    none("target_function", Text, "it is a generation: -p batch-size, prompt-tokens, new-tokens"),
    none("zeus_monitor", Text, "all GPUs are measured"),
];

/// A function with its arguments: `measure measurement_duration=5 cooldown_duration=10`.
fn migrate_profile(invocation: &Invocation) -> Result<Migration, Error> {
    let mut words = invocation.words.iter();
    let function = words.next().ok_or(Error::Missing {
        tool: PROFILE.name,
        option: "a function: measure, profile_measurement_duration, profile_cooldown_duration or profile_parameters",
    })?;
    let arguments: Vec<String> = words
        .flat_map(|word| match word.split_once('=') {
            Some((name, value)) => {
                let value = value.trim_matches(['[', ']']).replace(' ', "");
                vec![format!("{}={value}", name.trim_start_matches("--").replace('-', "_"))]
            }
            None => vec![word.clone()],
        })
        .collect();
    let mut given = crate::given::Given::new(PROFILE.name, PROFILE.tables);
    for argument in &arguments {
        let unexpected = || Error::UnexpectedWord { tool: PROFILE.name, word: argument.clone() };
        let (name, value) = argument.split_once('=').ok_or_else(unexpected)?;
        let tree = serde_json::json!({ name: value });
        crate::settings::add(&mut given, &tree)?;
    }
    let mut draft = Draft::new(PROFILE.script, &given);
    // The defaults are those of the functions; `measure` has none.
    let (profile, measurement, cooldown) = match function.replace('-', "_").as_str() {
        "measure" => ("measure", None, None),
        "profile_measurement_duration" => ("measurement-duration", None, Some("10")),
        "profile_cooldown_duration" => ("cooldown-duration", Some("10"), None),
        "profile_parameters" => ("parameters", None, None),
        _ => return Err(Error::UnexpectedWord { tool: PROFILE.name, word: function.clone() }),
    };
    draft.parameter("profile", profile);
    for (argument, name, default) in [
        ("measurement_duration", "measurement-duration", measurement),
        ("cooldown_duration", "cooldown-duration", cooldown),
    ] {
        match given.text(argument).or(default) {
            Some(value) => draft.parameter(name, value),
            None if profile == "measure" => {
                return Err(Error::Missing {
                    tool: PROFILE.name,
                    option: "measurement_duration and cooldown_duration",
                });
            }
            None => {}
        }
    }
    for (argument, name) in [
        ("measurement_duration_search_range", "measurement-durations"),
        ("cooldown_duration_search_range", "cooldown-durations"),
    ] {
        if let Some(range) = given.text(argument) {
            draft.parameter(name, range);
        }
    }
    draft.note("the function that Zeus profiles is a generation here: set -p batch-size, prompt-tokens and \
            new-tokens");
    draft.note_device();
    Ok(draft.into_migration())
}
