
class Stopped extends Error {}

function quoted(text) {
  const escape = (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0");
  return '"' + text.replace(/["\\\u0000-\u001f]/g, escape) + '"';
}

const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

// Writes a value by the description of its type.
function written(kind, value) {
  if (kind === null || value === undefined || value === null) return "null";
  const [name, ...items] = typeof kind === "string" ? [kind] : kind;
  switch (name) {
    case "string": return quoted(value);
    case "bool": case "u8": case "u32": return String(value);
    case "u64": case "s64": return `"${value}"`;
    case "f32": case "f64": return `"${name}:${bits(name, value)}"`;
    case "list": return `[${Array.from(value, (one) => written(items[0], one)).join(",")}]`;
    case "tuple": return `[${items.map((item, at) => written(item, value[at])).join(",")}]`;
    case "option": return written(items[0], value);
    case "result": return value.tag === "ok"
      ? `{"ok":${written(items[0], value.val)}}` : `{"error":${written(items[1], value.val)}}`;
    case "record": return `{${items[0].map(([field, part]) => `"${field}":${written(part, value[camel(field)])}`).join(",")}}`;
    case "variant": {
      const part = items[0].find(([tag]) => tag === value.tag)[1];
      return part === null ? `"${value.tag}"` : `{"${value.tag}":${written(part, value.val)}}`;
    }
    case "enum": return `"${value}"`;
    default: return `"<${items[0]}>"`;
  }
}

function bits(name, value) {
  if (Number.isNaN(value)) return "nan";
  const view = new DataView(new ArrayBuffer(8));
  if (name === "f32") view.setFloat32(4, value);
  else view.setFloat64(0, value);
  const hex = (at) => view.getUint32(at).toString(16).padStart(8, "0");
  return name === "f32" ? hex(4) : hex(0) + hex(4);
}

// Makes a call, writes its answer and returns the result. Ends the case if the result is kept and is an error.
function answer(out, prefix, kind, call, times, keeps) {
  const isResult = kind !== null && kind[0] === "result";
  let answer, value;
  for (let count = 0; count < times; count += 1) {
    try {
      value = call();
      answer = isResult ? { tag: "ok", val: value } : value;
    } catch (error) {
      if (!isResult || error.payload === undefined) throw new Error(`${prefix} ${error} ${error.stack}`);
      answer = { tag: "err", val: error.payload };
    }
  }
  out.push(`${prefix}${written(kind, answer)}}\n`);
  if (keeps && isResult && answer.tag === "err") throw new Stopped();
  return value;
}

function utf8(text) {
  return typeof TextEncoder === "undefined"
    ? Uint8Array.from(unescape(encodeURIComponent(text)), (c) => c.charCodeAt(0))
    : new TextEncoder().encode(text);
}

export const script = {
  describe() {
    const about = new description.About("conformance", "0.1.0", "Calls every function of the contract.");
    const add = (name, summary, tag, val) => about.addParameter({ name, summary, default: { tag, val } });
    add("whole", "a whole number", "integer", -3);
    add("number", "a number", "number", 0.1);
    add("flag", "true or false", "boolean", true);
    add("text", "a text", "text", "h\u00e9llo \u{1f980}");
    about.addDataset({ name: "rows", summary: "the rows that are read", required: false });
    return about;
  },
  run() {
    const out = [];
    for (const one of CASES) {
      try {
        one(out);
      } catch (error) {
        if (!(error instanceof Stopped)) throw error;
      }
    }
    report.writeArtifact("answers.jsonl", utf8(out.join("")));
  },
};
