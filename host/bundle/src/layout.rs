//! The names of files within a bundle.
//!
//! ```text
//! ro-crate-metadata.json   what the bundle is, as RO-Crate 1.1
//! README.md  CITATION.cff  LICENSE  report.html
//! manifest-sha256.txt      SHA-256 of every other file
//! run/                     run.json, events.jsonl, timeline/, artifacts/
//! components/<stem>.wasm   what ran; <stem> is `<role>-<name>`
//! sources/<stem>/          what llem built that component from
//! datasets/<name>.<ending>
//! adapters/<name>/         adapter_config.json, adapter_model.safetensors
//! ```

/// SHA-256 of every other file, in the form of `sha256sum` and BagIt.
pub(crate) const MANIFEST: &str = "manifest-sha256.txt";
/// The description as RO-Crate.
pub(crate) const METADATA: &str = "ro-crate-metadata.json";
/// The page that says how to verify and repeat the run.
pub(crate) const README: &str = "README.md";
/// The report of the run.
pub(crate) const REPORT: &str = "report.html";
/// How to cite the bundle, in the Citation File Format.
pub(crate) const CITATION: &str = "CITATION.cff";
/// The text of the licence.
pub(crate) const LICENSE: &str = "LICENSE";
/// The record within the run's folder.
pub(crate) const RECORD: &str = "run.json";
/// The journal within the run's folder.
pub(crate) const JOURNAL: &str = "events.jsonl";
/// The folder of the run.
pub(crate) const RUN: &str = "run/";
/// The folder of components.
pub(crate) const COMPONENTS: &str = "components/";
/// The folder of source code.
pub(crate) const SOURCES: &str = "sources/";
/// The folder of datasets.
pub(crate) const DATASETS: &str = "datasets/";
/// The folder of adapters.
pub(crate) const ADAPTERS: &str = "adapters/";

/// The longest name of an entry, bytes: file systems allow 255 for each part.
const LONGEST: usize = 1000;

/// Returns true if `name` is a plain path within a folder on every operating system: parts joined by `/`, none of them empty,
/// `.` or `..`, without drive letters, backslashes or characters that nobody sees.
pub(crate) fn is_plain(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    name.len() <= LONGEST
        && name.split('/').all(is_part)
        && !name.contains(['\\', ':'])
        && llem_report::visible(name) == name
}

/// Makes a part of a file name from a text of the record, which a script may have chosen: other characters than ASCII letters,
/// digits, `.`, `-` and `_` become `_`.
pub(crate) fn file_part(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let part: String = text.chars().take(60).map(|c| if is_plain(c) { c } else { '_' }).collect();
    match part.trim_start_matches('.') {
        "" => "unnamed".to_owned(),
        part => part.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_its_folder_is_not_plain() {
        for name in ["a", "run/run.json", "sources/x/größe.py", "a..b", "...", "a b"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../x",
            "a/../b",
            "a/./b",
            "a\\b",
            "c:x",
            "a\nb",
            "a\u{202e}b",
            "a\0",
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(!is_plain(&"a".repeat(1001)));
    }

    #[test]
    fn a_text_of_a_record_becomes_a_part_of_a_name() {
        assert_eq!(file_part("prompts-1.2"), "prompts-1.2");
        assert_eq!(file_part("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(file_part(".."), "unnamed");
        assert!(is_plain(&file_part("a\u{202e}\n")));
    }
}
