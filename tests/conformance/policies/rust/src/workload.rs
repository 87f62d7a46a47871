//! A workload of three requests, one after another.

wit_bindgen::generate!({ world: "workload", path: "../../../../wit", generate_all });

use exports::llem::experiment::workload_policy::Guest;
use llem::experiment::{
    description::About,
    models::Model,
    report::{Level, log},
    requests::Request,
    trials::{Schedule, Trial},
    types::Error,
};
use std::sync::atomic::{AtomicU32, Ordering};

static SENT: AtomicU32 = AtomicU32::new(0);

struct Workload;

export!(Workload);

impl Guest for Workload {
    fn describe() -> About {
        About::new("three-requests", "0.1.0", "Three requests, one after another.")
    }

    fn begin(model: &Model) -> Result<Schedule, Error> {
        log(Level::Info, &format!("workload on {}", model.source()));
        Ok(Schedule::new())
    }

    fn next(_: Option<&Trial>) -> Result<Option<Request>, Error> {
        let sent = SENT.load(Ordering::Relaxed);
        if sent == 3 {
            return Ok(None);
        }
        SENT.store(sent + 1, Ordering::Relaxed);
        let request = Request::new(&format!("request {}", sent + 1));
        request.add_tokens(&(1..=sent + 1).collect::<Vec<_>>());
        request.set_max_new_tokens(4);
        request.set_ignores_eos(true);
        request.set_temperature(0.5);
        Ok(Some(request))
    }
}
