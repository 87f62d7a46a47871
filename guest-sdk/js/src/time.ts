/** Units of time. The host counts in nanoseconds, and authors give lengths in seconds. */

/**
 * An instant or a length of time from the host, in nanoseconds. Instants count from the beginning of the run. Numbers
 * are exact up to 2^53 ns, which is 104 days.
 */
export type Nanoseconds = number;

/** A length of time that an author gives, in seconds. */
export type Seconds = number;

/** One nanosecond, in seconds. */
export const NS = 1e-9;

/** The longest time that host calls take, in ns: the largest multiple of 2048 that fits the contract's u64. */
const LONGEST = 2 ** 64 - 2048;

/**
 * Converts a length in seconds to the nanoseconds that host calls take, in steps that give the same integer in every
 * language. Negative lengths become 0.
 *
 * @internal
 */
export function nanoseconds(seconds: Seconds): Nanoseconds {
  return Math.min(Math.max(Math.floor(seconds * 1e9 + 0.5), 0), LONGEST);
}
