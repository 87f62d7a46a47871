// Opens reports in headless Chromium, and fails if a page has an error or warning in its console, asks for anything over the network,
// lacks a chart, shows nothing on hover or by keyboard, hides something that cannot be unfolded or printed, has a serious fault by
// axe-core, is too large, too long or too slow.
//
//   node tests/browser/check.mjs [--pictures FOLDER] PAGE...
//
// tests/browser/run makes the pages. scripts/tools/fetch-browser fetches Chromium, playwright-core and axe-core.
import { AsyncLocalStorage } from "node:async_hooks";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const FOLDER = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "llem/tools/browser");
const require = createRequire(join(FOLDER, "node_modules/"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// The most bytes of a page, seconds until its first chart is drawn, and pixels of its height before anything is unfolded.
const MOST = { bytes: 20e6, seconds: 3, height: 12000 };
// A record of 60 MB that nobody wants to read may take longer, and is long.
const MOST_OF = { hostile: { ...MOST, seconds: 5, height: 40000 } };
// A page that shows nothing after this time, in ms, never will. A machine with much other work may take most of it.
const WATCHDOG = 120000;
// axe-core does not end on this page within minutes.
const WITHOUT_AXE = ["hostile.html"];

const WIDE = { viewport: { width: 1280, height: 900 } };
const DARK = { ...WIDE, colorScheme: "dark" };
const NARROW = { viewport: { width: 390, height: 844 } };
// The width of A4 between the page's margins, at 96 pixels an inch.
const PAPER = { width: 688, height: 1000 };

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
// The lines of the page that is checked. They are printed together, because two pages are checked at a time.
const reports = new AsyncLocalStorage();
const say = (line) => reports.getStore().push(line);

function expect(holds, what) {
  if (!holds) failed += 1;
  say(`  ${holds ? "ok" : "FAILED"}  ${what}`);
}

// Waits until `predicate` holds in the page, and returns what it returned, or a false value if it never holds. The page draws
// when it gets a processor, so nothing else may say how long that takes.
async function once(page, predicate, argument) {
  return page.waitForFunction(predicate, argument).then((held) => held.jsonValue(), () => false);
}

async function open(path, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(WATCHDOG);
  const [errors, requests] = [[], []];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => !/^(file|data|blob):/.test(request.url()) && requests.push(request.url()));
  const began = performance.now();
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.goto(pathToFileURL(resolve(path)).href);
  await page.waitForFunction(() => document.documentElement.dataset.ready);
  // The first chart is drawn, also if it is below the first screen.
  if (await page.locator(".drawing").count()) {
    await page.locator(".drawing").first().scrollIntoViewIfNeeded();
    await page.waitForFunction(() => document.querySelector(".drawing[data-drawn]"));
  }
  const waited = (performance.now() - began) / 1000;
  const { metrics } = await session.send("Performance.getMetrics");
  const worked = metrics.find(({ name }) => name === "TaskDuration").value;
  return { context, page, errors, requests, waited, worked };
}

// Unfolds everything, and scrolls through the page until each chart has been drawn. Returns the number of charts, and of those that
// are empty.
async function drawAll(page) {
  await page.evaluate(() => document.querySelectorAll(".fold").forEach((fold) => { fold.open = true; }));
  return page.evaluate(async (most) => {
    const places = [...document.querySelectorAll(".drawing")];
    const began = performance.now();
    for (const place of places) {
      place.scrollIntoView({ block: "center" });
      while (!place.dataset.drawn && performance.now() - began < most) await new Promise(requestAnimationFrame);
    }
    scrollTo(0, 0);
    const empty = places.filter((place) => !place.querySelector("canvas, svg path"));
    return { count: places.length, empty: empty.length };
  }, WATCHDOG);
}

// A pixel of a chart at which its tooltip has numbers.
function pixelOfNumbers(place) {
  const instance = echarts.getInstanceByDom(place);
  const { series } = instance.getOption();
  const [first] = series.filter(({ data, type }) => data?.length && type !== "custom");
  const at = Math.floor(first.data.length / 2);
  const value = first.data[at]?.value ?? first.data[at];
  const point = first.type === "bar" ? [value / 2, at] : value;
  return instance.convertToPixel({ seriesIndex: series.indexOf(first) }, point);
}

// The text of a chart's visible tooltips. Without one it is empty.
function tooltipOf(place) {
  const tips = [...place.children].filter((child) => !child.querySelector("canvas, svg"));
  return tips.filter((tip) => getComputedStyle(tip).visibility === "visible").map((tip) => tip.textContent).join(" ");
}

async function checkCharts(page) {
  await page.evaluate(`window.tooltipOf = ${tooltipOf}`);
  for (const kind of ["timeline", "plot", "bars"]) {
    const place = page.locator(`figure.${kind} .drawing`).first();
    if (!(await place.count())) continue;
    await place.scrollIntoViewIfNeeded();
    await place.focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    const said = await page.locator("#live").textContent();
    expect(said.length > 5, `the arrow keys walk through a ${kind}: ${said.slice(0, 70)}`);
    await place.blur();
    // The keys have shown a tooltip, too. It is not taken for the mouse's.
    const element = await place.elementHandle();
    expect(await once(page, (of) => tooltipOf(of) === "", element), `a ${kind} without focus has no tooltip`);
    const [x, y] = await place.evaluate(pixelOfNumbers);
    const box = await place.boundingBox();
    await page.mouse.move(box.x + x - 3, box.y + y);
    await page.mouse.move(box.x + x, box.y + y);
    const shown = await once(page, (of) => /\d/.test(tooltipOf(of)) && tooltipOf(of), element);
    expect(shown, `hovering over a ${kind} shows its numbers: ${String(shown).slice(0, 70)}`);
  }
}

async function checkNumbers(page) {
  const number = page.locator(".n:visible").first();
  if (!(await number.count())) return;
  await number.scrollIntoViewIfNeeded();
  await number.hover();
  const isTold = await once(page, () => document.getElementById("tip").textContent.length > 5);
  expect(isTold, "hovering over a number shows what is known of it");
  await page.keyboard.press("Escape");
  await number.focus();
  const isShown = await page.locator("#tip").waitFor().then(() => true, () => false);
  expect(isShown, "focusing on a number shows it, too");
}

async function checkFolds(page) {
  const fold = page.locator(".fold:not([open])").first();
  if (!(await fold.count())) return;
  await page.evaluate(() => scrollTo(0, 0));
  const mark = `fold-${Date.now()}`;
  await fold.evaluate((element, id) => { element.id = id; }, mark);
  const same = page.locator(`#${mark}`);
  await same.locator("> summary").focus();
  await page.keyboard.press("Enter");
  expect(await same.evaluate((element) => element.open), "the Enter key unfolds");
  if (await same.locator(".drawing").count()) {
    await page.waitForFunction((id) => document.querySelector(`#${id} .drawing`).dataset.drawn, mark);
  }
  await page.keyboard.press("Enter");
  expect(await same.evaluate((element) => !element.open), "and folds again");
}

async function checkLegend(page) {
  const legend = page.locator(".legend").first();
  if (!(await legend.count())) return;
  const place = page.locator(".plots:has(.legend) .drawing").first();
  await place.scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelector(".plots:has(.legend) .drawing").dataset.drawn);
  const element = await place.elementHandle();
  const all = await place.evaluate((of) => echarts.getInstanceByDom(of).getOption().series.length);
  await legend.locator("input[type=checkbox]").first().focus();
  await page.keyboard.press("Space");
  const isHidden = await once(page, ([of, all]) => echarts.getInstanceByDom(of).getOption().series.length < all, [element, all]);
  expect(isHidden, "the legend hides a series by keyboard");
  await page.keyboard.press("Space");
  const isBack = await once(page, ([of, all]) => echarts.getInstanceByDom(of).getOption().series.length === all, [element, all]);
  expect(isBack, "and shows it again");
}

