//! Exports a workload that returns one request, and then fails in the way that its parameter says.

use llem_sdk::{inputs::Dataset, prelude::*};

llem_sdk::workload!(Misbehaves);

#[derive(Default)]
struct Misbehaves;

impl Describe for Misbehaves {
    fn about() -> About {
        About::new("misbehaves", "0.1.0", "Goes wrong after its first request.")
            .text("way", "returns", "how: returns, panics, loops, hungers or reads")
            .dataset("rows", "read by `reads`")
    }
}

impl WorkloadPolicy for Misbehaves {
    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        if last.is_none() {
            return Ok(Some(
                Request::from_tokens([1]).label("first").max_new_tokens(1).ignore_eos(),
            ));
        }
        let way: String = parameter("way")?;
        match &way[..] {
            "panics" => panic!("no more of this"),
            "loops" => loop {
                std::hint::black_box(());
            },
            "hungers" => {
                let more = || vec![1u8; 1 << 20];
                let all: Vec<_> = std::iter::repeat_with(more).take(4096).collect();
                Err(format!("{} MiB were given", all.len()).into())
            }
            "reads" => {
                Dataset::open("rows")?;
                Ok(None)
            }
            _ => Err("the workload has had enough".into()),
        }
    }
}
