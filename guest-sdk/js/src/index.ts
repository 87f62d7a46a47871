/**
 * The JavaScript and TypeScript SDK for llem experiments.
 *
 * An experiment is a WebAssembly component with two functions: one describes it (its name, parameters and datasets), the
 * other runs it. It runs in the `llem` host, which owns the models, the devices and the energy counters. All that an
 * experiment does goes through calls of the host, which this package wraps in plain types.
 *
 * Start at `Experiment` (runs the phases of an experiment in order), `Model`, `Request`, `Measurement` and `Arrivals`.
 * Functions that are read with their module's name are in `meter`, `report`, `devices`, `facts`, `flops`, `reading`
 * and `statistics`.
 *
 * Instants and lengths of time from the host are numbers of nanoseconds. Lengths that an author gives are seconds.
 */

import "./console.js";
import "./determinism.js";

export { About } from "./about.js";
export type { Clocks, DatasetInput, Parameter, ParameterKind, Value } from "./about.js";
export type { AdapterInfo } from "./adapter-info.js";
export { ArrivalTimes } from "./arrivals/arrival-times.js";
export { Arrivals } from "./arrivals/arrivals.js";
export type { ArrivalOptions } from "./arrivals/arrivals.js";
export { Batch } from "./batch.js";
export type { BatchOptions, BatchStatus, Progress, StepToken } from "./batch.js";
export { Completion, stepTimes } from "./completion.js";
export type {
  CompletionFields,
  FinishReason,
  Generation,
  Score,
  ScoreRequest,
  Scoring,
  TokenLogProbabilities,
  TokenLogProbability,
} from "./completion.js";
export * as devices from "./devices.js";
export type { Device, DeviceState, Dtype, Peak, Peaks } from "./devices.js";
export * as efficiency from "./efficiency.js";
export { ElectricitySupply } from "./electricity-supply.js";
export type { Price } from "./electricity-supply.js";
export { LlemError } from "./error.js";
export type { ErrorCode } from "./error.js";
export { Experiment } from "./experiment/experiment.js";
export { experiment, metrics, warmup, workload } from "./export.js";
export type { Exported, PolicyClass } from "./export.js";
export * as facts from "./facts.js";
export * as flops from "./flops.js";
export { Goodput, areMetBy } from "./goodput.js";
export type { ServiceLevels } from "./goodput.js";
export { Dataset, Row, parameter, parameterWithin, rows, rowsIfGranted, seed, sizes, textsIfGranted } from "./inputs.js";
export type { Kind, Of } from "./inputs.js";
export { Lengths } from "./lengths.js";
export type { LengthShape } from "./lengths.js";
export type { LoadOptions, Parallelism, Rank } from "./load-options.js";
export { Logits } from "./logits.js";
export type { TokenLogit } from "./logits.js";
export { energyOf, memoryPeak, temperatures } from "./measurement.js";
export type {
  Activity,
  Course,
  DeviceEnergy,
  Domain,
  Measurement,
  MemoryPeak,
  RankActivity,
  Segment,
  Throttling,
} from "./measurement.js";
export * as meter from "./meter.js";
export { sleepFor, waitUntilPowerSteady, waitUntilTemperatureSteady } from "./meter.js";
export type { Baseline, IdlePower, Resolution } from "./meter.js";
export { Metric } from "./metric.js";
export { Model } from "./model.js";
export type { ModelInfo } from "./model-info.js";
export { MetricsFn, done, runFirst } from "./policy.js";
export type { Derive, MetricsPolicy, WarmupPolicy, WarmupStep, WorkloadPolicy } from "./policy.js";
export { Quantity, Unavailable, known } from "./quantity.js";
export type { Reading, Source } from "./quantity.js";
export { Random } from "./random.js";
export type { UniformSource } from "./random.js";
export * as reading from "./reading.js";
export * as report from "./report.js";
export { Phase } from "./report.js";
export type { Level, Series, Table } from "./report.js";
export { Request, randomPrompt } from "./request.js";
export type { AdapterChoice, Chat, Message, Prompt, RequestOptions } from "./request.js";
export { RequestList } from "./request-list.js";
export type { Sampling } from "./sampling.js";
export type { Schedule, Session } from "./schedule.js";
export * as statistics from "./statistics.js";
export { SaturatedBatch } from "./steady-state/saturated-batch.js";
export type { SaturatedBatchOptions, SteadyState } from "./steady-state/saturated-batch.js";
export { ThermalProtocol, joulesPerRun } from "./steady-state/thermal-protocol.js";
export type { ThermalProtocolOptions, ThermalSweep, ThermalTrial } from "./steady-state/thermal-protocol.js";
export type { Nanoseconds, Seconds } from "./time.js";
export { Tokenizer } from "./tokenizer.js";
export type { SpecialToken } from "./tokenizer.js";
export { Trial, groupByLabel } from "./trial.js";
export { CvConvergence } from "./warmup/cv-convergence.js";
export type { CvConvergenceOptions } from "./warmup/cv-convergence.js";
export { ColdStart, FixedCount } from "./warmup/fixed-count.js";
export { TemperaturePlateau } from "./warmup/temperature-plateau.js";
export type { TemperaturePlateauOptions } from "./warmup/temperature-plateau.js";
export { CountThenFloor, TimeFloor } from "./warmup/time-floor.js";
export { Window } from "./window.js";
export type { Sample } from "./window.js";
