/** guidellm's numbers of one request (`GenerativeRequestStats`). Times are in seconds, latencies as their names say. */

/**
 * What is known of a request.
 *
 * @typedef {object} RequestRecord
 * @property {number} index its position among all requests of the benchmark, from 0
 * @property {"successful" | "incomplete"} status
 * @property {number} targeted when its strategy wanted it to start
 * @property {number} start when it was sent, or arrived
 * @property {number[]} tokens when each of its tokens was on the host
 * @property {number | undefined} end when it was complete
 * @property {number} resolveEnd the same, or when it was cancelled
 * @property {number} promptTokens
 */

/** The numbers of a request. What cannot be computed is undefined. */
export class RequestStats {
  /** @param {RequestRecord} record */
  constructor(record) {
    Object.assign(this, record);
    /** guidellm counts the tokens of a cancelled request by their chunks; without any the number is unknown. */
    this.outputTokens = record.status === "successful" ? record.tokens.length : record.tokens.length || undefined;
    this.first = record.tokens[0];
    this.last = record.tokens.at(-1);
    this.iterations = record.tokens.length;
  }

  /** The end of a complete request, or when it was cancelled. */
  get requestEnd() {
    return this.end ?? this.resolveEnd;
  }

  /** s */
  get latency() {
    return this.end === undefined ? undefined : this.end - this.start;
  }

  /** s, from the targeted start. */
  get dispatchDelay() {
    return this.start - this.targeted;
  }

  /** s, from the targeted start. */
  get scheduledLatency() {
    return this.end === undefined ? undefined : this.end - this.targeted;
  }

  get totalTokens() {
    return this.promptTokens + (this.outputTokens ?? 0);
  }

  /** ms */
  get ttft() {
    return this.first === undefined ? undefined : 1000 * (this.first - this.start);
  }

  /** ms for each output token, with the time to the first one in it: not vLLM's TPOT. */
  get tpot() {
    return this.outputTokens ? (1000 * ((this.last ?? this.requestEnd) - this.start)) / this.outputTokens : undefined;
  }

  /** ms for each output token after the first: vLLM's TPOT. */
  get itl() {
    if (this.first === undefined || !(this.outputTokens > 1)) return undefined;
    return (1000 * (this.last - this.first)) / (this.outputTokens - 1);
  }

  /** {token}/s */
  get outputTokensPerSecond() {
    return this.latency && this.outputTokens !== undefined ? this.outputTokens / this.latency : undefined;
  }

  /** {token}/s, prompt and output. */
  get tokensPerSecond() {
    return this.latency ? this.totalTokens / this.latency : undefined;
  }

  get tokensPerIteration() {
    return this.outputTokens !== undefined && this.iterations >= 1 ? this.outputTokens / this.iterations : undefined;
  }

  get laterTokensPerIteration() {
    return this.outputTokens > 1 && this.iterations > 1 ? (this.outputTokens - 1) / (this.iterations - 1) : undefined;
  }

  /** When the prompt counts in rates, and its tokens. */
  get promptTiming() {
    return [this.first ?? this.requestEnd, this.promptTokens];
  }

  /** When output tokens count in rates: the later ones at equal distances between the first and the last. */
  get outputTimings() {
    if (this.first === undefined || this.iterations <= 1) {
      return [[this.last ?? this.requestEnd, this.outputTokens ?? 0]];
    }
    return [[this.first, this.outputTokens ? 1 : 0], ...this.laterTimings];
  }

  get laterTimings() {
    const each = this.laterTokensPerIteration;
    if (each === undefined) return [];
    const step = (this.last - this.first) / (this.iterations - 1);
    return Array.from({ length: this.iterations - 1 }, (_, at) => [
      at === this.iterations - 2 ? this.last : (at + 1) * step + this.first,
      each,
    ]);
  }
}

/**
 * Whether a request meets its objectives, in ms. `undefined` if one of them cannot be computed. `tpot` is guidellm's
 * inter-token latency.
 *
 * @param {{ ttft?: number, tpot?: number, e2el?: number }} objectives
 * @param {RequestStats} request
 */
export function isConforming(objectives, request) {
  const latency = request.latency === undefined ? undefined : request.latency * 1000;
  const measured = { ttft: request.ttft, tpot: request.itl, e2el: latency };
  const asked = Object.entries(objectives).filter(([, limit]) => limit !== undefined);
  if (asked.some(([name]) => measured[name] === undefined)) return undefined;
  return asked.every(([name, limit]) => measured[name] <= limit);
}
