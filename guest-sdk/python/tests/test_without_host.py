"""The package under an ordinary Python: it imports, and a call of the host says what to do."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from llem_sdk import Model, Request, RequestList, Window, report

TEMPLATES = Path(__file__).parents[1] / "template"


def test_a_call_of_the_host_names_the_remedy() -> None:
    for call in (Model.load_granted, lambda: Window("w"), lambda: report.warn("careful")):
        with pytest.raises(NotImplementedError, match="llem exec"):
            call()


@pytest.mark.parametrize(
    ("kind", "exported"),
    [
        ("experiment", "Script"),
        ("warmup", "WarmupPolicy"),
        ("workload", "WorkloadPolicy"),
        ("metrics", "MetricsPolicy"),
    ],
)
def test_a_template_defines_the_class_that_componentize_py_looks_for(
    kind: str, exported: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"first_{kind}"
    monkeypatch.syspath_prepend(TEMPLATES / kind)
    module = __import__(name)
    monkeypatch.delitem(sys.modules, name)
    assert isinstance(getattr(module, exported), type)
    assert getattr(module, exported).__module__ == "llem_sdk.export"


def test_the_calling_module_is_the_experiment_wherever_its_functions_are_defined() -> None:
    entry: dict[str, object] = {"__name__": "entry"}
    exec("import llem_sdk; llem_sdk.experiment(about=len, run=print)", entry)
    assert isinstance(entry["Script"], type)


def test_a_request_list_repeats_the_whole_list() -> None:
    workload = RequestList([Request.from_text("hello", label=label) for label in "ab"], rounds=2)
    labels = [request.label for request in iter(lambda: workload.next(None), None)]
    assert labels == ["a", "b", "a", "b"]
    assert workload.total() == 4


def test_the_package_loads_nothing_but_the_standard_library() -> None:
    program = "import sys, llem_sdk; print(*{name.split('.')[0] for name in sys.modules})"
    source = str(Path(__file__).parents[1] / "src")
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {source!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(loaded.stdout.split()) - set(sys.stdlib_module_names) <= {"__main__", "llem_sdk"}


def test_the_module_prints_the_folder_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("llem_sdk", run_name="__main__")
    assert capsys.readouterr().out.strip().endswith("llem_sdk/wit")
