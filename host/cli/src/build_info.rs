//! How this program was built, as `build.rs` recorded it.

use llem_runtime::Build;

/// The full commit, or an empty string if it is not known.
const REVISION: &str = env!("LLEM_BUILD_REVISION");

/// The hexadecimal digits of a commit that are shown to people. They are enough to tell commits apart.
const SHORT: usize = 12;

pub(crate) fn build() -> Build {
    let words = |text: &str| {
        let words = text.split(',').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let is_known = !REVISION.is_empty();
    Build {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: is_known.then(|| REVISION.to_owned()),
        is_modified: is_known.then_some(env!("LLEM_BUILD_CHANGES") == "modified"),
        // There is one build, which loads CUDA if it is present.
        features: Vec::new(),
        profile: env!("LLEM_BUILD_PROFILE").to_owned(),
        opt_level: env!("LLEM_BUILD_OPT_LEVEL").to_owned(),
        target: env!("LLEM_BUILD_TARGET").to_owned(),
        rustc: env!("LLEM_BUILD_RUSTC").to_owned(),
        target_features: words(env!("LLEM_BUILD_TARGET_FEATURES")),
    }
}

/// A short text about the commit, or `None` if it is not known.
pub(crate) fn revision() -> Option<String> {
    let build = build();
    let revision = build.revision?;
    let short = revision.get(..SHORT).unwrap_or(&revision);
    Some(match build.is_modified {
        Some(true) => format!("revision {short}, modified"),
        _ => format!("revision {short}"),
    })
}
