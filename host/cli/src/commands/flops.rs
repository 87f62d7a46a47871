//! The command `llem flops`: the operations of a request, counted from the model's shape.

use super::{
    output::{print, print_json},
    parse, positive,
};
use comfy_table::{Cell, CellAlignment, Table, presets::NOTHING};
use llem_checkpoint::{Checkpoint, Shape};
use llem_engine::{
    AdapterSource, DigestOptions, LoadOptions, Model, ModelSource,
    flops::{
        ComponentFlops, FlopEstimate, LogitPositions, PhaseFlops, RequestShape, active_parameters,
    },
};
use llem_quantity::significant;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Count a model's floating-point operations, from its shape.
#[derive(clap::Args)]
pub(crate) struct FlopsArgs {
    /// The model: a folder, a .gguf file, a Hub id (org/name[@revision]) or synthetic:PRESET
    #[arg(value_parser = parse::<ModelSource>)]
    model: ModelSource,
    /// Sequences
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = positive)]
    batch: usize,
    /// Prompt length of each, tokens
    #[arg(long, value_name = "COUNT", value_parser = positive)]
    prompt_tokens: usize,
    /// Tokens that each generates; the first comes from prefill
    #[arg(long, value_name = "COUNT", value_parser = positive)]
    new_tokens: usize,
    /// Positions of the prompt whose logits are computed
    #[arg(long, value_enum, default_value_t = LogitsArg::Last)]
    logits: LogitsArg,
    /// A LoRA adapter that runs unmerged; the model's weights are read, too, then
    #[arg(long, value_name = "SOURCE", value_parser = parse::<AdapterSource>)]
    adapter: Option<AdapterSource>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LogitsArg {
    /// The last only, which is all that generation takes
    Last,
    /// All, as eager frameworks compute them by default
    All,
}

impl FlopsArgs {
    /// Counts and prints.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let shape = Checkpoint::read_shape(&self.model)?;
        self.check(&shape)?;
        let adapter = match &self.adapter {
            None => Default::default(),
            Some(adapter) => {
                let options = LoadOptions {
                    digests: DigestOptions::disabled(),
                    ..LoadOptions::new(self.model.clone())
                };
                let mut model = Model::load(&options)?;
                model.attach(adapter, None, 0)?.flops
            }
        };
        let estimated = self.workload().estimate(&shape, adapter);
        match self.json {
            true => print_json(&format!("{:#}", self.to_json(&shape, &estimated))),
            false => print(|out| self.print(&shape, &estimated, out)),
        }
    }

    fn check(&self, shape: &Shape) -> Result<(), llem_engine::Error> {
        let length = self.prompt_tokens.saturating_add(self.new_tokens);
        if length > shape.context {
            return Err(llem_engine::Error::Invalid(format!(
                "--prompt-tokens {} and --new-tokens {} do not fit the model's context of {}",
                self.prompt_tokens, self.new_tokens, shape.context
            )));
        }
        Ok(())
    }

    fn workload(&self) -> RequestShape {
        RequestShape {
            batch: self.batch,
            prompt: self.prompt_tokens,
            output: self.new_tokens,
            logits: match self.logits {
                LogitsArg::Last => LogitPositions::Last,
                LogitsArg::All => LogitPositions::All,
            },
        }
    }

    fn to_json(&self, shape: &Shape, estimated: &FlopEstimate) -> Value {
        let [input, output] = self.workload().tokens();
        let sums = |[prefill, decode]: [f64; 2]| {
            json!({
                "flops_prefill": prefill,
                "flops_decode": decode,
                "flops_total": prefill + decode,
                "flops_per_input_token": prefill / input,
                "flops_per_output_token": (output > 0.0).then(|| decode / output),
            })
        };
        let count = |phases: &PhaseFlops| {
            let mut object = sums([phases.prefill.total(), phases.decode.total()]);
            object["prefill"] = components(&phases.prefill);
            object["decode"] = components(&phases.decode);
            object
        };
        let mut approximation = sums(estimated.doubled);
        approximation["active_parameters"] = active_parameters(shape).into();
        json!({
            "model": self.model.to_string(),
            "adapter": self.adapter.as_ref().map(ToString::to_string),
            "batch": self.batch,
            "prompt_tokens": self.prompt_tokens,
            "new_tokens": self.new_tokens,
            "logits": match self.logits { LogitsArg::Last => "last", LogitsArg::All => "all" },
            "unit": "FLOP",
            "source": "analytic",
            "estimated": true,
            "needed": count(&estimated.needed),
            "executed": count(&estimated.executed),
            "approximation_2n": approximation,
        })
    }

    fn print(
        &self,
        shape: &Shape,
        estimated: &FlopEstimate,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let FlopEstimate { needed, executed, .. } = estimated;
        let mut table = Table::new();
        table.load_preset(NOTHING);
        table.set_header([
            "FLOP, estimated",
            "prefill needed",
            "executed",
            "decode needed",
            "executed",
        ]);
        let phases = [&needed.prefill, &executed.prefill, &needed.decode, &executed.decode];
        let mut row = |name: &str, numbers: [Option<f64>; 4]| {
            let cells = numbers.map(|number| {
                let text = number.map_or_else(|| "-".to_owned(), significant);
                Cell::new(text).set_alignment(CellAlignment::Right)
            });
            table.add_row([vec![Cell::new(name)], cells.to_vec()].concat());
        };
        for (index, (name, _)) in parts(&needed.prefill).iter().enumerate() {
            row(name, phases.map(|phase| Some(parts(phase)[index].1)));
        }
        let totals = phases.map(ComponentFlops::total);
        let [input, output] = self.workload().tokens();
        row("total", totals.map(Some));
        let each = [input, input, output, output];
        row(
            "per token",
            std::array::from_fn(|index| (each[index] > 0.0).then(|| totals[index] / each[index])),
        );
        let doubled = 2.0 * active_parameters(shape);
        row("2N per token", [Some(doubled), None, Some(doubled), None]);
        writeln!(out, "{}", table.trim_fmt())?;
        writeln!(
            out,
            "{} x {} + {} tokens; needed: the keys that each query sees; executed: all of them, as eager frameworks run it",
            self.batch, self.prompt_tokens, self.new_tokens
        )
    }
}

fn parts(count: &ComponentFlops) -> [(&'static str, f64); 5] {
    [
        ("attention_projections", count.attention_projections),
        ("attention", count.attention),
        ("mlp", count.mlp),
        ("lm_head", count.lm_head),
        ("adapter", count.adapter),
    ]
}

fn components(count: &ComponentFlops) -> Value {
    parts(count)
        .into_iter()
        .map(|(name, flops)| (name.to_owned(), flops.into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
