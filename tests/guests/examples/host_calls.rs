//! Times host calls and empty windows, from inside the component.

use llem_sdk::{bindings::meter, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("host-calls", "0.1.0", "Times host calls and empty windows, from inside.").integer(
        "calls",
        100_000,
        "how many calls are timed",
    )
}

fn run() -> Result<()> {
    let calls: u64 = parameter("calls")?;
    let time = |label: &str, count: u64, call: &dyn Fn() -> Result<()>| -> Result<()> {
        let began = llem_sdk::meter::now();
        for _ in 0..count {
            call()?;
        }
        let each = (llem_sdk::meter::now() - began) as f64 / count as f64;
        report::add_metric(&Quantity::exact(each, "ns", Source::Clock).into_metric(label))?;
        Ok(())
    };
    time("host_call", calls, &|| {
        std::hint::black_box(llem_sdk::meter::now());
        Ok(())
    })?;
    time("parameter_call", calls, &|| parameter::<u64>("calls").map(|_| ()))?;
    // Uses the bindings, because the SDK's window also reads all values of the measurement.
    time("empty_window", calls / 100, &|| {
        meter::Window::close(meter::Window::open("empty")?)?;
        Ok(())
    })?;
    let measurement = meter::Window::close(meter::Window::open("read")?)?;
    time("getter", calls, &|| {
        std::hint::black_box(measurement.wall_time());
        Ok(())
    })?;
    time("reading_getter", calls, &|| {
        std::hint::black_box(measurement.energy_total());
        Ok(())
    })
}
