"""A workload of three requests, one after another."""

from wit_world import exports
from wit_world.imports import description, report, requests, trials

sent = 0


class WorkloadPolicy(exports.WorkloadPolicy):
    def describe(self):
        return description.About("three-requests", "0.1.0", "Three requests, one after another.")

    def begin(self, model):
        report.log(report.Level.INFO, f"workload on {model.source()}")
        return trials.Schedule()

    def next(self, last):
        global sent
        if sent == 3:
            return None
        sent += 1
        request = requests.Request(f"request {sent}")
        request.add_tokens(list(range(1, 1 + sent)))
        request.set_max_new_tokens(4)
        request.set_ignores_eos(True)
        request.set_temperature(0.5)
        return request
