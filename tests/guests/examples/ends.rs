//! Asks for a model that was not granted, and then ends in one of several ways.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package test:ends;
            package wasi:cli@0.2.0 {
                interface exit {
                    exit: func(status: result);
                }
            }
            world ends {
                import wasi:cli/exit@0.2.0;
            }
        ",
        world: "test:ends/ends",
        generate_all,
    });
}

use bindings::wasi::cli::exit::exit;
use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    let ways = "returns, says-returns, goes-on-returns, quotes, aborts, goes-on-aborts or exits";
    About::new("ends", "0.1.0", "Is refused a model, and then ends.").text("way", "returns", ways)
}

fn run() -> Result<()> {
    let way: String = parameter("way")?;
    let refused = Model::load(&LoadOptions::with_model("org/other"));
    let Err(error) = refused else { return Err("the model was not refused".into()) };
    report::log(Level::Error, &format!("handled: {error}"));
    if way.starts_with("goes-on") {
        Model::load_granted()?
            .generate(&Request::from_tokens([1, 2]).label("one").max_new_tokens(2))?;
    }
    match way.as_str() {
        "returns" | "says-returns" | "goes-on-returns" => Err(error),
        "quotes" => Err(Error::from(format!("the method needs more than this: {error}"))),
        "exits" => {
            exit(Err(()));
            Ok(())
        }
        _ => std::process::abort(),
    }
}
