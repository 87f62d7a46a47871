/** The description of an experiment or a policy. */

import { description, type types } from "#host";

/** The value of a parameter or of a field of a dataset row. A whole number beyond 2^53 is rounded. */
export type Value = string | number | boolean;

/** The type of a parameter. */
export type ParameterKind = "text" | "integer" | "number" | "boolean";

/** A parameter that can be set with `-p name=value`. */
export interface Parameter {
  /** The name in kebab case. */
  readonly name: string;
  /** The type of the value. */
  readonly kind: ParameterKind;
  /** The value if the parameter is not set. */
  readonly default: Value;
  /** One line of help for the user. */
  readonly summary: string;
}

/** A dataset that can be granted with `--dataset name=file`. */
export interface DatasetInput {
  /** The name in kebab case. */
  readonly name: string;
  /** One line of help for the user. */
  readonly summary: string;
  /** Whether the host refuses the run without the dataset. */
  readonly required: boolean;
}

/**
 * The behaviour of the clocks of `Date` and `performance`.
 *
 * - `seeded`: the clock begins at 1970-01-01 and advances by one microsecond with each reading. It is the same in every
 *   run.
 * - `monotonic`: the clock begins at 1970-01-01 and follows the host's monotonic clock.
 */
export type Clocks = "seeded" | "monotonic";

/**
 * The description of an experiment or a policy: its name, parameters and datasets. Its functions return the same object,
 * so that calls can be chained.
 *
 * ```ts
 * new About("hello", "0.1.0", "Generates once.")
 *   .integer("rounds", 3, "how often each prompt is measured")
 *   .dataset("prompts", "rows with a text each");
 * ```
 */
export class About {
  /** The name in kebab case. */
  readonly name: string;
  /** The version of the script. */
  readonly version: string;
  /** One line that says what the script is for. */
  readonly summary: string;
  /** The parameters that the user can set with `-p name=value`. */
  readonly parameters: Parameter[] = [];
  /** The datasets that the user can grant with `--dataset name=file`. */
  readonly datasets: DatasetInput[] = [];
  /** The behaviour of the clocks of `Date` and `performance`. */
  clocks: Clocks = "seeded";

  /** Creates a description without parameters or datasets, with seeded clocks. */
  constructor(name: string, version: string, summary: string) {
    this.name = name;
    this.version = version;
    this.summary = summary;
  }

  /** Adds a parameter that holds a whole number. */
  integer(name: string, value: number, summary: string): this {
    return this.parameter(name, "integer", value, summary);
  }

  /** Adds a parameter that holds a number. */
  number(name: string, value: number, summary: string): this {
    return this.parameter(name, "number", value, summary);
  }

  /** Adds a parameter that holds text. */
  text(name: string, value: string, summary: string): this {
    return this.parameter(name, "text", value, summary);
  }

  /** Adds a parameter that is true or false. */
  boolean(name: string, value: boolean, summary: string): this {
    return this.parameter(name, "boolean", value, summary);
  }

  /** Adds an optional dataset. */
  dataset(name: string, summary: string): this {
    this.datasets.push({ name, summary, required: false });
    return this;
  }

  /** Adds a required dataset. The host refuses to run the experiment without it. */
  requiredDataset(name: string, summary: string): this {
    this.datasets.push({ name, summary, required: true });
    return this;
  }

  /** Makes clocks follow the host's monotonic clock. By default they are seeded: the same in every run. */
  monotonicClocks(): this {
    this.clocks = "monotonic";
    return this;
  }

  private parameter(name: string, kind: ParameterKind, value: Value, summary: string): this {
    this.parameters.push({ name, kind, default: value, summary });
    return this;
  }
}

/** @internal */
export function aboutToHost(from: About): description.About {
  const about = new description.About(from.name, from.version, from.summary);
  for (const { name, kind, default: value, summary } of from.parameters) {
    about.addParameter({ name, summary, default: { tag: kind, val: value } as types.Value });
  }
  for (const dataset of from.datasets) about.addDataset({ ...dataset });
  about.setClocks(from.clocks);
  return about;
}
