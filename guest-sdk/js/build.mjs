#!/usr/bin/env node
// Builds a component from an experiment or a policy in JavaScript or TypeScript. esbuild bundles the entry file with the
// SDK, and componentize-qjs makes a component of the bundle. Both are taken from the project's node_modules, then from
// the SDK's, then from the folder in LLEM_NODE_TOOLS, by default the one that scripts/tools/fetch-guest-tools fills.
//
// usage: llem-sdk-build ENTRY [--world experiment|warmup|workload|metrics] [--wit FOLDER] [-o FILE]

import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const sdk = dirname(fileURLToPath(import.meta.url));

/** The SDK's modules: compiled in the package, and sources in the repository. */
const modules = ["dist", "src"].map((name) => join(sdk, name)).find(existsSync);

/** The WIT package: inside of the package, and beside the SDKs in the repository. */
const contract = ["wit", "../../wit"].map((name) => join(sdk, name)).find(existsSync);

/** The folder whose node_modules has the tools where neither project nor SDK has them. */
const tools =
  process.env.LLEM_NODE_TOOLS || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "llem/tools/js");

/** Returns the path of a package's module as a module in this folder finds it, or `undefined`. */
function resolved(name, folder) {
  try {
    return createRequire(join(resolve(folder), "package.json")).resolve(name);
  } catch {
    return undefined;
  }
}

/** Loads a tool from the first place that has it. */
async function load(name, project) {
  const path = [project, sdk, tools].map((place) => resolved(name, place)).find(Boolean);
  if (path !== undefined) return await import(pathToFileURL(path).href);
  throw new Error(`${name} is not installed: run 'npm install --save-dev esbuild componentize-qjs' in ${project}`);
}

/** Bundles a module with the SDK. Returns the bundle, followed by its source map for the stacks of errors. */
async function bundle(entry, project) {
  const esbuild = await load("esbuild", project);
  const { outputFiles, metafile } = await esbuild.build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2023",
    external: ["llem:*"],
    // A project that has no SDK of its own is built with this one.
    alias: resolved("@llem/sdk/package.json", project) ? {} : { "@llem/sdk": modules },
    keepNames: true,
    sourcemap: "external",
    sourcesContent: false,
    metafile: true,
    outfile: join(project, "bundle.js"),
    absWorkingDir: project,
    write: false,
    logLevel: "silent",
  });
  const file = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).text;
  const { sources, mappings } = JSON.parse(file(".map"));
  const map = JSON.stringify({ sources: sources.map((source) => shortened(source, project)), mappings });
  // esbuild names each input in a comment. Its path depends on the machine, and the number of lines must stay.
  const inputs = new Set(Object.keys(metafile.inputs).map((path) => `// ${path}`));
  const lines = file(".js").split("\n").map((line) => (inputs.has(line) ? "//" : line));
  return `${lines.join("\n")}\nglobalThis[Symbol.for("llem.source-map")] = ${map};\n`;
}

/** Names sources of the SDK by their package, so that stacks do not depend on where it is installed. */
function shortened(source, project) {
  const ofSdk = relative(sdk, resolve(project, source));
  return /^(src|dist)\b/.test(ofSdk) ? `@llem/sdk/${ofSdk}` : source;
}

/** Returns where the bytes `text` begin in `bytes` and `holds` is true of the place. There must be one such place. */
function place(bytes, text, holds = () => true) {
  const found = [];
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) if (holds(at)) found.push(at);
  if (found.length === 1) return found[0];
  throw new Error(`this version of componentize-qjs is not known: ${text} is ${found.length} times in its runtime`);
}

/**
 * Makes borrowed handles of arguments ones that the SDK can drop.
 *
 * A component must drop the handles that a call lends it before the call returns. The runtime of componentize-qjs 0.4.5
 * drops them in the call's post-return function, which is too late, and refuses to dispose of them earlier. Its function
 * for owned handles has the same signature and allows it. So the runtime's export `wit_dylib_push_borrow` is made to be
 * the function of its export `wit_dylib_push_own`. An entry of the export section is the length of the name, the name,
 * a 0 for functions, and the index in LEB128, which has two bytes for the indices in question.
 */
function withDroppableBorrows(component) {
  const bytes = Buffer.from(component);
  const index = (name) => {
    const entry = Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([0])]);
    const isExport = (at) => bytes.toString("latin1", at - 3, at) !== "env" && (bytes[at + entry.length] & 0x80) !== 0;
    return place(bytes, entry, isExport) + entry.length;
  };
  const [borrow, own] = [index("wit_dylib_push_borrow"), index("wit_dylib_push_own")];
  if (((bytes[borrow + 1] | bytes[own + 1]) & 0x80) !== 0) throw new Error("this version of componentize-qjs is not known");
  bytes.copy(bytes, borrow, own, own + 2);
  return bytes;
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      world: { type: "string", default: "experiment" },
      wit: { type: "string", default: contract },
      output: { type: "string", short: "o" },
    },
  });
  const [entry] = positionals;
  if (entry === undefined || positionals.length > 1) throw new Error("usage: llem-sdk-build ENTRY [--world NAME] [-o FILE]");
  const project = dirname(resolve(entry));
  // In the repository the bindings are not there, or may be of an earlier contract.
  if (modules.endsWith("src")) execFileSync(process.execPath, [join(sdk, "tools/make-bindings.mjs"), resolve(values.wit)]);
  const { componentize } = await load("componentize-qjs", project);
  const jsSource = await bundle(resolve(entry), project);
  const output = values.output ?? basename(entry).replace(/\.\w+$/, ".wasm");
  const { component } = await componentize({ witPath: resolve(values.wit), jsSource, world: values.world, sync: true });
  // Only policies have arguments that are borrowed.
  writeFileSync(output, values.world === "experiment" ? component : withDroppableBorrows(component));
}

try {
  await main();
} catch (error) {
  console.error(`llem-sdk-build: ${error.message}`);
  process.exitCode = 1;
}