async function checkTables(page) {
  const table = page.locator(".table:visible:has(.bar)").first();
  if (!(await table.count())) return;
  const height = async () => (await table.boundingBox()).height;
  const [before, button] = [await height(), table.locator(".bar button")];
  await button.focus();
  await page.keyboard.press("Enter");
  expect((await height()) > before, "a long table is one key away");
  await page.keyboard.press("Enter");
  await table.locator(".bar input").fill("no row has this text");
  expect((await table.locator("tbody tr:visible").count()) === 0, "a long table can be searched");
  await table.locator(".bar input").fill("");
}

async function checkAxe(page, rules, what) {
  if (WITHOUT_AXE.some((name) => page.url().endsWith(name))) return;
  await page.evaluate(axe);
  const options = { resultTypes: ["violations"], ...(rules && { runOnly: rules }) };
  // Later rows of a table are made as those before, and axe-core needs minutes for thousands.
  await page.evaluate(() => document.querySelectorAll("tbody tr:nth-child(n + 40)").forEach((row) => row.remove()));
  const { violations } = await page.evaluate((chosen) => axe.run(document, chosen), options);
  const serious = violations.filter((fault) => ["serious", "critical"].includes(fault.impact));
  for (const fault of violations) say(`        axe ${fault.impact}: ${fault.id}: ${fault.nodes.length} × ${fault.nodes[0].html.slice(0, 140)}`);
  expect(serious.length === 0, what);
}

