"""Metrics: the sum of all generated tokens' ids, and the time of decode."""

from wit_world import exports
from wit_world.imports import description, report, types

total = 0
decode = 0


class MetricsPolicy(exports.MetricsPolicy):
    def describe(self):
        return description.About("sums", "0.1.0", "Sums over all trials.")

    def observe(self, trial):
        global total, decode
        total += sum(sum(completion.tokens()) for completion in trial.completions())
        decode += trial.generation().decode_time()

    def derive(self, model, session):
        labels = [("model", model.source())]
        tokens = types.Quantity(float(total), 0.0, "{token}", "counted")
        time = types.Quantity(decode / 1e9, 0.0, "s", "derived")
        return [report.Metric("token_sum", tokens, labels), report.Metric("decode_time", time, labels)]
