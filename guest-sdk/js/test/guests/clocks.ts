/** Reports what the language's random numbers, clocks and locale say. */

import { About, Quantity, Random, experiment, report } from "@llem/sdk";

export const script = experiment({ about, run });

function about(): About {
  return new About("clocks", "0.1.0", "Random numbers, clocks and locale of the language");
}

function run(): void {
  const said = {
    random: [Math.random(), Math.random()],
    stream: new Random("Math.random").manyF64(2),
    now: [Date.now(), new Date().toISOString()],
    performance: [performance.now() >= 0, performance.now() < performance.now(), performance.timeOrigin],
    elapsed: performance.now(),
    zone: new Date(0).getTimezoneOffset(),
    date: new Date(0).toString(),
    locale: (1234567.891).toLocaleString(),
    sorted: ["b", "ä", "a", "Z"].sort((one, other) => one.localeCompare(other)),
  };
  console.log(JSON.stringify(said));
  console.warn("values", 1n, new Map([["a", 1]]), [1, Number.NaN], undefined, { deep: { er: true } });
  report.addMetric(Quantity.exact(Math.random(), "1", "derived").intoMetric("random"));
}
