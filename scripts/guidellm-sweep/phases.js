/** The measured part of a benchmark: guidellm's warm-up and cool-down (`TransientPhaseConfig`). */

/**
 * A phase. A number below 1 is a share of the whole, another one counts seconds or requests, by the mode.
 *
 * @typedef {object} Transient
 * @property {number | undefined} percent
 * @property {number | undefined} value
 * @property {"duration" | "requests" | "prefer_duration" | "prefer_requests" | "both"} mode
 */

export const MODES = ["duration", "requests", "prefer_duration", "prefer_requests", "both"];

/** @returns {Transient} */
export function transientOf(number, mode) {
  if (number <= 0) return { percent: undefined, value: undefined, mode };
  return { percent: number < 1 ? number : undefined, value: number < 1 ? undefined : number, mode };
}

/** The length of a phase in seconds and in requests. Both are `undefined` without a constraint that they refer to. */
export function limitsOf({ percent, value, mode }, maxRequests, maxSeconds) {
  let seconds;
  let requests;
  if (mode !== "requests" && maxSeconds !== undefined) {
    seconds = percent !== undefined ? percent * maxSeconds : value;
  }
  if (mode !== "duration" && maxRequests !== undefined) {
    const count = percent !== undefined ? percent * maxRequests : value;
    requests = count === undefined ? undefined : Math.trunc(count);
  }
  if (mode === "prefer_duration" && seconds !== undefined) requests = undefined;
  if (mode === "prefer_requests" && requests !== undefined) seconds = undefined;
  return { seconds, requests };
}

/**
 * The beginning and end of the measured part, in seconds. guidellm looks at the phases with each event of a request:
 * its start, its first token, its end. So do we, in the order of time; at one time ends come first, then earlier
 * requests.
 *
 * A warm-up of k requests is over when k + 1 have ended. The beginning is the start of the request whose event was the
 * last before one more ended. A cool-down of k requests begins at the end after which k + 1 remain.
 *
 * @param {{ start: number, first?: number, end: number }[]} requests
 * @param {{ start: number, stop: number, maxRequests?: number, maxSeconds?: number }} run `stop` is when it was over
 * @param {Transient} warmup
 * @param {Transient} cooldown
 */
export function measuredPart(requests, run, warmup, cooldown) {
  const before = limitsOf(warmup, run.maxRequests, run.maxSeconds);
  const after = limitsOf(cooldown, run.maxRequests, run.maxSeconds);
  let [warm, cold] = [undefined, undefined];
  let ended = 0;
  for (const { kind, request } of eventsOf(requests)) {
    if (kind === "end") ended += 1;
    if (before.requests !== undefined && ended === before.requests + 1) warm = request.start;
    const remaining = run.maxRequests === undefined ? undefined : Math.max(0, run.maxRequests - ended);
    if (kind === "end" && after.requests !== undefined && remaining === after.requests + 1) cold = request.end;
  }
  const warmUntil = before.seconds === undefined ? undefined : run.start + before.seconds;
  const coldFrom = after.seconds === undefined ? undefined : run.start + run.maxSeconds - after.seconds;
  return {
    measureStart: both(before, warm, warmUntil, Math.max) ?? run.start,
    measureEnd: both(after, cold, coldFrom, Math.min) ?? run.stop,
  };
}

/** If a phase has a length in seconds and one in requests, it counts only when the requests have been reached. */
function both(limits, byRequests, bySeconds, choose) {
  if (limits.requests === undefined) return bySeconds;
  if (byRequests === undefined || bySeconds === undefined) return byRequests;
  return choose(byRequests, bySeconds);
}

const ORDER = { end: 0, start: 1, first: 2 };

function eventsOf(requests) {
  const events = requests.flatMap((request) => [
    { kind: "start", at: request.start, request },
    ...(request.first === undefined ? [] : [{ kind: "first", at: request.first, request }]),
    { kind: "end", at: request.end, request },
  ]);
  return events.sort((a, b) => a.at - b.at || ORDER[a.kind] - ORDER[b.kind] || a.request.start - b.request.start);
}
