//! Asks for files that were not granted, as models, adapters and datasets: existing files, missing files, folders, and
//! synthetic models whose config is a file. The host must answer all of them with the same message.

use llem_sdk::{inputs::Dataset, prelude::*};

llem_sdk::experiment!(about, run);

/// `secret.json` is a file in the host's working folder, and `secret` is a folder beside it.
const PATHS: [&str; 16] = [
    "/etc/passwd",
    "/etc/shadow",
    "/etc/nonexistent",
    "/etc",
    "/",
    "/proc/self/environ",
    "/proc/kmsg",
    "/dev/zero",
    "/dev/stdin",
    "secret.json",
    "./secret.json",
    "secret",
    "missing.json",
    "missing",
    "../../../../../../../../etc/passwd",
    "~/.ssh/id_rsa",
];

fn about() -> About {
    About::new("probes-files", "0.1.0", "Asks for files that were not granted.")
        .dataset("rows", "a file that is not granted")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let load = |source: &str| Model::load_named(source).map(drop);
    let mut told = Vec::new();
    let mut sentences = [const { Vec::new() }; 5];
    for path in PATHS {
        let synthetic = format!("synthetic:{path}");
        let device = |device: &str| {
            let device = Some(device.to_owned());
            Model::load(&LoadOptions { device, ..LoadOptions::default() }).map(drop)
        };
        let answers = [
            (path, load(path)),
            (&synthetic, load(&synthetic)),
            (path, model.attach_adapter(path).map(drop)),
            (path, Dataset::open(path).map(drop)),
            (path, device(path)),
        ];
        for (number, (asked, answer)) in answers.into_iter().enumerate() {
            match answer {
                // Few device names are valid. Others are refused with their own message.
                Err(error)
                    if error.code == ErrorCode::NotGranted
                        || (number == 4 && error.code == ErrorCode::InvalidArgument) =>
                {
                    sentences[number].push(error.message.replace(asked, "PATH"));
                }
                Err(error) => told.push(format!("{asked}: {error:?}")),
                Ok(()) => told.push(format!("{asked} was opened")),
            }
        }
    }
    for sentences in &mut sentences {
        sentences.sort();
        sentences.dedup();
        if sentences.len() > 1 {
            told.push(format!("told apart: {}", sentences.join(" / ")));
        }
    }
    match told.is_empty() {
        true => Ok(()),
        false => Err(Error::from(told.join("; "))),
    }
}
