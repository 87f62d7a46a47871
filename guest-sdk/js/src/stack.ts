/** What an error says to its author: its name, message and stack, with the files and lines of the sources. */

import { SOURCE_MAP, type SourceMap, sourcePosition } from "./source-map.js";

/** A frame of a stack, as QuickJS writes it: `    at run (/bundle.js:13:5)`. */
const FRAME = /^(\s*at .*?)\(?([^\s()]+):(\d+):(\d+)\)?$/;

/** Returns the lines of an error's stack, each with its position in the sources. */
function frames(error: Error): string[] {
  const map = (globalThis as { [SOURCE_MAP]?: SourceMap })[SOURCE_MAP];
  // The constructor of the SDK's error is a frame too, which says nothing.
  const lines = (error.stack ?? "").split("\n").filter((line) => /^\s*at (?!LlemError )/.test(line));
  if (map === undefined) return lines;
  return lines.map((line) => {
    const [, place = "", , row, column] = FRAME.exec(line) ?? [];
    const position = row ? sourcePosition(map, Number(row), Number(column)) : undefined;
    return position ? `${place}(${position.source}:${position.line}:${position.column})` : line;
  });
}

/** Whether a frame is in the SDK rather than in the author's files. */
function isOfSdk(frame: string): boolean {
  return /@llem\/sdk\/(src|dist)\/|\(native\)/.test(frame);
}

/** Returns the name and message of what was thrown. */
export function headline(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message === "" ? thrown.name : `${thrown.name}: ${thrown.message}`;
  return typeof thrown === "string" ? thrown : (JSON.stringify(thrown) ?? String(thrown));
}

/** Returns the name, message and stack of what was thrown, and of its causes. */
export function trace(thrown: unknown): string {
  if (!(thrown instanceof Error)) return `${headline(thrown)}\n    (no stack: throw an Error to have one)`;
  const cause = thrown.cause === undefined ? [] : [`caused by: ${trace(thrown.cause)}`];
  return [headline(thrown), ...frames(thrown), ...cause].join("\n");
}

/** Returns the name and message of what was thrown, with the file and line of the author's code that threw it. */
export function summary(thrown: unknown): string {
  if (!(thrown instanceof Error)) return `${headline(thrown)} (thrown without a stack: throw an Error to have one)`;
  const all = frames(thrown);
  const frame = all.find((frame) => !isOfSdk(frame)) ?? all[0] ?? "";
  const place = /\(([^()]*:\d+):\d+\)$/.exec(frame)?.[1];
  return place === undefined ? headline(thrown) : `${headline(thrown)} (${place})`;
}
