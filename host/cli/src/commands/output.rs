//! What commands write to standard output. A disk that is full or a reader that has gone fails a command in one sentence.

use crate::{summary, untrusted};
use anyhow::Context;
use llem_record::RunRecord;
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

/// Has something written, all of it.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    write(&mut out).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Prints a JSON text on lines of its own.
pub fn print_json(json: &str) -> anyhow::Result<()> {
    print(|out| writeln!(out, "{}", untrusted::json(json)))
}

/// Prints a text of a model: as it is into a file or a pipe, where somebody wants just that text, and in a form that
/// steers nothing on a terminal.
pub fn print_text(text: &str) -> anyhow::Result<()> {
    print(|out| match io::stdout().is_terminal() {
        true => writeln!(out, "{}", untrusted::text(text)),
        false => writeln!(out, "{text}"),
    })
}

/// Prints how a run ended: its record as JSON, whole, or at a glance.
pub fn print_record(record: &RunRecord, folder: Option<&Path>, json: bool) -> anyhow::Result<()> {
    match json {
        true => print_json(&serde_json::to_string_pretty(record)?),
        false => print(|out| summary::print(record, folder, out)),
    }
}
