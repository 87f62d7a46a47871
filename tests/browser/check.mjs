// Opens reports in headless Chromium, and fails if a page has an error in its console, asks for anything over the network,
// lacks a chart, shows nothing on hover or by keyboard, has a serious fault by axe-core, is too large or too slow.
//
//   node tests/browser/check.mjs [--pictures FOLDER] PAGE...
//
// scripts/tools/fetch-browser fetches Chromium, playwright-core and axe-core.
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const FOLDER = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "llem/tools/browser");
const require = createRequire(join(FOLDER, "node_modules/"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// The most bytes of a page, and seconds until its first charts are drawn.
const MOST_BYTES = 20e6;
const MOST_SECONDS = 3;

const args = process.argv.slice(2);
const pictures = args[0] === "--pictures" ? (args.shift(), args.shift()) : null;
if (pictures) mkdirSync(pictures, { recursive: true });

const libraries = join(FOLDER, "root/usr/lib/x86_64-linux-gnu");
const browser = await chromium.launch({
  executablePath: join(FOLDER, "root/usr/lib/chromium/chromium"),
  args: ["--no-sandbox", "--disable-gpu"],
  env: { ...process.env, LD_LIBRARY_PATH: `${libraries}:${libraries}/pulseaudio` },
});

let failed = 0;
function expect(holds, what) {
  if (!holds) failed += 1;
  console.log(`  ${holds ? "ok" : "FAILED"}  ${what}`);
}

// Scrolls through the page until each chart in view has been drawn.
async function drawAll(page) {
  await page.evaluate(() => document.querySelectorAll(".fold").forEach((fold) => { fold.open = true; }));
  const count = await page.locator(".drawing").count();
  for (let at = 0; at < count; at += 1) {
    const place = page.locator(".drawing").nth(at);
    await place.scrollIntoViewIfNeeded();
    await page.waitForFunction((number) => document.querySelectorAll(".drawing")[number].dataset.drawn, at, { timeout: 10000 });
  }
  await page.evaluate(() => scrollTo(0, 0));
  return count;
}

async function open(path, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const [errors, requests] = [[], []];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => !/^(file|data|blob):/.test(request.url()) && requests.push(request.url()));
  const began = performance.now();
  await page.goto(pathToFileURL(resolve(path)).href);
  await page.waitForFunction(() => document.documentElement.dataset.ready);
  // The first chart is drawn, also if it is below the fold.
  if (await page.locator(".drawing").count()) {
    await page.locator(".drawing").first().scrollIntoViewIfNeeded();
    await page.waitForFunction(() => document.querySelector(".drawing[data-drawn]"), null, { timeout: 30000 });
  }
  return { context, page, errors, requests, seconds: (performance.now() - began) / 1000 };
}

async function checkHover(page) {
  const number = page.locator(".n").first();
  if (await number.count()) {
    await number.scrollIntoViewIfNeeded();
    await number.hover();
    expect((await page.locator("#tip").textContent()).length > 5, "hovering over a number shows what is known of it");
    await page.keyboard.press("Escape");
    await number.focus();
    expect(await page.locator("#tip").isVisible(), "focusing on a number shows it, too");
  }
  for (const kind of ["timeline", "plot", "bars"]) {
    const place = page.locator(`figure.${kind} .drawing`).first();
    if (!(await place.count())) continue;
    await place.scrollIntoViewIfNeeded();
    await place.focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    const said = await page.locator("#live").textContent();
    expect(said.length > 5, `the arrow keys walk through a ${kind}: ${said.slice(0, 70)}`);
    const box = await place.boundingBox();
    const inside = page.locator(`figure.${kind} .drawing`).first().locator("> div").nth(1);
    let text = "";
    for (let at = 1; at < 40 && !text; at += 1) {
      await page.mouse.move(box.x + (box.width * at) / 40, box.y + box.height * (kind === "plot" ? 0.3 + 0.6 * (1 - at / 40) : 0.5));
      await page.waitForTimeout(25);
      text = (await inside.count()) && (await inside.isVisible()) ? await inside.textContent() : "";
    }
    expect(kind === "plot" || text.length > 3, `hovering over a ${kind} shows its numbers: ${text.slice(0, 60)}`);
  }
}

for (const path of args) {
  const name = basename(path, ".html");
  console.log(path);
  const bytes = statSync(path).size;
  const { context, page, errors, requests, seconds } = await open(path, { viewport: { width: 1280, height: 900 } });
  expect(bytes < MOST_BYTES, `${(bytes / 1e6).toFixed(2)} MB`);
  expect(seconds < MOST_SECONDS, `opens in ${seconds.toFixed(2)} s`);
  const count = await drawAll(page);
  const empty = await page.evaluate(() => [...document.querySelectorAll(".drawing")].filter((place) => !place.querySelector("canvas, svg path")).length);
  expect(count > 0 && empty === 0, `${count} charts are drawn`);
  await checkHover(page);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  expect(wide, "nothing is wider than the page");
  if (pictures) await page.screenshot({ path: join(pictures, `${name}-light.png`), fullPage: true });
  await page.evaluate(axe);
  const faults = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const serious = faults.violations.filter((fault) => ["serious", "critical"].includes(fault.impact));
  for (const fault of faults.violations) console.log(`        axe ${fault.impact}: ${fault.id}: ${fault.nodes.length} × ${fault.nodes[0].html.slice(0, 140)}`);
  expect(serious.length === 0, "axe-core finds no serious fault");
  if (pictures) {
    await page.emulateMedia({ media: "print" });
    await page.pdf({ path: join(pictures, `${name}.pdf`), format: "A4", printBackground: true });
  }
  expect(errors.length === 0, `no errors in the console ${errors.slice(0, 3).join(" | ")}`);
  expect(requests.length === 0, `no request leaves the page ${requests.slice(0, 3)}`);
  await context.close();

  for (const [mode, options] of [
    ["dark", { viewport: { width: 1280, height: 900 }, colorScheme: "dark" }],
    ["narrow", { viewport: { width: 380, height: 800 } }],
  ]) {
    const other = await open(path, options);
    await drawAll(other.page);
    const fits = await other.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    expect(fits, `${mode}: nothing is wider than the page`);
    await other.page.evaluate(axe);
    const found = await other.page.evaluate(() => axe.run(document, { runOnly: ["color-contrast"] }));
    expect(found.violations.length === 0, `${mode}: colours have enough contrast`);
    expect(other.errors.length === 0, `${mode}: no errors ${other.errors.slice(0, 2)}`);
    if (pictures) await other.page.screenshot({ path: join(pictures, `${name}-${mode}.png`), fullPage: true });
    await other.context.close();
  }
}
await browser.close();
console.log(failed ? `${failed} failed` : "all passed");
process.exit(failed ? 1 : 0);
