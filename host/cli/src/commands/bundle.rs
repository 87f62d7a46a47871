//! The command `llem bundle`: packs a run and everything that took part in it into one file.

use super::{bundle_inputs::RecordedInputs, exec::pair, output::print, parse};
use crate::untrusted::line;
use anyhow::Context;
use llem_bundle::{Author, Bundle, Licence, NewBundle, file_digest, generate_key, sign};
use llem_runtime::Error;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Pack a run and what took part in it into one file, which others verify and repeat.
#[derive(clap::Args)]
pub(crate) struct BundleArgs {
    /// The folder of a run that has ended
    #[arg(required_unless_present = "generate_key")]
    run: Option<PathBuf>,
    /// The file to write [default: the run's name and .zip, here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// An author, in the order of citation; may be given several times [default: user.name in git's configuration]
    #[arg(long = "author", value_name = "FAMILY, GIVEN <ORCID>", value_parser = parse::<Author>)]
    authors: Vec<Author>,
    /// The terms of use: MIT, Apache-2.0, CC-BY-4.0, or a file with the text of another licence
    #[arg(long, value_name = "NAME|FILE")]
    licence: Option<String>,

    /// Leave datasets out, and list their digests: for licences that forbid to pass them on
    #[arg(long, help_heading = "Files")]
    without_datasets: bool,
    /// Leave adapters out, and list their digests
    #[arg(long, help_heading = "Files")]
    without_adapters: bool,
    /// Where a component is now, if it is not where the run read it
    #[arg(long = "component", value_name = "ROLE=FILE", value_parser = pair, help_heading = "Files")]
    components: Vec<(String, String)>,
    /// Where a dataset is now
    #[arg(long = "dataset", value_name = "NAME=FILE", value_parser = pair, help_heading = "Files")]
    datasets: Vec<(String, String)>,
    /// Where an adapter is now
    #[arg(long = "adapter", value_name = "NAME=FOLDER", value_parser = pair, help_heading = "Files")]
    adapters: Vec<(String, String)>,

    /// Sign the bundle with a key of minisign that has no password: FILE.minisig beside it
    #[arg(long, value_name = "KEY", help_heading = "Signature")]
    sign: Option<PathBuf>,
    /// Make a key without a password, KEY and KEY.pub, and nothing else
    #[arg(long, value_name = "KEY", conflicts_with_all = ["run", "sign"], help_heading = "Signature")]
    generate_key: Option<PathBuf>,
}

impl BundleArgs {
    /// Writes the bundle, verifies it, and prints what is inside and what is not.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if let Some(path) = &self.generate_key {
            let (public, key) = generate_key(path)?;
            let [secret, public] = [path, &public].map(|path| line(&path.to_string_lossy()));
            return print(|out| writeln!(out, "secret key {secret}\npublic key {public}\n{key}"));
        }
        let run = self.run.context("no run was given")?;
        let licence = self.licence.as_deref().map(Licence::read).transpose()?;
        if licence.is_none() {
            tracing::warn!(
                "the bundle has no licence, so nobody may reuse it without asking: give --licence"
            );
        }
        let authors = match self.authors.is_empty() {
            true => author_of_git().into_iter().collect(),
            false => self.authors,
        };
        let mut bundle = NewBundle::new(&run, authors, licence)?;
        let inputs = RecordedInputs::new(&run, [self.components, self.datasets, self.adapters])?;
        inputs.add_components(&mut bundle)?;
        if !self.without_datasets {
            inputs.add_datasets(&mut bundle)?;
        }
        if !self.without_adapters {
            inputs.add_adapters(&mut bundle)?;
        }
        let path = match self.output {
            Some(path) => path,
            None => default_path(&run)?,
        };
        let bundle = bundle.write(&path)?;
        let signature = self.sign.map(|key| sign(&path, &key)).transpose()?;
        print_bundle(&bundle, &path, signature.as_deref())
    }
}

fn print_bundle(bundle: &Bundle, path: &Path, signature: Option<&Path>) -> anyhow::Result<()> {
    let digest = file_digest(path)?;
    let shown = |path: &Path| line(&path.to_string_lossy());
    print(|out| {
        for inside in bundle.verified() {
            writeln!(out, "inside      {}", line(&inside.to_string()))?;
        }
        for outside in bundle.unverified() {
            writeln!(out, "not inside  {}", line(&outside.to_string()))?;
        }
        writeln!(out, "bundle {}\n{digest}", shown(path))?;
        signature.map_or(Ok(()), |path| writeln!(out, "signature {}", shown(path)))
    })
}

/// The run's name with `.zip`, in the present folder.
fn default_path(run: &Path) -> Result<PathBuf, Error> {
    let whole = run.canonicalize().ok();
    let name = whole.as_deref().and_then(Path::file_name).ok_or_else(|| {
        Error::Input(format!("{} has no name: give the bundle's with --output", run.display()))
    })?;
    let mut file = name.to_owned();
    file.push(".zip");
    Ok(file.into())
}

/// The user's name in git's configuration. It does not say what the family name is.
fn author_of_git() -> Option<Author> {
    let mut git = Command::new("git");
    let output = git.args(["config", "user.name"]).stderr(Stdio::null()).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| Author::from_whole_name(name))
}
