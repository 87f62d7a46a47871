//! Writes the pages of the WIT package: one for each interface of `wit/`, and an index. `scripts/tools/make-wit-pages` calls
//! it.
//!
//! ```text
//! wit/*.wit ─ wit-parser ─► Resolve ─► Names (what is where) ─► interface_page, index_page ─► docs/api/*.md
//! ```

mod index_page;
mod interface_page;
mod names;
mod signature;

use anyhow::{Context, bail};
use names::Names;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use wit_parser::Resolve;

/// What each page begins with.
const HEAD: &str = "<!-- Made from wit/ by scripts/tools/make-wit-pages. Do not edit. -->\n\n";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = pages(&root.join("wit"))?;
    let folder = root.join("docs/api");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => write(&folder, &pages),
        ["--check"] => check(&folder, &pages),
        _ => bail!("usage: scripts/tools/make-wit-pages [--check]"),
    }
}

/// Makes all pages by their file names.
fn pages(wit: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let names = Names::new(&resolve, package);
    let mut pages = BTreeMap::new();
    for &id in resolve.packages[package].interfaces.values() {
        let page = interface_page::page(&names, id);
        pages.insert(names.page(id), format!("{HEAD}{page}"));
    }
    let index = index_page::page(&names, package);
    pages.insert("README.md".to_owned(), format!("{HEAD}{index}"));
    Ok(pages)
}

fn write(folder: &Path, pages: &BTreeMap<String, String>) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for old in written(folder)?.iter().filter(|old| !pages.contains_key(*old)) {
        fs::remove_file(folder.join(old))?;
    }
    for (name, page) in pages {
        let path = folder.join(name);
        fs::write(&path, page).with_context(|| path.display().to_string())?;
    }
    println!("{} pages in docs/api", pages.len());
    Ok(())
}

/// Fails if a page in the folder differs from what would be written, is missing, or is of no interface.
fn check(folder: &Path, pages: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let is_equal = |name: &String, page: &String| {
        fs::read_to_string(folder.join(name)).is_ok_and(|text| text == *page)
    };
    let mut stale: Vec<String> = pages
        .iter()
        .filter(|(name, page)| !is_equal(name, page))
        .map(|(name, _)| name.clone())
        .collect();
    stale.extend(written(folder)?.into_iter().filter(|old| !pages.contains_key(old)));
    if !stale.is_empty() {
        bail!(
            "docs/api differs from wit/ in {}: run scripts/tools/make-wit-pages",
            stale.join(", ")
        );
    }
    println!("{} pages in docs/api are those of wit/", pages.len());
    Ok(())
}

/// Returns the names of the files in the folder. There are none if it does not exist.
fn written(folder: &Path) -> anyhow::Result<Vec<String>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder)?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<PathBuf>>>()?;
    Ok(paths.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
}
