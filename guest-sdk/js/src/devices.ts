/** The devices of the machine: their properties and their current state. */

import { devices } from "#host";
import { call } from "./error.js";
import { type Reading, type Source, Unavailable, readingFrom } from "./quantity.js";
import { consume, snapshot } from "./snapshot.js";
import type { Nanoseconds } from "./time.js";

/** A number format of weights, activations or cached keys and values. Later versions of the contract may add formats. */
export type Dtype = "f32" | "bf16" | "f16" | (string & {});

/** A device's peak rate of dense matrix products in one number format. */
export interface Peak {
  /** The number format. */
  readonly dtype: Dtype;
  /** The peak rate in FLOP/s. A multiply-add counts as two operations, and sparsity is not used. */
  readonly rate: Reading;
}

/** The peak rates of a device. */
export interface Peaks {
  /** The origin of the rates: a datasheet, or what was measured and when. */
  readonly origin: string;
  /** The peak rate of matrix products in each number format. */
  readonly products: readonly Peak[];
  /** Memory bandwidth, in By/s. */
  readonly bandwidth: Reading;
}

/** One device of this machine. */
export interface Device {
  /** The device's id in load options and measurements: `cpu`, `cuda:0`. */
  readonly id: string;
  /** The kind of hardware: `cpu` (the processor and its memory), `cuda` (an NVIDIA GPU). */
  readonly kind: string;
  /** The vendor's name for the device. */
  readonly name: string;
  /** A unique identifier, if the device has one. */
  readonly uuid: string | undefined;
  /** The size of the device's memory, in bytes, if it can be read. */
  readonly memoryBytes: number | undefined;
  /** The CUDA compute capability: major and minor version. */
  readonly computeCapability: readonly [major: number, minor: number] | undefined;
  /** The peaks in the vendor's datasheet, or the reason why they are not known. */
  readonly datasheetPeaks: Peaks | Unavailable;
  /** The peaks that `llem doctor --peaks` last measured on this device, or the reason why there are none. */
  readonly measuredPeaks: Peaks | Unavailable;
  /** The source of the device's energy, or the reason why its energy is not measured and what to run to change that. */
  readonly energySource: Source | Unavailable;
  /** Remarks that a reader of the device's numbers must know, such as that MIG is on. */
  readonly notes: readonly string[];
}

/** The state of a device at one moment. */
export interface DeviceState {
  /** When the state was read. */
  readonly at: Nanoseconds;
  /** Power draw, in W. */
  readonly power: Reading;
  /** Temperature, in Cel. */
  readonly temperature: Reading;
  /** Clock of the cores (SM clock on a GPU), in MHz. */
  readonly coreClock: Reading;
  /** Clock of the memory, in MHz. */
  readonly memoryClock: Reading;
  /** The share of its last sampling period in which the device was busy, from 0 to 100 %. */
  readonly utilisation: Reading;
  /** Memory in use by all processes on the device, in By. */
  readonly memoryUsed: Reading;
  /** The rate of bytes sent and received over PCIe in the last 40 ms, in By/s. */
  readonly pcie: Reading;
  /** The reasons why the clocks are throttled now, in NVML's words. Empty if they are not throttled. */
  readonly throttleReasons: readonly string[];
}

/** Returns every device of this machine, the CPU first. */
export function listDevices(): Device[] {
  return devices.listDevices().map((device) => consume(device, deviceFrom));
}

/** Returns the device of this id. Throws `not-found` if there is none. */
export function findDevice(id: string): Device {
  return consume(call(() => devices.findDevice(id)), deviceFrom);
}

/**
 * Reads the current state of a device, which takes 40 ms on a GPU. Throws `not-found` if no device has this id, and
 * `failed` if the device has been lost.
 */
export function readState(id: string): DeviceState {
  return consume(call(() => devices.findDevice(id)), (device) => consume(call(() => device.read()), stateFrom));
}

/** Calls a function of the host whose error is a sentence. Such an error is thrown with the sentence as `payload`. */
function orUnavailable<T>(host: () => T): T | Unavailable {
  try {
    return host();
  } catch (thrown) {
    const reason = (thrown as { payload?: unknown }).payload;
    if (typeof reason !== "string") throw thrown;
    return new Unavailable(reason);
  }
}

function peaksFrom({ origin, products, bandwidth }: devices.Peaks): Peaks {
  const rates = products.map(({ dtype, rate }) => ({ dtype, rate: readingFrom(rate) }));
  return { origin, products: rates, bandwidth: readingFrom(bandwidth) };
}

function deviceFrom(device: devices.Device): Device {
  return {
    ...snapshot(device, ["id", "kind", "name", "uuid", "memoryBytes", "computeCapability", "notes"]),
    datasheetPeaks: orUnavailable(() => peaksFrom(device.datasheetPeaks())),
    measuredPeaks: orUnavailable(() => peaksFrom(device.measuredPeaks())),
    energySource: orUnavailable(() => device.energySource()),
  };
}

function stateFrom(state: devices.State): DeviceState {
  return {
    at: state.at(),
    power: readingFrom(state.power()),
    temperature: readingFrom(state.temperature()),
    coreClock: readingFrom(state.coreClock()),
    memoryClock: readingFrom(state.memoryClock()),
    utilisation: readingFrom(state.utilisation()),
    memoryUsed: readingFrom(state.memoryUsed()),
    pcie: readingFrom(state.pcie()),
    throttleReasons: state.throttleReasons(),
  };
}
