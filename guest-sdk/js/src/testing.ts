/**
 * Unit tests of a method: experiments and policies on the synthetic host, without a model and without waiting.
 *
 * The synthetic host has a virtual clock, tokens from the seed, and given delays and joules, so that a test knows every
 * time and energy beforehand. This module runs in Node. It starts the program `llem` (or the one that the environment
 * variable `LLEM` names) and reads the record of the run.
 *
 * ```ts
 * const result = run(".", { parameters: { prompts: 3 }, host: { decode_s_per_step: 2e-3 } });
 * assert.equal(result.status, "completed");
 * assert.equal(result.requests.length, 3);
 * assert.equal(result.metric("decode_rate").value, 500);
 * ```
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The delays and joules of the synthetic host, with the names of its file. All of them are exact. */
export interface SyntheticHost {
  /** The seed of its tokens, 1 by default. */
  readonly seed?: number;
  /** How long a model loads, in s, 1 by default. */
  readonly load_s?: number;
  /** How long a pass takes for each prompt token in it, in s, 1e-4 by default. */
  readonly prefill_s_per_token?: number;
  /** How long a pass takes that generates tokens, in s, 5e-3 by default. It does not depend on their number. */
  readonly decode_s_per_step?: number;
  /** The power at rest, in W, 50 by default. */
  readonly idle_watts?: number;
  /** The energy of a prompt token above the power at rest, in J, 0.01 by default. */
  readonly prefill_joules_per_token?: number;
  /** The energy of a generated token above the power at rest, in J, 0.5 by default. */
  readonly decode_joules_per_token?: number;
}

/** Policies that the standard runner runs. The shipped ones stand in for those that are not given. */
export interface Policies {
  /** The warm-up: a project's folder, a source file or a component. */
  readonly warmup?: string;
  /** The workload: a project's folder, a source file or a component. */
  readonly workload?: string;
  /** The metrics: a project's folder, a source file or a component. */
  readonly metrics?: string;
}

/** Options of a test's run. */
export interface RunOptions {
  /** Values of declared parameters. */
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;
  /** The delays and joules of the host, or the path of an earlier run's `run.json`, whose mean figures are then used. */
  readonly host?: SyntheticHost | string;
  /** The seed of the run, which its random numbers and sampled tokens come from. It is 0 by default. */
  readonly seed?: number;
  /** The files that are granted as declared datasets. */
  readonly datasets?: Readonly<Record<string, string>>;
  /** Further options of `llem exec`. */
  readonly options?: readonly string[];
}

/** A metric that the run reported. */
export interface MetricResult {
  /** The name in snake case. */
  readonly name: string;
  /** The value, in `unit`. */
  readonly value: number;
  /** The standard uncertainty, in `unit`. */
  readonly uncertainty: number;
  /** The unit: `{token}/s`. */
  readonly unit: string;
  /** The values of its labels by name. */
  readonly labels: Readonly<Record<string, string>>;
}

/** A sequence that the run generated. A request of one prompt has one sequence. */
export interface RequestResult {
  /** The label of the request. */
  readonly label: string;
  /** The open phases, outermost first, joined by `/`. It is empty outside of all phases. */
  readonly phase: string;
  /** The length of the prompt, in tokens. */
  readonly promptTokens: number;
  /** The number of generated tokens. */
  readonly outputTokens: number;
  /** The generated tokens. */
  readonly tokens: readonly number[];
  /** When it was submitted, or arrived, in ns since the run began. */
  readonly submitted: number;
  /** When each token was on the host, in ns since the run began. */
  readonly tokenTimes: readonly number[];
}

/** A logged line. */
export interface LogLine {
  /** The level: `debug`, `info`, `warn`, `error`, `stdout` or `stderr`. */
  readonly level: string;
  /** The text. */
  readonly message: string;
}

interface Sequence {
  prompt_tokens: number;
  tokens: number[];
  submitted_ns: number;
  token_ns: number[];
}

type Named = { label: string; phase: string };

type Event =
  | { event: "generation"; window: Named; sequences: Sequence[] }
  | (Named & { event: "batch-sequence"; sequence: Sequence })
  | ({ event: "log" } & LogLine);

interface Run {
  status: string;
  error?: string;
  warnings?: string[];
  metrics: Array<{
    name: string;
    quantity: { value: number; uncertainty?: number; unit: string };
    labels?: Record<string, string>;
  }>;
}

