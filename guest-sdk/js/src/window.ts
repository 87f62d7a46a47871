/** Windows: spans of a run whose time and energy are measured. */

import { meter } from "#host";
import { call } from "./error.js";
import { type Measurement, measurementFrom } from "./measurement.js";
import { type Quantity, quantityFrom } from "./quantity.js";
import { consume } from "./snapshot.js";
import type { Nanoseconds } from "./time.js";

/** One reading of the power of a device's power domain. */
export interface Sample {
  /** When the power was read. */
  readonly at: Nanoseconds;
  /** The device's id. */
  readonly device: string;
  /** The power domain within it. */
  readonly domain: string;
  /**
   * The power in W: the sensor's reading or, without a sensor, the counter's increase since the previous sample divided
   * by the time.
   */
  readonly power: Quantity;
}

/**
 * An open window, which measures time and energy until {@link close}. Windows may nest and overlap. A window that leaves
 * the scope of its `using` without being closed is discarded.
 *
 * ```ts
 * using window = Window.open("ten requests");
 * for (let round = 0; round < 10; round += 1) model.generate(request);
 * const measurement = window.close();
 * ```
 */
export class Window implements Disposable {
  private window: meter.Window | undefined;

  private constructor(window: meter.Window) {
    this.window = window;
  }

  /** Opens a window. The host waits until all device work has ended, then reads clock and counters. */
  static open(label: string): Window {
    return new Window(call(() => meter.Window.open(label)));
  }

  /**
   * Begins a new segment of the measurement. The host does not wait for device work. Throws `limit-reached` after 1,000
   * marks.
   */
  mark(label: string): void {
    call(() => this.resource().mark(label));
  }

  /**
   * Closes the window. The host waits until all device work has ended, reads counters and clock, and writes the
   * measurement to the record under the open phase. Throws if a device has failed. The window is recorded in that case
   * too.
   */
  close(): Measurement {
    const window = this.resource();
    this.window = undefined;
    return consume(call(() => meter.Window.close(window)), measurementFrom);
  }

  /**
   * Returns the power samples since a time, the oldest first. 0 means since the window opened. At most the newest 65,536
   * samples of each power domain are returned.
   */
  timeline(since: Nanoseconds = 0): Sample[] {
    return this.resource().timeline(since).map((one) => ({ ...one, power: quantityFrom(one.power) }));
  }

  /** Discards the window if it is open. */
  [Symbol.dispose](): void {
    this.window?.[Symbol.dispose]();
    this.window = undefined;
  }

  private resource(): meter.Window {
    if (this.window === undefined) throw new Error("the window is closed");
    return this.window;
  }
}
