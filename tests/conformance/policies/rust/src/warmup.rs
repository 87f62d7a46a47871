//! A warm-up of two requests with a wait between them.

wit_bindgen::generate!({ world: "warmup", path: "../../../../wit", generate_all });

use exports::llem::experiment::warmup_policy::{Guest, Plan, Step};
use llem::experiment::{
    description::About,
    report::{Level, log},
    trials::Trial,
    types::{Error, ErrorCode},
};
use std::sync::atomic::{AtomicU32, Ordering};

static STEPS: AtomicU32 = AtomicU32::new(0);

struct Warmup;

export!(Warmup);

impl Guest for Warmup {
    fn describe() -> About {
        About::new("two-requests", "0.1.0", "Two requests with a wait between them.")
    }

    fn next(last: Option<&Trial>) -> Result<Step, Error> {
        match (STEPS.fetch_add(1, Ordering::Relaxed) + 1, last) {
            (1, Some(_)) => Err(Error {
                code: ErrorCode::Failed,
                message: "a trial came before the first request".to_owned(),
            }),
            (1 | 3, _) => Ok(Step::Run(Plan { request: None, max_new_tokens: Some(2) })),
            (2, Some(last)) => {
                let (label, tokens) = (last.request().label(), last.completions()[0].tokens());
                log(Level::Info, &format!("warm-up {label} {tokens:?}"));
                Ok(Step::Wait(1_000_000_000))
            }
            _ => Ok(Step::Done("two requests were run".to_owned())),
        }
    }
}
