// The decoder of source maps against Node's, on a map that esbuild writes.

import assert from "node:assert/strict";
import { createRequire, SourceMap } from "node:module";
import { join } from "node:path";
import { test } from "node:test";

import { sourcePosition } from "../node_modules/@llem/sdk/dist/source-map.js";

const esbuild = createRequire(join(process.env.LLEM_NODE_TOOLS, "package.json"))("esbuild");

test("positions are the ones that Node finds", async () => {
  const { outputFiles } = await esbuild.build({
    entryPoints: ["template-ts/experiment/first_experiment.ts"],
    bundle: true,
    external: ["llem:*"],
    platform: "neutral",
    sourcemap: "external",
    outfile: "bundle.js",
    write: false,
  });
  const [map, code] = outputFiles.map(({ text }) => text);
  const payload = JSON.parse(map);
  const peer = new SourceMap(payload);
  let compared = 0;
  for (const [line, text] of code.split("\n").entries()) {
    for (let column = 0; column < text.length; column += 41) {
      const { originalSource, originalLine, originalColumn, generatedLine } = peer.findEntry(line, column);
      const found = sourcePosition(payload, line + 1, column + 1);
      // Node goes back to an earlier line where a line has no segment at or before the column.
      if (generatedLine !== line) continue;
      assert.deepEqual(found, { source: originalSource, line: originalLine + 1, column: originalColumn + 1 });
      compared += 1;
    }
  }
  assert.ok(compared > 500, `${compared} positions`);
});
