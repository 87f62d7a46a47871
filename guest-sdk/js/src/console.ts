/** `console`, which QuickJS does not have: its functions write log lines of the run. */

import { isComponent, report } from "#host";
import { trace } from "./stack.js";

/** Formats a value: text as it is, errors with their stack, and other values as JSON with big integers and maps. */
function format(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return trace(value);
  if (typeof value === "function") return `[Function: ${value.name}]`;
  if (typeof value !== "object" || value === null) return typeof value === "bigint" ? `${value}n` : String(value);
  const ancestors: unknown[] = [];
  const plain = function (this: unknown, _: string, one: unknown): unknown {
    // `this` is the object that holds the value, so what is not above it is no ancestor.
    while (ancestors.length > 0 && ancestors.at(-1) !== this) ancestors.pop();
    if (typeof one === "bigint") return `${one}n`;
    if (typeof one === "function") return `[Function: ${one.name}]`;
    if (typeof one === "number" && !Number.isFinite(one)) return String(one);
    if (typeof one !== "object" || one === null) return one;
    if (ancestors.includes(one)) return "[Circular]";
    ancestors.push(one);
    return one instanceof Map || one instanceof Set ? [...one] : ArrayBuffer.isView(one) ? [...(one as Uint8Array)] : one;
  };
  return JSON.stringify(value, plain);
}

const writer =
  (level: "debug" | "info" | "warn" | "error") =>
  (...values: unknown[]): void =>
    report.log(level, values.map(format).join(" "));

if (isComponent) {
  (globalThis as { console: unknown }).console = {
    debug: writer("debug"),
    log: writer("info"),
    info: writer("info"),
    warn: writer("warn"),
    error: writer("error"),
    trace: (...values: unknown[]) => writer("debug")(...values, new Error("trace")),
    assert: (holds: unknown, ...values: unknown[]) => {
      if (!holds) writer("error")("assertion failed", ...values);
    },
  };
}
