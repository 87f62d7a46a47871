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

/// Targets of links that are neither addresses nor parts of a page.
fn linked(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target.split('#').next().unwrap());
    targets.filter(|target| !target.is_empty() && !target.contains("://")).collect()
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
        for path in named.chain(linked(&text).into_iter().map(|target| beside.join(target))) {
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
