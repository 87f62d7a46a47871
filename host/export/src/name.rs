//! Names that other tools and file systems accept, made of texts that a script chose.

use sha2::{Digest, Sha256};

/// The longest part of a name, bytes. Three parts and their slashes stay below MLflow's limit for a name, 250, and a part
/// stays below the limit of file systems for a component of a path, 255.
const LONGEST: usize = 70;

/// The number of hexadecimal digits that tell apart two texts of which the same name would be made.
const DIGITS: usize = 8;

/// Makes one part of a name, which can be one component of a path: letters and digits of ASCII, `_`, `-`, `.` and spaces.
///
/// A slash becomes a dot, and what is not allowed becomes `_`. If anything but slashes changed, a digest of the text follows,
/// so that two texts do not get one name. An empty text is `-`.
///
/// MLflow allows these characters on every system (`mlflow/utils/validation.py` of 3.17.2); it also takes a name apart at
/// slashes, and refuses one that is a path to somewhere else, such as `../x`.
pub(crate) fn part(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let dotted = text.replace('/', ".");
    let mut name: String = dotted
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_-. ".contains(c) { c } else { '_' })
        .take(LONGEST)
        .collect();
    // Dots at the beginning hide a file or lead out of the folder. Windows drops dots and spaces at the end.
    if name.starts_with(['.', ' ']) {
        name.replace_range(..1, "_");
    }
    if name.ends_with(['.', ' ']) {
        name.replace_range(name.len() - 1.., "_");
    }
    match name == dotted && name != "-" {
        true => name,
        false => {
            name.truncate(LONGEST - DIGITS - 1);
            format!("{name}-{}", digest(&[text], DIGITS))
        }
    }
}

/// Returns the first hexadecimal digits of the SHA-256 of texts, which are hashed with their lengths.
pub(crate) fn digest(texts: &[&str], digits: usize) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let mut all: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    all.truncate(digits);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Component, Path};

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["16 words", "joules_per_output_token", "batch-8", "v0.3"] {
            assert_eq!(part(text), text);
        }
        assert_eq!(part("measure/long"), "measure.long");
    }

    #[test]
    fn no_text_leads_out_of_its_folder() {
        let long = "x".repeat(10_000);
        for text in
            ["", "-", ".", "..", "../../etc/passwd", "/", "a\0b", "a\nb", "C:\\x", "ä", "a ", &long]
        {
            let name = part(text);
            let parts: Vec<Component<'_>> = Path::new(&name).components().collect();
            assert!(matches!(parts[..], [Component::Normal(_)]), "{text:?} {name:?}");
            assert!(
                name.len() <= LONGEST && !name.contains(['/', '\\', '\0', '\n', ':']),
                "{name:?}"
            );
        }
    }

    #[test]
    fn two_texts_do_not_get_one_name() {
        let texts = ["a:b", "a;b", "a_b", "", "-", ".", "_", &"x".repeat(200), &"x".repeat(201)];
        let mut names: Vec<String> = texts.iter().map(|text| part(text)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), texts.len());
    }
}
