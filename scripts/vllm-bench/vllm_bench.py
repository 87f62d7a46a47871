"""`vllm bench` as an experiment: the tool's methods and results, with llem in the place of its server.

    mode         file             the tool's file (vLLM 0.33.0)
    latency      latency.py       benchmarks/latency.py
    throughput   throughput.py    benchmarks/throughput.py
    serve        serve.py         benchmarks/serve.py
    sweep        sweep.py         benchmarks/sweep/serve_workload.py

Start at `serve.serve`: `workload.py` draws requests, `arrivals.py` their times, `client.py` sends them, and
`serving_metrics.py` computes the metrics.
"""

from __future__ import annotations

import latency
import llem_sdk
import serve
import sweep
import throughput
from llem_sdk import Model
from options import MODES, about, choice


def run() -> None:
    """Runs the benchmark that the parameter `mode` names."""
    mode = choice("mode", MODES)
    model = Model.load_granted()
    {"latency": latency.run, "throughput": throughput.run, "serve": serve.run, "sweep": sweep.run}[mode](model)


llem_sdk.experiment(about, run)
