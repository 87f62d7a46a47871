/** The profile in the words and layout that DeepSpeed prints (`print_model_profile`). */

import { type Count, type Implementation, type Pass, type Tool, countOf, plus } from "./conventions.js";
import type { Module } from "./modules.js";

/** A module with the modules within it. Sums are over the whole subtree, in which a tied LM head has its parameters. */
interface Node {
  readonly name: string;
  className: string;
  params: number;
  count: Count;
  readonly children: Map<string, Node>;
}

/** The numbers of the head of the profile. Times are in s. */
export interface Summary {
  readonly params: number;
  readonly count: Count;
  readonly latency: number | undefined;
  readonly modelParallelSize: number;
}

/** Formats a number as DeepSpeed does: two digits after the point, and a unit of three powers of ten. */
export function numberToString(value: number): string {
  const [magnitude, unit] =
    value >= 1e12 ? [1e12, "T"]
    : value >= 1e9 ? [1e9, "G"]
    : value >= 1e6 ? [1e6, "M"]
    : value >= 1e3 ? [1e3, "K"]
    : value >= 1 || value === 0 ? [1, ""]
    : value >= 1e-3 ? [1e-3, "m"]
    : [1e-6, "u"];
  return `${Number(Number((value / (magnitude as number)).toFixed(2)).toPrecision(6))} ${unit}`;
}

const paramsToString = (value: number) => numberToString(value).replace("G", "B").trim();

/** Returns the classes of modules that only hold others, by their names. */
function containerClass(path: string, prefix: string, root: string): string {
  if (path === "") return root;
  const layer = { GPT2: "GPT2Block", GPTNeoX: "GPTNeoXLayer" }[prefix] ?? `${prefix}DecoderLayer`;
  if (/\.\d+$/.test(path)) return layer;
  if (/\.(layers|h)$/.test(path)) return "ModuleList";
  if (/\.mlp$/.test(path)) return `${prefix}MLP`;
  return `${prefix}${prefix === "Gemma3" ? "Text" : ""}Model`;
}

/** Builds the tree of modules, with what the tool counts in a pass. */
export function treeOf(
  modules: readonly Module[],
  { prefix, root, total }: { prefix: string; root: string; total: number },
  tool: Tool,
  pass: Pass,
  how: Implementation,
): Node {
  const node = (name: string, className: string): Node => {
    return { name, className, params: 0, count: { flops: 0, macs: 0 }, children: new Map() };
  };
  const top = node("", root);
  for (const module of modules) {
    const count = countOf(tool, module, pass, how);
    let at = top;
    const names = module.path.split(".");
    names.forEach((name, depth) => {
      const path = names.slice(0, depth + 1).join(".");
      const next = at.children.get(name) ?? node(name, containerClass(path, prefix, root));
      at.children.set(name, next);
      at = next;
      at.params += module.params;
      at.count = plus(at.count, count);
    });
    at.className = module.className;
    top.count = plus(top.count, count);
  }
  // The parameters of the whole are those of the model: a tied LM head is no second matrix.
  top.params = total;
  return top;
}

const percent = (part: number, whole: number) => (whole > 0 ? Number(((100 * part) / whole).toFixed(2)) : 0);

/** Formats the tree as PyTorch prints a module. Equal modules of a list are one line, as in PyTorch. */
export function detailedProfile(top: Node, depth = Infinity): string {
  const lines = (node: Node, level: number): string[] => {
    const items = [
      `${paramsToString(node.params)} = ${percent(node.params, top.params)}% Params`,
      `${numberToString(node.count.macs)}MACs = ${percent(node.count.macs, top.count.macs)}% MACs`,
      `${numberToString(node.count.flops)}flops = ${percent(node.count.flops, top.count.flops)}% flops`,
    ].join(", ");
    const children = level < depth ? [...node.children.values()] : [];
    if (children.length === 0) return [`${node.className}(${items})`];
    const shown = children.map((child) => ({ first: child.name, last: child.name, lines: lines(child, level + 1) }));
    const grouped: typeof shown = [];
    for (const child of shown) {
      const before = grouped.at(-1);
      const isSame = before !== undefined && /^\d+$/.test(child.first) && before.lines.join() === child.lines.join();
      if (isSame) before.last = child.last;
      else grouped.push(child);
    }
    const within = grouped.flatMap(({ first, last, lines: [head = "", ...rest] }) => {
      const count = Number(last) - Number(first) + 1;
      const label = first === last ? `(${first}): ${head}` : `(${first}-${last}): ${count} x ${head}`;
      return [label, ...rest];
    });
    return [`${node.className}(`, ...[items, ...within].map((line) => `  ${line}`), ")"];
  };
  return lines(top, 0).join("\n");
}

/** Lists the classes with the most parameters and MACs at each depth (`print_model_aggregated_profile`). */
export function aggregatedProfile(top: Node, topModules: number, depth: number): string {
  const levels: Array<Map<string, { macs: number; params: number }>> = [];
  const walk = (node: Node, level: number) => {
    const classes = (levels[level] ??= new Map());
    const sum = classes.get(node.className) ?? { macs: 0, params: 0 };
    classes.set(node.className, { macs: sum.macs + node.count.macs, params: sum.params + node.params });
    for (const child of node.children.values()) walk(child, level + 1);
  };
  walk(top, 0);
  // The innermost level is not printed, as in DeepSpeed.
  const shown = depth === -1 ? levels.length - 1 : Math.min(depth, levels.length);
  const lines = levels.slice(0, shown).flatMap((classes, level) => {
    const best = (of: "macs" | "params", format: (value: number) => string) => {
      const sorted = [...classes].sort(([, one], [, other]) => other[of] - one[of]).slice(0, topModules);
      return `{${sorted.map(([name, sum]) => `'${name}': '${format(sum[of])}'`).join(", ")}}`;
    };
    return [
      `depth ${level}:`,
      `    params      - ${best("params", paramsToString)}`,
      `    MACs        - ${best("macs", (value) => `${numberToString(value)}MACs`)}`,
      "    fwd latency - not measured by module",
    ];
  });
  const head = `Top ${topModules} modules in terms of params, MACs or fwd latency at different model depths:`;
  return [head, ...lines].join("\n");
}

/** Formats the head of the profile. A latency that was not measured is left out, and what is divided by it. */
export function summaryText({ params, count, latency, modelParallelSize: size }: Summary): string {
  const line = (text: string, value: string) => `${text.padEnd(70)}  ${value}`;
  return [
    line("params per GPU: ", size === 1 ? paramsToString(params) : "not known for a split model"),
    line("params of model = params per GPU * mp_size: ", paramsToString(params)),
    line("fwd MACs per GPU: ", `${numberToString(count.macs / size)}MACs`),
    line("fwd flops per GPU: ", numberToString(count.flops / size)),
    line("fwd flops of model = fwd flops per GPU * mp_size: ", numberToString(count.flops)),
    ...(latency === undefined
      ? []
      : [
          line("fwd latency: ", `${numberToString(latency)}s`),
          line(
            "fwd FLOPS per GPU = fwd flops per GPU / fwd latency: ",
            `${numberToString(count.flops / size / latency)}FLOPS`,
          ),
        ]),
  ].join("\n");
}
