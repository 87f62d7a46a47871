"""Windows around parts of a script, as `ZeusMonitor.begin_window` and `end_window` measure them."""

import llem_sdk
from llem_sdk import About, Model, Request, Window, parameter, report


def about() -> About:
    return (
        About("window", "0.1.0", "Time and energy of windows that nest")
        .integer("requests", 3, "requests of each window")
        .integer("new-tokens", 32, "tokens generated for each request")
    )


def run() -> None:
    model = Model.load_granted()
    request = Request.from_text("measure " * 16, max_new_tokens=parameter("new-tokens", int), ignore_eos=True)
    with Window("all") as everything:
        for name in ("first", "second"):
            with Window(name) as window:
                for _ in range(parameter("requests", int)):
                    model.generate(request)
                report_energy(name, window.close())
        report_energy("all", everything.close())


def report_energy(name: str, measured: llem_sdk.Measurement) -> None:
    if measured.energy_total:
        report.add_metric(measured.energy_total.into_metric("energy_total", window=name))
    else:
        report.warn(f"no energy of window '{name}': {measured.energy_total.reason}")


llem_sdk.experiment(about, run)
