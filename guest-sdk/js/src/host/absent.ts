/** Stands in for the host where there is none: in Node, for unit tests of policies and metrics. */

import { LlemError } from "../error.js";

/** Returns an object whose functions and classes fail when they are called. */
function absent(name: string): never {
  // Not an arrow function, because classes of the host are constructed.
  function fail(): never {
    throw new LlemError("unsupported", `'${name}' is a call of the host, and there is no host outside of a component`);
  }
  return new Proxy(fail, {
    get: (_, member) => absent(`${name}.${String(member)}`),
    construct: fail,
  }) as never;
}

export const batches = absent("batches");
export const description = absent("description");
export const devices = absent("devices");
export const facts = absent("facts");
export const flops = absent("flops");
export const generations = absent("generations");
export const inputs = absent("inputs");
export const meter = absent("meter");
export const models = absent("models");
export const report = absent("report");
export const requests = absent("requests");
export const trials = absent("trials");

/** Whether this code runs in a component. */
export const isComponent: boolean = false;
