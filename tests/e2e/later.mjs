// The pages that no core feeds yet, with invented rows behind the same interface.
import { join } from "node:path";
import assert from "node:assert/strict";
import { judged } from "./browser.mjs";
import { ROUTES, invented, serve } from "./fake.mjs";
import { LATER, later } from "./later_data.mjs";

const EVIL = "<img src=x onerror=window.bad=1><script>window.bad=1</script>";
const fed = (assets, options = {}, clan = {}) => serve(assets, { routes: [...ROUTES, ...LATER.map((x) => "/" + x)], data: { ...invented(clan), ...later(options) } });
const at = (page, text) => page.waitForFunction((x) => document.querySelector("main").textContent.includes(x), text, { timeout: 3000 });

export const laterTests = ({ assets, browser, shots, visit, gone, to, everywhere }) => ({
    async "later: both themes, three widths, no violation"() {
        const server = await fed(assets);
        await everywhere(server, ["history", "vms", "vms/cloud", "requests", "backups", "backups/photos", "history/files"], "later-");
        await gone(server);
    },
    async "later: none, one, a thousand"() {
        for (const count of [0, 1, 1000]) {
            const server = await fed(assets, { count }), page = await visit(server);
            for (const hash of LATER) {
                await to(page, hash);
                if (!count)
                    await page.waitForSelector(".empty");
                assert.ok(await page.locator("tr[data-row], .request").count() <= 60, `${hash} draws all of ${count}`);
                assert.ok(await page.locator(".lanes .move").count() <= 60 && await page.locator(".lanes .name").count() <= 8, "the lanes have no end");
                await page.screenshot({ path: join(shots, `later-${hash}-${count}.png`) });
                if (count)      // what rows look like was judged above
                    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${hash} scrolls sideways`);
                else
                    await judged(page, `no ${hash}`);
            }
            await gone(server);
        }
    },
    async "later: script in every name stays text"() {
        const server = await fed(assets, { evil: EVIL }), page = await visit(server);
        for (const hash of [...LATER, `vms/${encodeURIComponent(EVIL + 0)}`, `backups/${encodeURIComponent(EVIL + 0)}`, `history/${encodeURIComponent(EVIL)}`]) {
            await to(page, hash);
            await at(page, "<img");
            assert.equal(await page.evaluate(() => window.bad), undefined, hash);
            assert.equal(await page.locator("main img, main script, dialog img").count(), 0, hash);
            assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${hash} scrolls sideways`);
        }
        await gone(server);
    },
    async "later: what happens is shown as it happens"() {
        const server = await fed(assets), page = await visit(server), time = () => new Date().toISOString();
        await at(page, "2 requests wait for signatures");
        await to(page, "history");
        server.delta("history", [{ id: 99, time: time(), service: "wiki", from: "oma", to: "studio", cause: "heartbeat lost", lost_s: 7, took_ms: 5200, why: "studio was the only one that offers it" }]);
        await at(page, "studio was the only one that offers it");
        await to(page, "vms");
        server.delta("vms", [{ ...server.data.vms[0], state: "paused" }], ["v4"]);
        await at(page, "paused");
        assert.equal(await page.locator("tr[data-row]").count(), 4);
        await to(page, "backups");
        server.delta("backups", [{ ...server.data.backups[0], service: "freshly" }]);
        await at(page, "freshly");
        await to(page, "requests");
        const q = server.data.requests[1];
        server.delta("requests", [{ ...q, have: [...q.have, { who: "carl", time: time() }] }]);
        await at(page, "2 of 2 signatures");
        await gone(server);
    },
    async "later: moves tell their reason, to the mouse and to the keyboard"() {
        const server = await fed(assets), page = await visit(server), heading = page.locator(".why h2");
        await to(page, "history/files");
        assert.equal(await heading.textContent(), "files: nas → laptop");
        assert.match(await page.locator(".why").textContent(), /4\.8 s.*newest verified copy.*its copy was 4 minutes older/s);
        assert.equal(await page.locator(".lanes .held").count(), 6);
        await page.locator('.lanes [data-id="4"] rect').click();
        assert.equal(await heading.textContent(), "files: laptop → nas");
        await page.locator("button", { hasText: "Earlier" }).press("Enter");
        assert.match(await page.locator(".why").textContent(), /files: nas → laptop.*last 42 seconds/s);
        await page.locator("tr[data-row] button").last().press("Enter");
        assert.equal(await page.evaluate(() => document.activeElement.textContent), "files: none → nas");
        await page.locator("main select").selectOption("photos");
        await at(page, "not known");
        assert.equal(await page.evaluate(() => location.hash), "#/history/photos");
        await to(page, "services/files");
        await page.locator("dialog a", { hasText: "Failover" }).click();
        await page.waitForFunction(() => location.hash === "#/history/files");
        await gone(server);
    },
    async "later: old backups, missing signatures, full disks are said in words"() {
        const server = await fed(assets), page = await visit(server), lines = async (css) => (await page.locator(css).allTextContents()).map((x) => x.replace(/\s+/g, " ").trim());
        await to(page, "backups");
        assert.deepEqual((await lines("main .line strong")).map((x) => x.split(":")[0]), ["wiki", "printer", "photos"]);
        assert.match((await lines("main .line"))[2], /old.*photos: the newest backup is 9 days old/);
        assert.deepEqual((await lines("td .badge")).slice(0, 5), ["no backup", "failed", "old", "untested", "running"]);
        await page.evaluate(() => { location.hash = "#/backups/photos"; });
        await page.waitForSelector("dialog");
        assert.deepEqual(await lines("dialog code"), ["clan backup restore photos --dry-run", "clan backup restore photos", "clan backup drill photos"]);
        await to(page, "requests");
        const cards = await lines(".request");
        assert.match(cards[0], /clan remove pixel.*2 of 3 signatures.*one is missing.*[34]\d minutes left.*You have signed this/);
        assert.match(cards[1], /1 of 2 signatures.*one is missing.*[12] days? left.*clan sign/);
        assert.deepEqual((await lines(".request > header .badge")), ["waiting", "waiting", "expired", "done"]);
        assert.equal(await page.locator(".request .command").count(), 1, "only what waits for this reader is to be signed");
        await to(page, "vms");
        assert.match((await lines(".meter.bad"))[0], /nearly full: 39 GB of 40 GB/);
        await page.evaluate(() => { location.hash = "#/vms/old-wiki"; });
        await page.waitForSelector("dialog");
        assert.deepEqual(await lines("dialog code"), ["clan vm start old-wiki"]);
        await gone(server);
    },
    async "later: where nobody answers them they are nowhere"() {
        const server = await serve(assets, { data: { ...invented(), ...later() } }), page = await visit(server), asked = [];
        page.on("request", (q) => asked.push(new URL(q.url()).pathname));
        await page.waitForFunction(() => performance.getEntriesByType("resource").some((r) => r.name.endsWith("/pages/netcheck.js")));   // the last of those that come by themselves
        assert.equal(await page.locator("nav a").count(), 9);
        assert.equal(await page.locator("main a[href='#/requests']").count(), 0);
        for (const hash of [...LATER, "vms/web", "nonsense"]) {
            await page.evaluate((x) => { location.hash = "#/" + x; }, hash);
            await page.waitForSelector(".tiles");
            assert.equal(await page.locator("h1").textContent(), "home", hash);
            assert.equal(await page.locator("nav [aria-current]").textContent(), "Overview");
        }
        assert.deepEqual(asked.filter((x) => LATER.some((name) => x.includes(name))), []);
        await gone(server);
        // A dashboard that does not say what it can be asked offers none of it.
        const silent = await serve(assets, { data: { ...invented(), ...later() } }), context = await browser.newContext(), other = await context.newPage();
        await context.route("**/v1/openapi.json", (r) => r.fulfill({ status: 503, body: "{}" }));
        await other.goto(silent.door);
        await other.waitForSelector(".tiles");
        assert.deepEqual(await other.locator("nav a").allTextContents(), ["Overview", "Services", "Machines", "Map", "Invite"]);
        await context.close();
        silent.stop();
    },
});
