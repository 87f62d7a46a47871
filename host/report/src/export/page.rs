//! The fixed parts of the page: style, scripts and the charting library, bundled when llem is built.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// The charting library: Apache ECharts 6.1.0, Apache-2.0, as npm has it (`page/vendor/README.md`).
pub(super) const ECHARTS: &str = include_str!("../../page/vendor/echarts.min.js");
pub(super) const ECHARTS_LICENCE: &str = include_str!("../../page/vendor/echarts.LICENSE");
pub(super) const ECHARTS_NOTICE: &str = include_str!("../../page/vendor/echarts.NOTICE");
pub(super) const STYLE: &str = include_str!("../../page/style.css");

/// The page's modules, in an order in which each follows those that it imports.
const MODULES: [&str; 10] = [
    include_str!("../../page/look.js"),
    include_str!("../../page/tooltip.js"),
    include_str!("../../page/samples.js"),
    include_str!("../../page/plot.js"),
    include_str!("../../page/bars.js"),
    include_str!("../../page/timeline.js"),
    include_str!("../../page/legend.js"),
    include_str!("../../page/tables.js"),
    include_str!("../../page/folds.js"),
    include_str!("../../page/main.js"),
];

/// Joins the modules to one script: imports and the word `export` are left out, because all names are then in one scope.
pub(super) fn script() -> String {
    let mut script = String::new();
    for line in MODULES.iter().flat_map(|module| module.lines()) {
        if !line.starts_with("import ") {
            script.push_str(line.strip_prefix("export ").unwrap_or(line));
            script.push('\n');
        }
    }
    script
}

/// Returns the content security policy: scripts by their hash, and no request of any kind.
pub(super) fn policy(scripts: &[&str]) -> String {
    let hashes = scripts
        .iter()
        .map(|script| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes()))));
    let hashes = hashes.collect::<Vec<_>>().join(" ");
    format!(
        "default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_script_ends_its_own_element() {
        for script in [ECHARTS, &script()] {
            let script = script.to_lowercase();
            assert!(!script.contains("</script") && !script.contains("<!--"));
        }
    }

    #[test]
    fn modules_are_joined_without_imports() {
        let script = script();
        assert!(
            !script.lines().any(|line| line.starts_with("import ") || line.starts_with("export "))
        );
    }

    /// SHA-256 of `dist/echarts.min.js` in npm's package echarts 6.1.0, which `scripts/tools/fetch-browser --vendor` checks
    /// again.
    #[test]
    fn the_charting_library_is_the_published_one() {
        let readme = include_str!("../../page/vendor/README.md");
        let digest: String =
            Sha256::digest(ECHARTS.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(readme.contains(&digest), "{digest}");
    }
}
