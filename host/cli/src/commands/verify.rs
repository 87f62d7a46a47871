//! The command `llem verify`: verifies a bundle that `llem bundle` made.

use super::output::print;
use crate::untrusted::line;
use llem_bundle::{Bundle, file_digest, signature_path, verify_signature};
use std::path::PathBuf;

/// Verify a bundle: each file, the record against its journal and its inputs, and the signature.
#[derive(clap::Args)]
pub(crate) struct VerifyArgs {
    /// The bundle, as `llem bundle` wrote it
    bundle: PathBuf,
    /// The author's public key: a file of minisign, or the key itself
    #[arg(long, value_name = "FILE|KEY")]
    public_key: Option<String>,
    /// The signature [default: the bundle's name and .minisig]
    #[arg(long, value_name = "FILE", requires = "public_key")]
    signature: Option<PathBuf>,
}

impl VerifyArgs {
    /// Verifies the bundle, and prints what holds and what could not be verified.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let beside = signature_path(&self.bundle);
        let signature = self.signature.unwrap_or_else(|| beside.clone());
        // The signature comes first: nothing of a bundle that is not the author's is looked at.
        let comment = self.public_key.map(|key| verify_signature(&self.bundle, &key, &signature));
        let comment = comment.transpose()?;
        let bundle = Bundle::open(&self.bundle)?;
        let digest = file_digest(&self.bundle)?;
        print(|out| {
            let [good, open] = ["verified", "not verified"].map(|text| format!("{text:<14}"));
            if let Some(comment) = &comment {
                writeln!(out, "{good}signature: by this key, over '{}'", line(comment))?;
            }
            for verified in bundle.verified() {
                writeln!(out, "{good}{}", line(&verified.to_string()))?;
            }
            for unverified in bundle.unverified() {
                writeln!(out, "{open}{}", line(&unverified.to_string()))?;
            }
            match comment {
                Some(_) => {}
                None if beside.exists() => {
                    let beside = line(&beside.to_string_lossy());
                    writeln!(out, "{open}signature: {beside} is there; give --public-key")?;
                }
                None => writeln!(
                    out,
                    "{open}signature: there is none, so the digests show damage, and not who made the bundle"
                )?,
            }
            writeln!(out, "{} is intact\n{digest}", line(&self.bundle.to_string_lossy()))
        })
    }
}