async function expectNoneWider(page, mode) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide <= 0, `${mode}nothing is wider than the page${wide > 0 ? `, but by ${wide} px` : ""}`);
}

async function picture(page, name) {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true, timeout: 120000 });
}

// Paper has everything unfolded and each chart drawn, although nobody scrolled to them.
async function checkPrint(path, name) {
  const { context, page, errors } = await open(path, WIDE);
  await page.waitForFunction(() => document.documentElement.dataset.unpacked);
  await page.setViewportSize(PAPER);
  await page.emulateMedia({ media: "print" });
  const lacking = await page.evaluate(() => {
    dispatchEvent(new Event("beforeprint"));
    const [folds, places] = [[...document.querySelectorAll(".fold")], [...document.querySelectorAll(".drawing")]];
    return {
      folds: folds.filter((fold) => !fold.open).length,
      charts: places.filter((place) => !place.querySelector("canvas, svg path")).length,
    };
  });
  expect(lacking.folds === 0 && lacking.charts === 0, `print: all is unfolded and drawn ${JSON.stringify(lacking)}`);
  await expectNoneWider(page, "print: ");
  await picture(page, `${name}-print`);
  const folded = await page.evaluate(() => {
    dispatchEvent(new Event("afterprint"));
    return document.querySelectorAll(".fold:not([open])").length;
  });
  const folds = await page.locator(".fold").count();
  expect(folds === 0 || folded > 0, "print: what was folded is folded again");
  if (pictures) await page.pdf({ path: join(pictures, `${name}.pdf`), format: "A4", printBackground: true });
  expect(errors.length === 0, `print: no errors in the console ${errors.slice(0, 2).join(" | ")}`);
  await context.close();
}

async function check(path) {
  const name = basename(path, ".html");
  const most = MOST_OF[name] ?? MOST;
  say(path);
  const bytes = statSync(path).size;
  const { context, page, errors, requests, waited, worked } = await open(path, WIDE);
  expect(bytes < most.bytes, `${(bytes / 1e6).toFixed(2)} MB`);
  // On a machine that has other work the page waits for a processor, so its own work counts.
  expect(Math.min(waited, worked) < most.seconds, `opens in ${waited.toFixed(2)} s, with ${worked.toFixed(2)} s of work`);
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  expect(height < most.height, `is ${height} px high`);
  await checkFolds(page);
  await picture(page, `${name}-folded`);
  const { count, empty } = await drawAll(page);
  expect(count > 0 && empty === 0, `${count} charts are drawn, ${empty} of them empty`);
  await checkNumbers(page);
  await checkCharts(page);
  await checkLegend(page);
  await checkTables(page);
  await expectNoneWider(page, "");
  await picture(page, name);
  await checkAxe(page, null, "axe-core finds no serious fault");
  expect(await page.evaluate(() => !("hostile" in window)), "no text of the record is run");
  expect(errors.length === 0, `no errors in the console ${errors.slice(0, 3).join(" | ")}`);
  expect(requests.length === 0, `no request leaves the page ${requests.slice(0, 3)}`);
  await context.close();
  for (const [mode, options] of [["dark", DARK], ["narrow", NARROW]]) {
    const other = await open(path, options);
    await drawAll(other.page);
    await expectNoneWider(other.page, `${mode}: `);
    await picture(other.page, `${name}-${mode}`);
    await checkAxe(other.page, ["color-contrast"], `${mode}: colours have enough contrast`);
    expect(other.errors.length === 0, `${mode}: no errors ${other.errors.slice(0, 2)}`);
    await other.context.close();
  }
  await checkPrint(path, name);
}

async function report(path) {
  const [began, lines] = [performance.now(), []];
  // A page that hangs fails, and the next ones are checked.
  const fail = (error) => expect(false, `the check came to its end: ${error.message.split("\n")[0]}`);
  await reports.run(lines, () => check(path).catch(fail));
  console.log([...lines, `  in ${((performance.now() - began) / 1000).toFixed(0)} s`].join("\n"));
}

// Two pages are checked at a time, the last ones first: they take longest.
const left = [...args];
const next = async () => {
  while (left.length > 0) await report(left.pop());
};
await Promise.all([next(), next()]);
await browser.close();
console.log(failed ? `${failed} failed` : "all passed");
process.exit(failed || args.length === 0 ? 1 : 0);
