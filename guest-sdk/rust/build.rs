//! Writes the bindings of `wit/`. The names of interfaces contain the version of the package, which is only written in
//! `wit/world.wit` and is filled in here.

use std::{env, error::Error, fs, path::Path};

/// Where the contract may be: in a published crate, beside an unpacked SDK, in the repository.
const FOLDERS: [&str; 3] = ["wit", "../wit", "../../wit"];
const TEMPLATE: &str = "src/bindings.rs.in";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={TEMPLATE}");
    let found = FOLDERS.into_iter().find(|folder| Path::new(folder).join("world.wit").is_file());
    let folder = found.ok_or_else(|| format!("no world.wit in any of {FOLDERS:?}"))?;
    println!("cargo::rerun-if-changed={folder}");
    let world = fs::read_to_string(Path::new(folder).join("world.wit"))?;
    let version = world
        .lines()
        .find_map(|line| line.strip_prefix("package llem:experiment@")?.strip_suffix(';'))
        .ok_or_else(|| {
            format!("{folder}/world.wit has no line 'package llem:experiment@VERSION;'")
        })?;
    let bindings = fs::read_to_string(TEMPLATE)?;
    let bindings = bindings.replace("{version}", version).replace("{wit}", folder);
    fs::write(Path::new(&env::var("OUT_DIR")?).join("bindings.rs"), bindings)?;
    Ok(())
}
