//! The binary `llem`: one file a command.

mod build_info;
mod commands;
mod exit;
mod signals;
mod summary;
mod untrusted;
mod watch;

use clap::Parser;
use std::process::ExitCode;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::format::{self, FormatFields},
};

/// Activations come and go by the megabyte; the system's allocator returns each to the kernel and
/// pays for fresh pages again, which costs a third of prefill.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs WebAssembly experiments that measure LLM inference: time, energy, FLOPs.
#[derive(Parser)]
#[command(name = "llem", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    // Warnings of the program itself; a run's own go to its record and summary.
    let filter = EnvFilter::try_from_env("LLEM_LOG")
        .unwrap_or_else(|_| EnvFilter::new("llem=warn,llem_checkpoint=info,llem_engine=info,warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(::console::user_attended_stderr())
        .with_target(false)
        .without_time()
        .fmt_fields(fields())
        .init();
    let cli = Cli::try_parse().unwrap_or_else(|error| exit::misuse(error));
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}

/// Writes what is told in the log, so that no name of a file or text of a script in it steers a terminal.
fn fields() -> impl for<'writer> FormatFields<'writer> {
    let format = format::debug_fn(|writer, field, value| {
        let value = untrusted::line(&format!("{value:?}"));
        match field.name() {
            "message" => write!(writer, "{value}"),
            name => write!(writer, "{name}={value}"),
        }
    });
    format.delimited(" ")
}
