// A browser for the tests: Debian's Chromium, driven by the pinned library in CLAN_E2E_MODULES, which is never committed.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";

const library = createRequire(process.env.CLAN_E2E_MODULES + "/");
const axe = readFileSync(library.resolve("axe-core/axe.min.js"), "utf8");

// Root is what the lab needs; Chromium has no sandbox of its own then.
export const launch = ({ program = process.env.CHROMIUM || "/usr/bin/chromium", args = [] } = {}) => library("playwright-core").chromium.launch({ executablePath: program, args: ["--no-sandbox", ...args] });

// No page breaks a rule of accessibility, and none scrolls sideways.
export async function judged(page, what) {
    if (!await page.evaluate(() => "axe" in globalThis))
        await page.evaluate(axe);
    const found = await page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ["violations"] })).violations.map((v) => `${v.id}: ${v.nodes[0].target.join(" ")}`));
    assert.deepEqual(found, [], what);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what} scrolls sideways`);
}
