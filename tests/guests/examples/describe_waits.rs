//! Sleeps in `describe` through WASI, as a language's own `sleep` does.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package test:waits;
            package wasi:io@0.2.0 {
                interface poll {
                    resource pollable { block: func(); }
                }
            }
            package wasi:clocks@0.2.0 {
                interface monotonic-clock {
                    use wasi:io/poll@0.2.0.{pollable};
                    subscribe-duration: func(when: u64) -> pollable;
                }
            }
            world waits {
                import wasi:clocks/monotonic-clock@0.2.0;
            }
        ",
        world: "test:waits/waits",
        generate_all,
    });
}

use bindings::wasi::clocks::monotonic_clock;
use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    monotonic_clock::subscribe_duration(120_000_000_000).block();
    About::new("describe-waits", "0.1.0", "Sleeps in describe.")
}

fn run() -> Result<()> {
    Ok(())
}
