// The templates: their types, and that both languages have the same code.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";

const tools = process.env.LLEM_NODE_TOOLS;
const require = createRequire(join(tools, "package.json"));

test("the TypeScript templates have no errors of types", () => {
  const tsc = require.resolve("typescript/lib/tsc.js");
  const types = ["--typeRoots", join(tools, "node_modules/@types")];
  for (const kind of readdirSync("template-ts")) {
    const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", `template-ts/${kind}`, ...types], { encoding: "utf8" });
    assert.equal(status, 0, stdout);
  }
});

test("the templates of both languages differ in their types only", async () => {
  const esbuild = require("esbuild");
  let compared = 0;
  for (const kind of readdirSync("template-ts")) {
    for (const name of readdirSync(`template-ts/${kind}`).filter((name) => name.endsWith(".ts"))) {
      const plain = async (folder, file) => {
        const loader = file.endsWith(".ts") ? "ts" : "js";
        const code = readFileSync(join(folder, kind, file), "utf8");
        return (await esbuild.transform(code, { loader, minifyWhitespace: true, target: "es2022" })).code;
      };
      const script = name.replace(/ts$/, "js");
      assert.equal(await plain("template", script), await plain("template-ts", name), `${kind}/${script}`);
      compared += 1;
    }
  }
  assert.equal(compared, 8);
});
