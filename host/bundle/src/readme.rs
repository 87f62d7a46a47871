//! `README.md` of a bundle: how to verify and repeat the run, and what is inside.

use crate::{
    about_run::AboutRun,
    findings::{Unverified, Verified},
    licence::Licence,
};
use llem_report::visible;

/// Returns the text of `README.md`. `inside` and `outside` are what the bundle holds and leaves out.
pub(crate) fn render(
    about: &AboutRun,
    licence: Option<&Licence>,
    inside: &[Verified],
    outside: &[Unverified],
) -> String {
    let licence = match licence {
        Some(licence) => match licence.spdx() {
            Some(spdx) => format!("The licence is {spdx}: see `LICENSE`."),
            None => "The licence is in `LICENSE`.".to_owned(),
        },
        None => "No licence was given: ask the authors before you reuse the files.".to_owned(),
    };
    let list = |items: Vec<String>| match &items[..] {
        [] => "- nothing\n".to_owned(),
        items => items.iter().map(|item| format!("- {}\n", escaped(item))).collect(),
    };
    let inside = list(inside.iter().map(ToString::to_string).collect());
    let outside = list(outside.iter().map(ToString::to_string).collect());
    let file = format!("{}.zip", about.id);
    format!(
        "# {}

{} How to cite it is in `CITATION.cff`. {licence}

## Verify and repeat

```sh
llem verify {file}   # every digest, and the record against its journal
unzip {file}         # the files below
llem replay {file}   # the same run on your machine, and what moved
```

Without llem, `unzip {file} -d bundle && cd bundle && sha256sum -c manifest-sha256.txt` verifies every file. The figures are in
`run/run.json` and, as a page, in `report.html`; `llem schema` describes the record.

## Inside

{inside}
## Not inside

{outside}",
        escaped(&about.title()),
        escaped(&about.summary()),
        file = shell_word(&file),
    )
}

/// Makes a text visible, and a text alone: no character of it means anything in Markdown.
fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for c in visible(text).chars() {
        if "\\`*_{}[]<>()#+!|~&$".contains(c) {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

/// Quotes a file name for a shell, unless it needs no quotes.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", visible(text).replace(['\'', '`'], "_")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_script_is_a_text_alone() {
        assert_eq!(escaped("a_b <img> [x](y)"), r"a\_b \<img\> \[x\]\(y\)");
        assert_eq!(shell_word("a-1.zip"), "a-1.zip");
        assert_eq!(shell_word("a'; rm `x`"), "'a_; rm _x_'");
    }
}
