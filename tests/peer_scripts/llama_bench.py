"""llama-bench: its rates follow from its samples, and these lie within the times of tokens."""

import json
import statistics

from .comparison import assert_close
from .recorded import RunOf


def check(run_of: RunOf) -> None:
    repetitions = 3
    parameters = {"n-prompt": "24", "n-gen": "6", "pg": "10,4", "n-depth": "0,16", "repetitions": repetitions}
    run = run_of("llama-bench", parameters | {"ubatch-size": 8})
    results = json.loads(run.artifacts["llama_bench.json"])
    names = ["pp24", "tg6", "pp10+tg4", "pp24 @ d16", "tg6 @ d16", "pp10+tg4 @ d16"]
    sizes = [(24, 0), (0, 6), (10, 4)] * 2
    assert [(one["n_prompt"], one["n_gen"]) for one in results] == sizes
    assert [one["n_depth"] for one in results] == [0] * 3 + [16] * 3
    for name, (prompt, generation), result in zip(names, sizes, results, strict=True):
        samples = result["samples_ns"]
        rates = [1e9 * (prompt + generation) / sample for sample in samples]
        assert len(samples) == repetitions and result["samples_ts"] == rates
        assert_close(result["avg_ts"], statistics.fmean(rates), name)
        assert_close(result["stddev_ts"], statistics.stdev(rates), name)
        assert result["avg_ns"] == int(statistics.fmean(samples))
        assert abs(result["stddev_ns"] - statistics.stdev(samples)) <= 1
        assert_close(run.metrics("avg_ts")[name,], result["avg_ts"], name)
        sequences = [one for one in run.of_kind("batch-sequence") if one["label"] == name and one["phase"] == "measure"]
        windows = [one for one in run.of_kind("window") if one["label"] == name]
        assert len(sequences) == len(windows) == repetitions
        for sample, one, window in zip(samples, sequences, windows, strict=True):
            sequence, times = one["sequence"], one["sequence"]["token_ns"]
            # Without a prompt the first of the single tokens is the prompt's; with one, its logits are one more.
            assert sequence["prompt_tokens"] == max(prompt, 1)
            assert len(times) == (0 if generation == 0 else generation + (prompt > 0))
            assert sample < window["wall_ns"], name
            if times:
                assert times[-1] - times[0] < sample <= times[-1] - sequence["admitted_ns"], name
            assert window["activity"]["prompt_tokens"] == max(prompt, 1)
    heads, rule, *rows = run.artifacts["llama_bench.md"].splitlines()[:8]
    cells = lambda row: [cell.strip() for cell in row.strip("|").split("|")]
    assert cells(heads)[:4] + cells(heads)[-2:] == ["model", "size", "params", "backend", "test", "t/s"]
    assert [cells(row)[-2] for row in rows] == names
    for row, result in zip(rows, results, strict=True):
        assert cells(row)[-1] == f"{result['avg_ts']:.2f} ± {result['stddev_ts']:.2f}"
    assert {len(row) for row in (heads, rule, *rows)} == {len(heads)}
