/** The prompts: a column of a dataset, or a few that are built in. */

import { LlemError, parameter, textsIfGranted } from "@llem/sdk";

const BUILT_IN = [
  "The river rises in the hills north of the town, and reaches the sea after ninety kilometres.",
  "How do I keep bread fresh for a week without a freezer?",
  "The committee met on Tuesday to discuss the budget of the library, the repair of the bridge and the new bus line.",
  "Write a short letter to a neighbour whose dog barks at night.",
];

/** Returns at most `count` texts. As in the benchmark, the first rows are taken, without empty ones. */
export function texts(count) {
  const given = textsIfGranted("prompts", "prompt-column") ?? BUILT_IN;
  const taken = [];
  for (const text of given) {
    if (taken.length === count) break;
    if (text !== "") taken.push(text);
  }
  if (taken.length === 0) throw LlemError.invalidArgument("the dataset 'prompts' has no texts");
  return taken;
}

/** Returns a function that encodes a text, with at most `most` tokens. Without a tokenizer each byte is a token. */
export function encoder(model, most) {
  if (!model.info().hasTokenizer) return (text) => bytesOf(text).slice(0, most);
  const tokenizer = model.tokenizer();
  return (text) => tokenizer.encode(text, true).slice(0, most);
}

/** Returns the UTF-8 bytes of a text. QuickJS has no `TextEncoder`. */
export function bytesOf(text) {
  const escaped = encodeURIComponent(text).match(/%..|[^%]/g) ?? [];
  return escaped.map((one) => (one.length > 1 ? Number.parseInt(one.slice(1), 16) : one.charCodeAt(0)));
}

/** Returns the arguments of the chat template, which a parameter holds as JSON. */
export function chatArguments() {
  const text = parameter("chat-arguments", String);
  if (text === "") return {};
  try {
    const parsed = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch {
    // Refused below, as other JSON is.
  }
  throw LlemError.invalidArgument(`chat-arguments is '${text}': give a JSON object such as {"enable_thinking": false}`);
}

/** Returns whether reasoning is on with these arguments, by the benchmark's rule (`is_reasoning_enabled`). */
export function isReasoning({ enable_thinking, reasoning, reasoning_effort, ...others }) {
  if (enable_thinking === false || reasoning === false || reasoning_effort === "off") return false;
  return [enable_thinking, reasoning, reasoning_effort, ...Object.values(others)].some((value) => value !== undefined);
}
