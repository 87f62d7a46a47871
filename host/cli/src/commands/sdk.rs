//! The command `llem sdk`: unpacks an SDK that the program carries.

use super::output::print;
use crate::project::{Language, sdk};

/// Unpack the SDK of a language with the WIT package, and print its folder: `pip install $(llem sdk python)`.
#[derive(clap::Args)]
pub(crate) struct SdkArgs {
    /// The language of the SDK
    language: Language,
}

impl SdkArgs {
    /// Prints the folder, which is unpacked if it is not there.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let folder = sdk::folder(self.language)?;
        print(|out| writeln!(out, "{}", folder.display()))
    }
}
