/** Parameters and datasets: what the user gives to the experiment on the command line. */

import { inputs, type types } from "#host";
import type { Value } from "./about.js";
import { LlemError, call, whole } from "./error.js";

/** The type that a parameter or a field is read as. */
export type Kind = typeof Number | typeof String | typeof Boolean;

/** A value of a {@link Kind}. */
export type Of<K extends Kind> = K extends typeof Number ? number : K extends typeof String ? string : boolean;

const NAMES = new Map<Kind, string>([
  [Number, "a finite number"],
  [String, "text"],
  [Boolean, "true or false"],
]);

/** Converts a value. Returns `undefined` if the value is of another kind. */
function convert<K extends Kind>(value: Value, kind: K): Of<K> | undefined {
  return typeof value === kind.name.toLowerCase() ? (value as Of<K>) : undefined;
}

/** Parses a dataset cell that is text. Returns `undefined` if the text is not of this kind. */
function parse<K extends Kind>(text: string, kind: K): Of<K> | undefined {
  const trimmed = text.trim();
  const parsed =
    kind === String ? text
    : kind === Boolean ? { true: true, false: false }[trimmed.toLowerCase()]
    : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed)
    : undefined;
  return parsed === undefined || parsed === Infinity || parsed === -Infinity ? undefined : (parsed as Of<K>);
}

/**
 * Returns the value of a declared parameter: `parameter("rounds", Number)`. The kind is `Number` for whole numbers and
 * numbers, `String` or `Boolean`. Throws `not-found` if `about` did not declare the parameter, and `invalid-argument` if
 * it is of another kind.
 */
export function parameter<K extends Kind>(name: string, kind: K): Of<K> {
  const value: Value = call(() => inputs.parameter(name)).val;
  const converted = convert(value, kind);
  if (converted !== undefined) return converted;
  throw LlemError.invalidArgument(`parameter '${name}' is ${JSON.stringify(value)}, which is not ${NAMES.get(kind)}`);
}

/**
 * Returns the value of a declared parameter that is a number from `minimum` to `maximum`, both included. Throws like
 * {@link parameter}, and `invalid-argument` if the number is out of the range.
 *
 * ```ts
 * const batchSize = parameterWithin("batch-size", 1);
 * ```
 */
export function parameterWithin(name: string, minimum: number, maximum = Infinity): number {
  return within(name, parameter(name, Number), minimum, maximum);
}

/**
 * Returns the value if it is from `minimum` to `maximum`. Otherwise throws with a sentence that names the range.
 *
 * @internal
 */
export function within(name: string, value: number, minimum: number, maximum: number): number {
  if (value >= minimum && value <= maximum) return value;
  const wanted = maximum === Infinity ? `${minimum} or more` : `a number from ${minimum} to ${maximum}`;
  throw LlemError.invalidArgument(`${name} is ${value}: set it to ${wanted} with -p ${name}=NUMBER`);
}

/**
 * Returns the value of a text parameter that holds whole numbers above 0, separated by commas. Throws `invalid-argument`
 * if a part is anything else.
 */
export function sizes(name: string): number[] {
  return parameter(name, String)
    .split(",")
    .map((part) => {
      const size = /^\s*\+?\d+\s*$/.test(part) ? Number(part) : 0;
      if (size > 0) return size;
      throw LlemError.invalidArgument(`${name}: '${part}' is no whole number above 0`);
    });
}

/** Returns the run's seed (`--seed`). A seed beyond 2^53 is rounded. */
export function seed(): number {
  return inputs.seed();
}

/** One row of a dataset. */
export class Row {
  /** The zero-based position among the rows. */
  readonly index: number;
  /** The names and values of the fields, in the order of the file. */
  readonly fields: ReadonlyMap<string, Value>;

  /** Creates a row. */
  constructor(index: number, fields: Iterable<readonly [string, Value]>) {
    this.index = index;
    this.fields = new Map(fields);
  }

