//! Writes the bindings of `wit/`. The names of interfaces contain the version of the package, which is only written in
//! `wit/world.wit` and is filled in here.

use std::{env, error::Error, fs, path::Path};

const WORLD: &str = "../../wit/world.wit";
const TEMPLATE: &str = "src/bindings.rs.in";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../../wit");
    println!("cargo::rerun-if-changed={TEMPLATE}");
    let world = fs::read_to_string(WORLD)?;
    let version = world
        .lines()
        .find_map(|line| line.strip_prefix("package llem:experiment@")?.strip_suffix(';'))
        .ok_or_else(|| format!("{WORLD} has no line 'package llem:experiment@VERSION;'"))?;
    let bindings = fs::read_to_string(TEMPLATE)?.replace("{version}", version);
    fs::write(Path::new(&env::var("OUT_DIR")?).join("bindings.rs"), bindings)?;
    Ok(())
}
