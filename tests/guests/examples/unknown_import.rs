//! Imports an interface that the host does not have.

use llem_sdk::prelude::*;

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package test:hostile;
            interface secrets { read: func() -> string; }
            world guest { import secrets; }
        ",
        world: "guest",
    });
}

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("unknown-import", "0.1.0", "Imports what no host gives.")
}

fn run() -> Result<()> {
    Err(bindings::test::hostile::secrets::read().into())
}
