/** Results and messages of a script. Each is written to the run's journal at once. */

import { report } from "#host";
import { call } from "./error.js";
import { type Metric, metricToHost } from "./metric.js";

/** The importance of a log line. */
export type Level = "debug" | "info" | "warn" | "error";

/** A curve: y over x. */
export interface Series {
  /** The name in snake case. */
  readonly name: string;
  /** The name and unit of x. */
  readonly x: readonly [name: string, unit: string];
  /** The name and unit of y. */
  readonly y: readonly [name: string, unit: string];
  /** The points (x, y), in order. */
  readonly points: ReadonlyArray<readonly [x: number, y: number]>;
}

/** A table of text cells. */
export interface Table {
  /** The name in snake case. */
  readonly name: string;
  /** The column heads. */
  readonly columns: readonly string[];
  /** The rows. Each has the length of `columns`. */
  readonly rows: ReadonlyArray<readonly string[]>;
}

/** Writes a log line. The functions of `console` do the same. */
export function log(level: Level, message: string): void {
  report.log(level, message);
}

/** Adds a warning to the results, which a reader must know before trusting them. */
export function warn(message: string): void {
  report.warn(message);
}

/** Shows the progress of the script to the user. A `total` of 0 means that the total is not known. */
export function showProgress(done: number, total: number, label: string): void {
  report.showProgress(done, total, label);
}

/**
 * Reports a metric. Throws `invalid-argument` if the name is empty, if the value or uncertainty is not finite, if the
 * uncertainty is negative, if this llem does not know the source, or if the unit has more than 64 bytes or contains
 * control characters.
 */
export function addMetric(metric: Metric): void {
  call(() => report.addMetric(metricToHost(metric)));
}

/**
 * Reports a curve. Throws `invalid-argument` if the name is empty, if a coordinate is not finite, or if a unit has more
 * than 64 bytes or contains control characters.
 */
export function addSeries({ name, x, y, points }: Series): void {
  call(() => report.addSeries({ name, x: [...x], y: [...y], points: points.map(([x, y]) => [x, y]) }));
}

/** Reports a table. Throws `invalid-argument` if a row and the column heads differ in length. */
export function addTable({ name, columns, rows }: Table): void {
  call(() => report.addTable({ name, columns: [...columns], rows: rows.map((row) => [...row]) }));
}

/**
 * Writes a file into the run's folder. Throws `invalid-argument` if the name is not a single path component, or if an
 * artifact of this name exists. Text is written as UTF-8.
 */
export function writeArtifact(name: string, content: Uint8Array | string): void {
  call(() => report.writeArtifact(name, typeof content === "string" ? utf8(content) : content));
}

/** Encodes text as UTF-8. QuickJS has no `TextEncoder`. */
function utf8(text: string): Uint8Array {
  const escaped = encodeURIComponent(text);
  return Uint8Array.from(escaped.match(/%..|./gs) ?? [], (one) =>
    one.length > 1 ? Number.parseInt(one.slice(1), 16) : one.charCodeAt(0),
  );
}

/**
 * A named part of the run, from its beginning until {@link end} or the end of the scope of its `using`. Phases nest.
 *
 * ```ts
 * using _ = Phase.begin("sweep");
 * ```
 */
export class Phase implements Disposable {
  private phase: report.Phase | undefined;

  private constructor(phase: report.Phase) {
    this.phase = phase;
  }

  /** Begins a phase inside the open one. */
  static begin(name: string): Phase {
    return new Phase(call(() => report.Phase.begin(name)));
  }

  /** Ends the phase, and with it all phases that are still open inside. */
  end(): void {
    const phase = this.phase;
    this.phase = undefined;
    if (phase !== undefined) call(() => report.Phase.end(phase));
  }

  /** Ends the phase if it is open. */
  [Symbol.dispose](): void {
    this.phase?.[Symbol.dispose]();
    this.phase = undefined;
  }
}
