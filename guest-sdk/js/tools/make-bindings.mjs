// Writes src/host/contract.d.ts and src/host/component.ts: the types of the WIT package as componentize-qjs passes them
// to JavaScript, and the imports of its interfaces.
// usage: node tools/make-bindings.mjs [WIT-FOLDER]

import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const wit = process.argv[2] ?? join(here, "../../../wit");
const target = join(here, "../src/host");

const sources = readdirSync(wit).filter((name) => name.endsWith(".wit")).sort();
const text = sources.map((name) => readFileSync(join(wit, name), "utf8")).join("\n");
const version = /package llem:experiment@([^;]+);/.exec(text)[1];
const module = (name) => `llem:experiment/${name}@${version}`;

// Interfaces that a component imports from the host. The others are exports of policies and experiments.
const imported = /world host \{([^}]*)\}/.exec(text)[1].match(/import [\w-]+/g).map((line) => line.slice(7));

const camel = (name) => name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
const pascal = (name) => camel(`-${name}`);

/** Splits at commas outside of brackets. */
function parts(list) {
  const found = [];
  let depth = 0;
  let part = "";
  for (const character of list) {
    depth += "<({".includes(character) ? 1 : ">)}".includes(character) ? -1 : 0;
    if (character === "," && depth === 0) {
      found.push(part);
      part = "";
    } else {
      part += character;
    }
  }
  return [...found, part].map((one) => one.trim()).filter(Boolean);
}

const NUMBERS = /^([us](8|16|32|64)|f32|f64)$/;

/** Returns the TypeScript type of a WIT type. */
function type(name) {
  const generic = /^([\w-]+)<(.*)>$/s.exec(name);
  if (!generic) {
    if (NUMBERS.test(name)) return "number";
    return { bool: "boolean", string: "string", char: "string", _: "undefined" }[name] ?? pascal(name);
  }
  const given = parts(generic[2]);
  const inner = given.map(type);
  switch (generic[1]) {
    case "list":
      return given[0] === "u8" ? "Uint8Array" : `Array<${inner[0]}>`;
    case "option":
      return `${inner[0]} | null`;
    case "tuple":
      return `[${inner.join(", ")}]`;
    case "result":
      return `{ tag: "ok"; val: ${inner[0]} } | { tag: "err"; val: ${inner[1]} }`;
    case "own":
    case "borrow":
      return inner[0];
    default:
      throw new Error(`the WIT type '${name}' is not known`);
  }
}

/** Returns the parameters and the result of a function. A result's error is thrown. */
function signature(parameters, result) {
  const given = parts(parameters).map((one) => {
    const [, name, kind] = /^([\w-]+):\s*(.*)$/s.exec(one);
    return `${camel(name)}: ${type(kind)}`;
  });
  const thrown = /^result<(.*)>$/s.exec(result ?? "_");
  const value = thrown ? parts(thrown[1])[0] : result ?? "_";
  return `(${given.join(", ")}): ${value === "_" ? "void" : type(value)}`;
}

const FUNCTION = /^([\w-]+):\s*(static\s+)?func\((.*?)\)(?:\s*->\s*(.*))?$/s;

function resource(name, body) {
  const members = body.split(";").map((one) => one.trim()).filter(Boolean).map((member) => {
    const constructor = /^constructor\((.*)\)$/s.exec(member);
    if (constructor) return `constructor${signature(constructor[1]).replace(/: void$/, "")};`;
    const [, method, isStatic, parameters, result] = FUNCTION.exec(member);
    return `${isStatic ? "static " : ""}${camel(method)}${signature(parameters, result)};`;
  });
  return [`export class ${pascal(name)} {`, ...members.map((one) => `  ${one}`), "  [Symbol.dispose](): void;", "}"];
}

/** Returns the declarations of an interface. */
function declarations(body) {
  const lines = [];
  let rest = body.trim();
  while (rest) {
    const block = /^(record|variant|enum|resource)\s+([\w-]+)\s*(?:;|\{(.*?)\n {4}\}|\{([^}]*)\})/s.exec(rest);
    const line = /^([^;]*);/s.exec(rest);
    if (block && block.index === 0) {
      const [whole, kind, name, long, short] = block;
      const inside = long ?? short ?? "";
      rest = rest.slice(whole.length).trim();
      if (kind === "resource") lines.push(...resource(name, inside));
      const items = kind === "resource" ? [] : parts(inside);
      if (kind === "record") {
        const fields = items.map((one) => /^([\w-]+):\s*(.*)$/s.exec(one));
        lines.push(`export interface ${pascal(name)} {`);
        lines.push(...fields.map(([, field, kind]) => `  ${camel(field)}: ${type(kind)};`), "}");
      } else if (kind === "enum") {
        lines.push(`export type ${pascal(name)} = ${items.map((one) => `"${one}"`).join(" | ")};`);
      } else if (kind === "variant") {
        const cases = items.map((one) => /^([\w-]+)(?:\((.*)\))?$/s.exec(one));
        const union = cases.map(([, tag, kind]) => `{ tag: "${tag}"${kind ? `; val: ${type(kind)}` : ""} }`);
        lines.push(`export type ${pascal(name)} = ${union.join(" | ")};`);
      }
      continue;
    }
    rest = rest.slice(line[0].length).trim();
    const use = /^use\s+([\w-]+)\.\{(.*)\}$/s.exec(line[1]);
    const alias = /^type\s+([\w-]+)\s*=\s*(.*)$/s.exec(line[1]);
    const call = FUNCTION.exec(line[1]);
    if (use) {
      lines.push(`import type { ${parts(use[2]).map(pascal).join(", ")} } from "${module(use[1])}";`);
    } else if (alias) {
      lines.push(`export type ${pascal(alias[1])} = ${type(alias[2])};`);
    } else if (call) {
      lines.push(`export function ${camel(call[1])}${signature(call[3], call[4])};`);
    }
  }
  return lines;
}

const plain = text.replace(/\/\/.*$/gm, "");
const interfaces = [...plain.matchAll(/^interface ([\w-]+) \{(.*?)^\}/gms)].filter(([, name]) => imported.includes(name));
const head = "// Written by tools/make-bindings.mjs from the WIT package.\n\n";
const contract = interfaces.map(([, name, body]) => {
  const lines = declarations(body).map((line) => `  ${line}`);
  return `declare module "${module(name)}" {\n${lines.join("\n")}\n}\n`;
});

/** Writes a file unless it has this content, and never half of it, because several builds may do so at a time. */
function write(name, content) {
  const path = join(target, name);
  if (existsSync(path) && readFileSync(path, "utf8") === content) return;
  writeFileSync(`${path}.${process.pid}`, content);
  renameSync(`${path}.${process.pid}`, path);
}

write("contract.d.ts", head + contract.join("\n"));
// An interface of types alone is no module at run time.
const kind = (body) => (/\bfunc\b|\bresource\b/.test(body) ? "" : "type ");
const exports = interfaces.map(([, name, body]) => `export ${kind(body)}* as ${camel(name)} from "${module(name)}";\n`);
const flag = "\n/** Whether this code runs in a component. */\nexport const isComponent: boolean = true;\n";
write("component.ts", `${head}/// <reference path="./contract.d.ts" />\n\n${exports.join("")}${flag}`);
