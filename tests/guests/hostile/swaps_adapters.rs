//! Attaches, merges, unmerges and detaches an adapter without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("swaps-adapters", "0.1.0", "Changes adapters without end.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    loop {
        let name = model.attach_adapter("synthetic:rank=8")?.name;
        model.merge_adapter(&name)?;
        model.unmerge_adapter(&name)?;
        model.detach_adapter(&name)?;
    }
}
