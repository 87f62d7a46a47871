"""Derives percentiles of the inter-token latency for the requests of each label."""

import llem_sdk
from llem_sdk import About, Metric, MetricsPolicy, ModelInfo, Quantity, Session, Source, Trial
from llem_sdk.statistics import percentile

# The percentiles that are derived, with the names of their metrics.
PERCENTILES = {"itl_p50": 50.0, "itl_p99": 99.0}


@llem_sdk.metrics
class ItlPercentiles(MetricsPolicy):
    """Keeps the inter-token latencies of each label, in s."""

    def __init__(self) -> None:
        self.latencies: dict[str, list[float]] = {}

    @staticmethod
    def about() -> About:
        return About("first-metrics", "0.1.0", "Percentiles of the inter-token latency")

    def observe(self, trial: Trial) -> None:
        self.latencies.setdefault(trial.request.label, []).extend(trial.itl())

    def derive(self, model: ModelInfo, session: Session) -> list[Metric]:
        return [
            Quantity.exact(value, "s", Source.DERIVED).into_metric(name).label("request", label)
            for label, latencies in sorted(self.latencies.items())
            for name, p in PERCENTILES.items()
            if (value := percentile(latencies, p)) is not None
        ]
