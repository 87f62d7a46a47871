"""An experiment of several modules. The parameter `check` names the one that runs."""

import every_call
import failing
import llem_sdk
import observing
from llem_sdk import About, parameter

CHECKS = {"every-call": every_call.run, "failing": failing.run, "observing": observing.run}


def about() -> About:
    return (
        About("checks", "0.1.0", "Checks the SDK on a host")
        .text("check", "every-call", "every-call, failing or observing")
        .text("failure", "exception", "how `failing` fails")
        .integer("whole", 3, "a whole number")
        .number("real", 2.5, "a number")
        .text("words", "1, 2,3", "text")
        .text("column", "prompt", "a column")
        .boolean("flag", True, "true or false")
        .dataset("rows", "rows with a prompt each")
        .dataset("absent", "never granted")
    )


def run() -> None:
    CHECKS[parameter("check", str)]()


llem_sdk.experiment(about, run)
