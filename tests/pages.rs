//! The pages that lead a reader through the repository name only what is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All Markdown files of the repository but those of fixtures.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![];
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "runs", "fixtures"].contains(&name) {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// Text between backticks, one line each, code blocks left out.
fn quoted(text: &str) -> Vec<&str> {
    let mut in_block = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    });
    lines.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// Text without code blocks and without code between backquotes, where a link is no link.
fn without_code(text: &str) -> String {
    let mut in_block = false;
    let lines = text.lines().map(|line| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        if in_block || fence { "" } else { line }
    });
    let prose = lines.collect::<Vec<_>>().join("\n");
    prose
        .split('`')
        .enumerate()
        .map(|(place, text)| if place % 2 == 0 { text } else { "code" })
        .collect()
}

/// Targets of links in Markdown and HTML that are not addresses.
fn linked(text: &str) -> Vec<String> {
    let text = without_code(text);
    let between = |start: &'static str, end: char| {
        let rest = text.split(start).skip(1);
        rest.filter_map(move |rest| rest.split_once(end)).map(|(target, _)| target.to_owned())
    };
    let targets = between("](", ')').chain(between("href=\"", '"'));
    targets.filter(|target| !target.contains("://")).collect()
}

/// Names that a link to a part of the page may have: those of headings, as GitHub and GitLab make them, and of `id`s.
fn anchors(text: &str) -> Vec<String> {
    let mut in_block = false;
    let mut anchors: Vec<String> = vec![];
    for line in text.lines() {
        in_block ^= line.trim_start().starts_with("```");
        anchors.extend(
            line.split("id=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())),
        );
        let Some((_, heading)) =
            line.split_once("# ").filter(|(hashes, _)| hashes.chars().all(|c| c == '#'))
        else {
            continue;
        };
        if in_block {
            continue;
        }
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let name: String = kept.collect::<String>().trim().replace(' ', "-");
        let before = anchors.iter().filter(|anchor| **anchor == name).count();
        anchors.push(if before == 0 { name } else { format!("{name}-{before}") });
    }
    anchors
}

/// The part of a path before a placeholder such as `<name>`, `*` or `…`, and before a line or an argument.
fn fixed_part(path: &str) -> &str {
    let path = path.split([' ', '*', '…', '{', ':']).next().unwrap();
    match path.find('<') {
        Some(at) => path[..at].rsplit_once('/').map_or("", |(folder, _)| folder),
        None => path,
    }
}

#[test]
fn every_path_that_a_page_names_is_there() {
    let (root, pages) = (root(), pages());
    let folders: Vec<String> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap() + "/")
        .filter(|name| !["target/", "runs/", "gpu-check/"].contains(&&name[..]))
        .collect();
    let (mut missing, mut seen) = (vec![], 0);
    for page in &pages {
        let text = fs::read_to_string(page).unwrap();
        let beside = page.parent().unwrap();
        let is_ours = |path: &&str| folders.iter().any(|folder| path.starts_with(&folder[..]));
        let named =
            quoted(&text).into_iter().filter(is_ours).map(|path| root.join(fixed_part(path)));
        let targets = linked(&text);
        let files = targets.iter().map(|target| target.split('#').next().unwrap());
        let files = files.filter(|file| !file.is_empty()).map(|file| beside.join(file));
        for path in named.chain(files) {
            seen += 1;
            if !path.exists() {
                missing.push(format!("{}: {}", page.display(), path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(seen > 100, "{seen} paths in {} pages", pages.len());
}

#[test]
fn every_part_of_a_page_that_a_link_names_is_there() {
    let (mut missing, mut seen) = (vec![], 0);
    for page in &pages() {
        for target in linked(&fs::read_to_string(page).unwrap()) {
            let Some((file, anchor)) = target.split_once('#') else { continue };
            let other =
                if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            // A file that is missing is the other test's.
            let Some(text) = fs::read_to_string(other).ok().filter(|_| !file.ends_with(".rs"))
            else {
                continue;
            };
            seen += 1;
            if !anchors(&text).iter().any(|known| known == anchor) {
                missing.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(seen > 500, "{seen} links to parts of pages");
}

#[test]
fn links_and_headings_are_found() {
    let page = "# A `b`: c\n[x](y.md#z) `[code](no)`\n```\n# no\n[no](no)\n```\n## A b c\n<a id=\"i\"></a><a href=\"h.md\">";
    assert_eq!(linked(page), ["y.md#z", "h.md"]);
    assert_eq!(anchors(page), ["a-b-c", "a-b-c-1", "i"]);
}

#[test]
fn the_map_names_every_crate() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for entry in fs::read_dir(root().join("host")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            map.contains(&format!("`host/{name}`")),
            "ARCHITECTURE.md does not name host/{name}"
        );
    }
}
