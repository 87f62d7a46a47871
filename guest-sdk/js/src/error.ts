/** The error of all calls: a code for programs and a sentence for people. */

/**
 * The kind of a failure.
 *
 * - `invalid-argument`: an argument is out of its range or contradicts another one.
 * - `not-found`: no model, file, dataset, parameter or device has this name.
 * - `not-granted`: the user did not grant the resource. The message names the flag that grants it.
 * - `unsupported`: this build, device or model does not support the call.
 * - `limit-reached`: the call would exceed a limit of the run.
 * - `failed`: the work was started and failed.
 */
export type ErrorCode =
  | "invalid-argument"
  | "not-found"
  | "not-granted"
  | "unsupported"
  | "limit-reached"
  | "failed";

/**
 * The reason why a call failed. If `run` throws it, the message goes to the run record, and the code decides the exit
 * code of `llem exec`: 2 for `invalid-argument`, `not-found`, `not-granted` and `unsupported`, 1 for the others.
 */
export class LlemError extends Error {
  /** The kind of failure, for programs. */
  readonly code: ErrorCode;

  /** Creates an error from its kind and one sentence for people. */
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.name = "LlemError";
    this.code = code;
  }

  /** Creates an error of the code `invalid-argument`: a parameter or an input is out of range or malformed. */
  static invalidArgument(message: string): LlemError {
    return new LlemError("invalid-argument", message);
  }
}

/**
 * Calls the host and turns its error into a {@link LlemError}. Errors of a host call carry the contract's record as
 * `payload`.
 *
 * @internal
 */
export function call<T>(host: () => T): T {
  try {
    return host();
  } catch (thrown) {
    const payload = (thrown as { payload?: { code: ErrorCode; message: string } } | undefined)?.payload;
    if (payload === undefined) throw thrown;
    throw new LlemError(payload.code, payload.message);
  }
}

/**
 * Returns the number if it is a whole number from 0 to `most`. Otherwise throws `invalid-argument` with its name,
 * because a component ends without a word if a number does not fit the type of the contract.
 *
 * @internal
 */
export function whole(name: string, value: number, most = 0xffff_ffff): number {
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw LlemError.invalidArgument(`${name} is ${String(value)}, which is no whole number from 0 to ${most}`);
}
