//! Writes to standard output. If the disk is full or the reader has gone, the command fails with one message.

use crate::{summary, untrusted};
use anyhow::Context;
use llem_record::RunRecord;
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

/// Calls `write` with standard output and flushes it.
pub(super) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    write(&mut out).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Prints a JSON text and a line end.
pub(super) fn print_json(json: &str) -> anyhow::Result<()> {
    print(|out| writeln!(out, "{}", untrusted::json(json)))
}

/// Prints a text of a model: unchanged into a file or a pipe, where only that text is wanted, and made safe on a
/// terminal.
pub(super) fn print_text(text: &str) -> anyhow::Result<()> {
    print(|out| match io::stdout().is_terminal() {
        true => writeln!(out, "{}", untrusted::text(text)),
        false => writeln!(out, "{text}"),
    })
}

/// Prints the record of a run: as JSON, or as a summary.
pub(super) fn print_record(
    record: &RunRecord,
    folder: Option<&Path>,
    json: bool,
) -> anyhow::Result<()> {
    match json {
        true => print_json(&serde_json::to_string_pretty(record)?),
        false => print(|out| summary::print(record, folder, out)),
    }
}