/** The record of a run. */
export class TestResult {
  /** How the run ended: `completed` or `failed`. */
  readonly status: string;
  /** Why the run failed. `undefined` if it completed. */
  readonly error: string | undefined;
  /** The sequences that were generated outside of the warm-up, in the order in which they ended. */
  readonly requests: readonly RequestResult[];
  /** The sequences that were generated in phases called `warmup`, in the order in which they ended. */
  readonly warmupRequests: readonly RequestResult[];
  /** The warnings of the host, and those of the script with `the script: ` before each. */
  readonly warnings: readonly string[];
  /** All logged lines, and those of stdout and stderr. */
  readonly log: readonly LogLine[];
  /** The content of `run.json`. */
  readonly record: Readonly<Record<string, unknown>>;
  private readonly reported: readonly MetricResult[];

  /** @internal */
  constructor(record: Run, events: readonly Event[]) {
    this.status = record.status;
    this.error = record.error ?? undefined;
    this.reported = record.metrics.map(({ name, quantity: { value, uncertainty = 0, unit }, labels = {} }) => {
      return { name, value, uncertainty, unit, labels };
    });
    const sequences = events.flatMap((event) => {
      if (event.event === "generation") return event.sequences.map((one) => request(event.window, one));
      return event.event === "batch-sequence" ? [request(event, event.sequence)] : [];
    });
    const isWarmup = ({ phase }: RequestResult) => phase.split("/").includes("warmup");
    this.requests = sequences.filter((one) => !isWarmup(one));
    this.warmupRequests = sequences.filter(isWarmup);
    this.warnings = record.warnings ?? [];
    this.log = events.flatMap((event) =>
      event.event === "log" ? [{ level: event.level, message: event.message }] : [],
    );
    this.record = record as unknown as Record<string, unknown>;
  }

  /** Returns the metrics of this name, or all of them, in the order in which they were reported. */
  metrics(name?: string): MetricResult[] {
    return this.reported.filter((metric) => name === undefined || metric.name === name);
  }

  /** Returns the metric of this name. Throws if there is none, or more than one, which labels distinguish. */
  metric(name: string): MetricResult {
    const [metric, ...others] = this.metrics(name);
    if (metric !== undefined && others.length === 0) return metric;
    const count = metric === undefined ? 0 : 1 + others.length;
    throw new Error(`${count} metrics are called '${name}', not one`);
  }
}

function request({ label, phase }: Named, sequence: Sequence): RequestResult {
  const { prompt_tokens: promptTokens, tokens, submitted_ns: submitted, token_ns: tokenTimes } = sequence;
  return { label, phase, promptTokens, outputTokens: tokens.length, tokens, submitted, tokenTimes };
}

/** The environment variable that names the program which runs the tests' components. */
const PROGRAM = "LLEM";

/**
 * Runs an experiment (a project's folder, a source file or a component; llem builds what is no component yet) or
 * policies on the synthetic host, and returns the record. A run that fails has a record too, whose status and error tell
 * so. Throws if llem cannot be started or refuses the run, with its message.
 */
export function run(experiment: string | Policies, options: RunOptions = {}): TestResult {
  const folder = mkdtempSync(join(tmpdir(), "llem-test-"));
  try {
    const [record, synthetic] = [join(folder, "run"), join(folder, "host.json")];
    const { parameters = {}, host = {}, seed, datasets = {} } = options;
    if (typeof host !== "string") writeFileSync(synthetic, JSON.stringify(host));
    const given = typeof experiment === "string" ? [experiment] : [];
    const policies = typeof experiment === "string" ? {} : experiment;
    const named = [
      ...Object.entries(policies).map(([kind, path]) => [`--${kind}`, path]),
      ...Object.entries(parameters).map(([name, value]) => ["--param", `${name}=${value}`]),
      ...Object.entries(datasets).map(([name, path]) => ["--dataset", `${name}=${path}`]),
      ...(seed === undefined ? [] : [["--seed", String(seed)]]),
    ].flat() as string[];
    const onHost = `--synthetic-host=${typeof host === "string" ? host : synthetic}`;
    const program = process.env[PROGRAM] ?? "llem";
    const all = ["exec", ...given, ...named, onHost, ...(options.options ?? []), "--out", record, "--json"];
    const { error, stderr } = spawnSync(program, all, { encoding: "utf8" });
    if (error !== undefined) {
      throw new Error(`${program}: ${error.message}: install llem, or set ${PROGRAM} to its path`);
    }
    return read(record, stderr);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Reads the record in a folder. Without a record llem has refused the run, and said why on stderr. */
function read(record: string, stderr: string): TestResult {
  let text: string;
  try {
    text = readFileSync(join(record, "run.json"), "utf8");
  } catch {
    throw new Error(stderr.trim());
  }
  const journal = readFileSync(join(record, "events.jsonl"), "utf8");
  const events = journal.split("\n").filter(Boolean).map((line) => JSON.parse(line) as Event);
  return new TestResult(JSON.parse(text) as Run, events);
}
