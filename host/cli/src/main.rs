//! The program `llem`. Each command has a file in `commands/`.
#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    reason = "comments of options are the help that a terminal shows"
)]

mod build_info;
mod commands;
mod env;
mod exit;
mod project;
mod replay;
mod signals;
mod summary;
mod untrusted;
mod watch;

use clap::Parser;
use std::process::ExitCode;
use tracing_subscriber::{
    field::MakeExt,
    fmt::format::{self, FmtSpan, FormatFields},
};

/// Activations are allocated and freed by the megabyte. The system's allocator returns each to the kernel and pays for
/// fresh pages again, which takes a third of prefill.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs WebAssembly experiments that measure LLM inference: time, energy, FLOPs.
#[derive(Parser)]
#[command(name = "llem", version, max_term_width = 100, after_long_help = env::help())]
struct Cli {
    #[command(subcommand)]
    command: commands::CliCommand,
}

fn main() -> ExitCode {
    // The log has warnings of the program itself. A run's own warnings go to its record and summary.
    tracing_subscriber::fmt()
        .with_env_filter(env::log_filter())
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(watch::ProgramLog::default)
        .with_ansi(::console::user_attended_stderr())
        .with_target(false)
        .without_time()
        .fmt_fields(fields())
        .init();
    let cli = Cli::try_parse().unwrap_or_else(|error| exit::exit_with_usage(error));
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}

/// Formats log fields so that no file name or script text in them controls a terminal.
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
