/** Python's `random.Random`: arrivals and lengths that guidellm draws are drawn to the same digit. */

const [SIZE, MIDDLE] = [624, 397];

/** The generator MT19937 (Matsumoto and Nishimura, ACM TOMACS 8(1), 1998), seeded as Python seeds it. */
export class PythonRandom {
  /** @param {number} seed a whole number from 0 to 2^32 - 1 */
  constructor(seed) {
    this.state = new Uint32Array(SIZE);
    this.index = SIZE;
    this.gaussNext = undefined;
    seedByArray(this.state, seed);
  }

  /** Returns the next 32 random bits. */
  bits32() {
    if (this.index === SIZE) {
      twist(this.state);
      this.index = 0;
    }
    let y = this.state[this.index++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** `random()`: uniform in [0, 1), with 53 bits. */
  random() {
    const [high, low] = [this.bits32() >>> 5, this.bits32() >>> 6];
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** `expovariate(rate)`: exponential, of mean 1 / rate. */
  expovariate(rate) {
    return -Math.log(1 - this.random()) / rate;
  }

  /** `gauss(mean, deviation)`. Every second call uses the other half of the previous pair. */
  gauss(mean, deviation) {
    let z = this.gaussNext;
    this.gaussNext = undefined;
    if (z === undefined) {
      const angle = this.random() * 2 * Math.PI;
      const radius = Math.sqrt(-2 * Math.log(1 - this.random()));
      z = Math.cos(angle) * radius;
      this.gaussNext = Math.sin(angle) * radius;
    }
    return mean + z * deviation;
  }

  /** `randint(low, high)`, both ends included. At most 2^32 different numbers. */
  randint(low, high) {
    const width = high - low + 1;
    const shift = 32 - (32 - Math.clz32(width));
    let drawn = this.bits32() >>> shift;
    while (drawn >= width) drawn = this.bits32() >>> shift;
    return low + drawn;
  }
}

/** MT19937's `init_by_array` with a key of one word. */
function seedByArray(state, seed) {
  state[0] = 19650218;
  const mixed = (i, factor) => Math.imul(state[i] ^ (state[i] >>> 30), factor);
  for (let i = 1; i < SIZE; i++) state[i] = mixed(i - 1, 1812433253) + i;
  let i = 1;
  const next = () => {
    i += 1;
    if (i >= SIZE) [state[0], i] = [state[SIZE - 1], 1];
  };
  for (let round = 0; round < SIZE; round++, next()) state[i] = (state[i] ^ mixed(i - 1, 1664525)) + seed;
  for (let round = 1; round < SIZE; round++, next()) state[i] = (state[i] ^ mixed(i - 1, 1566083941)) - i;
  state[0] = 0x80000000;
}

function twist(state) {
  for (let i = 0; i < SIZE; i++) {
    const y = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
    state[i] = state[(i + MIDDLE) % SIZE] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
  }
}

/**
 * guidellm's `IntegerRangeSampler`: lengths around a mean. Without limits they are within five standard deviations, and
 * at least 1. With limits alone they are uniform.
 *
 * @param {{ average: number, stdev?: number, min?: number, max?: number }} range
 * @param {number} seed
 * @returns {() => number} draws the next length
 */
export function lengthsOf({ average, stdev = 0, min, max }, seed) {
  const random = new PythonRandom(seed);
  const low = min ?? Math.max(1, stdev > 0 ? average - 5 * stdev : average);
  const high = max ?? (stdev > 0 ? average + 5 * stdev : average);
  if (low === high) return () => low;
  if (stdev <= 0) return () => random.randint(low, high);
  return () => roundHalfEven(Math.max(low, Math.min(high, random.gauss(average, stdev))));
}

/** Python's `round`: halves go to the even neighbour. */
export function roundHalfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
