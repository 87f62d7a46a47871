//! The command `llem migrate`: another tool's command as one of llem. Nothing is run.

use super::output::{print, print_text};
use crate::untrusted::line;
use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use llem_migrate::{Migration, Note, OptionInfo, Tool};
use std::io::{self, Write};

/// Print the command of llem for another tool's command.
#[derive(clap::Args)]
#[command(after_help = tools())]
pub(crate) struct MigrateArgs {
    /// The command as you would run it: vllm bench serve --model my-llama --request-rate 20. Its files are read, nothing is
    /// run. With --help after the tool, its options are listed with what becomes of them
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<String>,
}

impl MigrateArgs {
    /// Prints the command on standard output, and on standard error what it leaves out or does otherwise.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if self.command.iter().any(|word| word == "--help" || word == "-h") {
            let tool = Tool::from_words(&self.command)?;
            return print(|out| print_options(tool, out));
        }
        let Migration { commands, notes } = llem_migrate::migrate(&self.command)?;
        for command in &commands {
            print_text(&command.to_string())?;
        }
        for note in &notes {
            let kind = match note {
                Note::Untranslated { .. } => "left out",
                _ => "note",
            };
            eprintln!("{kind}: {}", line(&note.to_string()));
        }
        Ok(())
    }
}

/// The commands that can be migrated, for the help.
fn tools() -> String {
    let names = Tool::all().iter().map(|tool| format!("  {}", tool.name()));
    ["Commands of other tools:".to_owned()].into_iter().chain(names).collect::<Vec<_>>().join("\n")
}

/// Prints the table of a tool's options.
fn print_options(tool: &Tool, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} -> llem exec scripts/{}", tool.name(), tool.script())?;
    writeln!(out, "read in {}\n", tool.source())?;
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["option", "in llem"]);
    for option in tool.options() {
        table.add_row([option.names.replace(' ', ", "), becomes(&option)]);
    }
    writeln!(out, "{table}")
}

fn becomes(option: &OptionInfo) -> String {
    let Some(why) = option.why_not else {
        let written: Vec<String> = option.becomes.iter().map(|name| written(name)).collect();
        return if written.is_empty() { "read".to_owned() } else { written.join(", ") };
    };
    format!("none: {why}")
}

/// A parameter, an option or a dataset, as a command has it.
fn written(name: &str) -> String {
    match name.split_once(':') {
        Some(("dataset", name)) => format!("--dataset {name}=FILE"),
        _ if name.starts_with("--") => name.to_owned(),
        _ => format!("-p {name}"),
    }
}
