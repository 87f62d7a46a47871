/**
 * The source map of the bundle, by which stacks name the author's files and lines.
 *
 * `build.mjs` appends the map to the bundle as a global value: the names of the sources, and the mappings in the
 * encoding of source maps (ECMA-426), base 64 VLQ.
 */

/** A source map with the fields that positions need. */
export interface SourceMap {
  /** The paths of the sources. */
  readonly sources: readonly string[];
  /** For each line of the bundle, the segments of that line. */
  readonly mappings: string;
}

/** The key of the global value that holds the map. */
export const SOURCE_MAP = Symbol.for("llem.source-map");

/** A position in a source. Lines and columns begin at 1. */
export interface Position {
  readonly source: string;
  readonly line: number;
  readonly column: number;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Decodes the numbers of a segment: five bits a digit, the lowest first, and the sign in the lowest bit. */
function decode(segment: string): number[] {
  const numbers: number[] = [];
  let [value, shift] = [0, 0];
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return numbers;
}

/**
 * Returns the source position of a position in the bundle, or `undefined` if the map has none for its line. Before the
 * first segment of a line it is the position of that segment.
 */
export function sourcePosition(map: SourceMap, line: number, column: number): Position | undefined {
  let [source, sourceLine, sourceColumn] = [0, 0, 0];
  let found: Position | undefined;
  // Numbers of sources are differences to the previous segment, so all lines before are decoded too.
  for (const [index, segments] of map.mappings.split(";", line).entries()) {
    let start = 0;
    for (const segment of segments === "" ? [] : segments.split(",")) {
      const [offset = 0, ...rest] = decode(segment);
      start += offset;
      if (rest.length < 3) continue;
      source += rest[0] as number;
      sourceLine += rest[1] as number;
      sourceColumn += rest[2] as number;
      if (index + 1 === line && (start < column || found === undefined)) {
        found = { source: map.sources[source] as string, line: sourceLine + 1, column: sourceColumn + 1 };
      }
    }
  }
  return found;
}
