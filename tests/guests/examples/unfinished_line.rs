//! Writes to standard output, as language runtimes do, without ending its last line, and ends in the way that its
//! parameter says.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package test:wasi;
            package wasi:io@0.2.0 {
                interface streams {
                    use error.{error};
                    variant stream-error { last-operation-failed(error), closed }
                    resource output-stream {
                        check-write: func() -> result<u64, stream-error>;
                        write: func(contents: list<u8>) -> result<_, stream-error>;
                        blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                    }
                }
                interface error { resource error; }
            }
            package wasi:cli@0.2.0 {
                interface exit { exit: func(status: result); }
                interface stdout {
                    use wasi:io/streams@0.2.0.{output-stream};
                    get-stdout: func() -> output-stream;
                }
            }
            world writes {
                import wasi:cli/exit@0.2.0;
                import wasi:cli/stdout@0.2.0;
            }
        ",
        world: "test:wasi/writes",
        generate_all,
    });
}

use bindings::wasi::cli::{exit, stdout};
use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("unfinished-line", "0.1.0", "Writes a line without its end.")
        .text("ending", "return", "return, fail, trap, exit or loop")
        .integer("pieces", 0, "pieces of 4 KiB that are written first, all without an end of line")
}

fn run() -> Result<()> {
    let stdout = stdout::get_stdout();
    let closed = |_| Error::from("standard output is closed");
    for _ in 0..parameter::<u64>("pieces")? {
        stdout.blocking_write_and_flush(&[b'x'; 4096]).map_err(closed)?;
    }
    // Does not wait for the write, like buffered writers at the end of a program.
    stdout.check_write().map_err(closed)?;
    stdout.write("first\nlast wörds".as_bytes()).map_err(closed)?;
    match parameter::<String>("ending")?.as_str() {
        "fail" => Err("as it was told".into()),
        "trap" => std::process::abort(),
        "exit" => {
            exit::exit(Ok(()));
            Ok(())
        }
        "loop" => loop {
            std::hint::black_box(());
        },
        _ => Ok(()),
    }
}
