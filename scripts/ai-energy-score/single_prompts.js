/**
 * Version 2 of the protocol: the runner of ai_energy_benchmarks. One window is around all prompts, which are run one by
 * one and sampled. There is no warm-up, and there are no phases.
 */

import { LlemError, Phase, Request, Window, meter, report } from "@llem/sdk";
import { mean } from "@llem/sdk/statistics";

import { energiesOf } from "./energies.js";

const SAMPLING = { temperature: 0.7, topP: 0.9, topK: 50 };

/** A run ends early after so many failures in a row. */
const MOST_FAILURES = 3;

/** Runs every prompt once. Returns the energies and the runner's summary. */
export function singlePrompts(model, texts, { maxNewTokens, chatArguments, isChat }) {
  const results = [];
  let failures = 0;
  using _ = Phase.begin("inference");
  using window = Window.open("inference");
  for (const [index, text] of texts.entries()) {
    report.showProgress(index, texts.length, "prompts");
    const result = inference(model, text, { maxNewTokens, chatArguments, isChat });
    results.push(result);
    failures = result.error === undefined ? 0 : failures + 1;
    if (failures === MOST_FAILURES) {
      throw new LlemError("failed", `${failures} prompts in a row failed. The last one: ${result.error}`);
    }
  }
  const measurement = window.close();
  return { energies: energiesOf(measurement), summary: summaryOf(results, measurement.wallTime * 1e-9), results };
}

/** Runs one prompt. Encoding it is a part of its latency. */
function inference(model, text, { maxNewTokens, chatArguments, isChat }) {
  const prompt = isChat ? { messages: [{ role: "user", content: text }], arguments: chatArguments } : text;
  const began = meter.now();
  try {
    const request = Request.fromPrompts([prompt], { label: "prompt", maxNewTokens, sampling: SAMPLING });
    const [completion] = model.generate(request).completions;
    return {
      latency: (meter.now() - began) * 1e-9,
      measuredTtft: completion.ttft(),
      promptTokens: completion.promptTokens,
      completionTokens: completion.tokens.length,
    };
  } catch (error) {
    if (!(error instanceof LlemError)) throw error;
    return { error: error.message };
  }
}

/**
 * Returns the runner's summary. Its time to first token is no measurement: it is the latency over the number of generated
 * tokens. `measured_time_to_first_token` is one.
 */
export function summaryOf(results, duration) {
  const done = results.filter(({ error }) => error === undefined);
  const total = (field) => done.reduce((sum, one) => sum + one[field], 0);
  const average = (values) => mean(values) ?? 0;
  const [promptTokens, completionTokens] = [total("promptTokens"), total("completionTokens")];
  return {
    total_prompts: results.length,
    successful_prompts: done.length,
    failed_prompts: results.length - done.length,
    total_duration_seconds: duration,
    avg_latency_seconds: average(done.map(({ latency }) => latency)),
    avg_time_to_first_token: average(done.map((one) => one.latency / one.completionTokens)),
    measured_time_to_first_token: mean(done.flatMap(({ measuredTtft }) => measuredTtft ?? [])) ?? null,
    total_tokens: promptTokens + completionTokens,
    total_prompt_tokens: promptTokens,
    total_completion_tokens: completionTokens,
    throughput_tokens_per_second: duration > 0 ? (promptTokens + completionTokens) / duration : 0,
  };
}