  /**
   * Returns a field. Cells of CSV files are text and are parsed here: `007` is 7 as a `Number` and stays `007` as a
   * `String`. A null, a list or an object in a JSON file is its JSON text here, so prompts should be read with
   * {@link textsIfGranted}. Throws `invalid-argument` if the row has no such field or if its value does not fit.
   */
  get<K extends Kind>(name: string, kind: K): Of<K> {
    const value = this.fields.get(name);
    if (value === undefined) {
      const known = [...this.fields.keys()].join(", ");
      throw LlemError.invalidArgument(`row ${this.index} has no field '${name}'; it has ${known}`);
    }
    const parsed = typeof value === "string" ? parse(value, kind) : convert(value, kind);
    if (parsed !== undefined) return parsed;
    const shown = JSON.stringify(value);
    throw LlemError.invalidArgument(`row ${this.index}: field '${name}' is ${shown}, which is not ${NAMES.get(kind)}`);
  }
}

function rowFrom(row: inputs.Row): Row {
  return new Row(row.index, row.fields.map(([name, value]: [string, types.Value]) => [name, value.val] as const));
}

/** A dataset that the user granted with `--dataset name=file`. It can be iterated over once, or again after a rewind. */
export class Dataset implements Iterable<Row>, Disposable {
  private readonly dataset: inputs.Dataset;

  private constructor(dataset: inputs.Dataset) {
    this.dataset = dataset;
  }

  /** Opens a granted dataset. Throws `not-granted` if no `--dataset` names it. */
  static open(name: string): Dataset {
    return new Dataset(call(() => inputs.Dataset.open(name)));
  }

  /** Returns the next row, or `undefined` at the end. */
  nextRow(): Row | undefined {
    const row = call(() => this.dataset.next());
    return row ? rowFrom(row) : undefined;
  }

  /** Returns at most `most` of the next rows. The list is empty at the end. */
  nextRows(most: number): Row[] {
    return call(() => this.dataset.nextRows(whole("most", most))).map(rowFrom);
  }

  /** Returns the total number of rows. A file format that does not store it is read once to count them. */
  length(): number {
    return call(() => this.dataset.length());
  }

  /** Goes back to the first row. */
  rewind(): void {
    call(() => this.dataset.rewind());
  }

  /** Iterates over the rows that follow. */
  *[Symbol.iterator](): Generator<Row> {
    for (let row = this.nextRow(); row !== undefined; row = this.nextRow()) yield row;
  }

  /** Closes the dataset. */
  [Symbol.dispose](): void {
    this.dataset[Symbol.dispose]();
  }
}

/** Opens a dataset and returns its rows. Throws `not-granted` if no `--dataset` names it. */
export function rows(name: string): Iterable<Row> {
  return Dataset.open(name);
}

/** Opens a dataset and returns its rows, or `undefined` if it was not granted. Throws if a granted file is unreadable. */
export function rowsIfGranted(name: string): Iterable<Row> | undefined {
  try {
    return Dataset.open(name);
  } catch (error) {
    if (error instanceof LlemError && error.code === "not-granted") return undefined;
    throw error;
  }
}

/**
 * Opens a column of a dataset and returns its texts, or `undefined` if the dataset was not granted. `column` is the name
 * of the text parameter that names the column (`-p prompt-column=question`). In a ShareGPT file the column `prompt` is
 * the first turn of each conversation that has at least two turns.
 *
 * Use this for prompts. Unlike {@link Row.get}, which returns other JSON values as text, the iterator throws at the first
 * cell that is null, a list, an object, a number or empty, and names its position.
 */
export function textsIfGranted(dataset: string, column: string): Iterable<string> | undefined {
  if (rowsIfGranted(dataset) === undefined) return undefined;
  const name = parameter(column, String);
  try {
    return texts(Dataset.open(`${dataset}#${name}`), name);
  } catch (error) {
    if (!(error instanceof LlemError && error.code === "not-found")) throw error;
    throw LlemError.invalidArgument(`${error.message}: choose one with -p ${column}=NAME`);
  }
}

function* texts(rows: Iterable<Row>, column: string): Generator<string> {
  for (const row of rows) yield row.get(column, String);
}
