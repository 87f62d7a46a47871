//! Reads environment, arguments, folders and clocks through WASI, as language runtimes do, and reports them.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package test:wasi;
            package wasi:io@0.2.0 {
                interface streams {
                    use error.{error};
                    variant stream-error { last-operation-failed(error), closed }
                    resource output-stream {
                        blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                    }
                }
                interface error { resource error; }
            }
            package wasi:cli@0.2.0 {
                interface environment {
                    get-environment: func() -> list<tuple<string, string>>;
                    get-arguments: func() -> list<string>;
                }
                interface stdout {
                    use wasi:io/streams@0.2.0.{output-stream};
                    get-stdout: func() -> output-stream;
                }
            }
            package wasi:clocks@0.2.0 {
                interface wall-clock {
                    record datetime { seconds: u64, nanoseconds: u32 }
                    now: func() -> datetime;
                }
            }
            package wasi:random@0.2.0 {
                interface random { get-random-u64: func() -> u64; }
            }
            package wasi:filesystem@0.2.0 {
                interface types { resource descriptor; }
                interface preopens {
                    use types.{descriptor};
                    get-directories: func() -> list<tuple<descriptor, string>>;
                }
            }
            world looks-around {
                import wasi:cli/environment@0.2.0;
                import wasi:cli/stdout@0.2.0;
                import wasi:clocks/wall-clock@0.2.0;
                import wasi:random/random@0.2.0;
                import wasi:filesystem/preopens@0.2.0;
            }
        ",
        world: "test:wasi/looks-around",
        generate_all,
    });
}

use bindings::wasi::{cli, clocks, filesystem, random};
use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("wasi", "0.1.0", "Looks around in its WASI world.")
}

fn run() -> Result<()> {
    let see = |name: &str, value: f64| {
        report::add_metric(&Quantity::exact(value, "1", Source::Counted).into_metric(name))
    };
    see("variables", cli::environment::get_environment().len() as f64)?;
    see("arguments", cli::environment::get_arguments().len() as f64)?;
    see("folders", filesystem::preopens::get_directories().len() as f64)?;
    see("seconds_since_1970", clocks::wall_clock::now().seconds as f64)?;
    see("random", (random::random::get_random_u64() >> 11) as f64)?;
    let stdout = cli::stdout::get_stdout();
    stdout
        .blocking_write_and_flush(b"one line\nand another\n")
        .map_err(|_| "standard output is closed")?;
    Ok(())
}
