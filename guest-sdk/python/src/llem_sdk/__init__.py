"""The Python SDK for llem experiments.

An experiment is a WebAssembly component with two functions: one describes it (its name, parameters and datasets), the
other runs it. It runs in the `llem` host, which owns the models, the devices and the energy counters. All that an
experiment does goes through calls of the host, which this package wraps in plain Python types.

               your module                                   llem_sdk                       host
    ┌───────────────────────────────────┐   ┌──────────────────────────────────────┐   ┌────────────────┐
    │ llem_sdk.experiment(about, run)   │   │ Experiment: baseline, warm-up,       │   │ engine         │
    │   about() -> About                ├──►│   measurement, metrics               ├──►│ meter          │
    │   run() -> None                   │   │ or single calls: Model.generate,     │   │ run record     │
    │ WarmupPolicy, WorkloadPolicy, ... │   │   Window, report.add_metric          │   │                │
    └───────────────────────────────────┘   └──────────────────────────────────────┘   └────────────────┘

Start at:

- `Experiment`: runs the phases of an experiment in order.
- `Model`: loads a model, generates, scores, and opens continuous batches.
- `Request`: prompts, and how their tokens are chosen.
- `Measurement`: the time, energy and operations of a closed `Window`.
- `Arrivals`: sends the requests of a workload at given times.
- `testing.run`: runs an experiment on a host without a model, for unit tests.

Functions that read better with their module's name are in `devices`, `efficiency`, `facts`, `flops`, `inputs`, `meter`,
`reading`, `report` and `statistics`. Instants and lengths from the host are whole numbers of nanoseconds. Lengths that
a script chooses are seconds. A number that may be missing is a `Reading`: a `Quantity`, or `Unavailable` with the
reason.

Under an ordinary Python the package imports too, for tests of policies and metrics. Only calls of the host fail there.
"""

from . import devices, efficiency, facts, flops, inputs, meter, reading, report, statistics
from .about import About, Clocks, DatasetInput, Parameter, Value
from .adapter_info import AdapterInfo
from .arrivals import Arrivals, TimedWorkload
from .batch import Batch, BatchOptions, BatchStatus, Progress, StepToken
from .completion import (
    Completion,
    FinishReason,
    Generation,
    Score,
    ScoreRequest,
    Scoring,
    TokenLogProbabilities,
    TokenLogProbability,
)
from .electricity_supply import ElectricitySupply
from .error import Error, ErrorCode
from .experiments import Experiment
from .export import experiment, metrics, warmup, workload
from .goodput import Goodput, ServiceLevels
from .inputs import Dataset, Row, parameter, parameter_within, rows, rows_if_granted, seed, sizes, texts_if_granted
from .lengths import Lengths
from .load_options import LoadOptions, Parallelism, Rank
from .logits import Logits, TokenLogit
from .measurement import (
    Activity,
    Course,
    DeviceEnergy,
    Domain,
    Measurement,
    MemoryPeak,
    RankActivity,
    Segment,
    Throttling,
)
from .meter import Baseline
from .model import Model
from .model_info import ModelInfo
from .policy import Done, MetricsFn, MetricsPolicy, Run, Wait, WarmupPolicy, WarmupStep, WorkloadPolicy
from .quantity import Metric, Quantity, Reading, Source, Unavailable
from .random import Random
from .report import Level, Phase
from .request import (
    AdapterChoice,
    AdapterSelection,
    BaseWeights,
    Chat,
    Message,
    NamedAdapter,
    Prompt,
    Request,
    RequestOptions,
    TextPrompt,
    TokensPrompt,
)
from .request_list import RequestList
from .sampling import Sampling
from .saturated_batch import SaturatedBatch, SteadyState
from .schedule import Schedule, Session
from .statistics import Interval
from .thermal_protocol import ThermalProtocol, ThermalSweep, ThermalTrial, joules_per_run
from .tokenizer import SpecialToken, Tokenizer
from .trial import Trial, group_by_label
from .wait import sleep_for, wait_until_power_steady, wait_until_temperature_steady
from .warmups import ColdStart, CountThenFloor, CvConvergence, FixedCount, TemperaturePlateau, TimeFloor
from .window import Sample, Window

__all__ = [
    "About",
    "Activity",
    "AdapterChoice",
    "AdapterInfo",
    "AdapterSelection",
    "Arrivals",
    "BaseWeights",
    "Baseline",
    "Batch",
    "BatchOptions",
    "BatchStatus",
    "Chat",
    "Clocks",
    "ColdStart",
    "Completion",
    "CountThenFloor",
    "Course",
    "CvConvergence",
    "Dataset",
    "DatasetInput",
    "DeviceEnergy",
    "Domain",
    "Done",
    "ElectricitySupply",
    "Error",
    "ErrorCode",
    "Experiment",
    "FinishReason",
    "FixedCount",
    "Generation",
    "Goodput",
    "Interval",
    "Lengths",
    "Level",
    "LoadOptions",
    "Logits",
    "Measurement",
    "MemoryPeak",
    "Message",
    "Metric",
    "MetricsFn",
    "MetricsPolicy",
    "Model",
    "ModelInfo",
    "NamedAdapter",
    "Parallelism",
    "Parameter",
    "Phase",
    "Progress",
    "Prompt",
    "Quantity",
    "Random",
    "Rank",
    "RankActivity",
    "Reading",
    "Request",
    "RequestList",
    "RequestOptions",
    "Row",
    "Run",
    "Sample",
    "Sampling",
    "SaturatedBatch",
    "Schedule",
    "Score",
    "ScoreRequest",
    "Scoring",
    "Segment",
    "ServiceLevels",
    "Session",
    "Source",
    "SpecialToken",
    "SteadyState",
    "StepToken",
    "TemperaturePlateau",
    "TextPrompt",
    "ThermalProtocol",
    "ThermalSweep",
    "ThermalTrial",
    "Throttling",
    "TimeFloor",
    "TimedWorkload",
    "TokenLogProbabilities",
    "TokenLogProbability",
    "TokenLogit",
    "Tokenizer",
    "TokensPrompt",
    "Trial",
    "Unavailable",
    "Value",
    "Wait",
    "WarmupPolicy",
    "WarmupStep",
    "Window",
    "WorkloadPolicy",
    "devices",
    "efficiency",
    "experiment",
    "facts",
    "flops",
    "group_by_label",
    "inputs",
    "joules_per_run",
    "meter",
    "metrics",
    "parameter",
    "parameter_within",
    "reading",
    "report",
    "rows",
    "rows_if_granted",
    "seed",
    "sizes",
    "sleep_for",
    "statistics",
    "texts_if_granted",
    "wait_until_power_steady",
    "wait_until_temperature_steady",
    "warmup",
    "workload",
]

__version__ = "0.1.0"
