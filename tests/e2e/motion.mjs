// What moves while a person looks: rates, and nothing that jumps away under the hand.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";
import { invented, serve } from "./fake.mjs";

// A minute of a page in a moment: its clocks go as usual, and faster when we say so; its stream is real.
async function clocked(page) {
    await page.clock.install();
    return { goes: async (s) => { for (let i = 0; i < s; i++) await page.clock.runFor(1000); } };
}

export const motion = ({ assets, visit, gone, to }) => ({
    async "rates: a window over totals that stand still and jump, none below 0"() {
        const { heard, rates, forget } = await import(pathToFileURL(join(assets, "rates.js")));
        const of = (at) => rates(new Set(["a"]), at).get("a");
        for (let s = 0; s <= 60; s++)
            heard("a", s * 1000, s * 100, s);
        assert.deepEqual(of(60), { rx: 1000, tx: 100 });
        assert.deepEqual(of(70), { rx: 500, tx: 50 });      // it stopped: half of the window is silent
        assert.deepEqual(of(80), { rx: 0, tx: 0 });
        forget();
        for (let s = 0; s <= 60; s++) {     // a device's: known every 10 s
            heard("a", Math.floor(s / 10) * 10000, 0, s);
            assert.ok(s < 20 || of(s).rx === 1000, `${s} s: ${of(s).rx}`);
            assert.ok(of(s).rx <= 1000, `${s} s: ${of(s).rx}`);
        }
        heard("a", 10, 0, 61);      // it started again
        assert.deepEqual(of(61), { rx: 0, tx: 0 });
        heard("a", 5010, 0, 66);
        assert.deepEqual(of(66), { rx: 500, tx: 0 });
        for (let i = 0; i < 10000; i++)     // however often it comes
            heard("a", 5010 + i, 0, 66 + i / 1000);
        assert.ok(of(76).rx >= 0 && rates(new Set(), 77).size === 0);
    },
    async "rates on the machines page, a machine's page and the map"() {
        const server = await serve(assets), page = await visit(server, {}, clocked);
        await to(page, "machines");
        const m = { ...server.data.machines[1] };
        const row = page.locator("tr[data-row]", { hasText: "laptop" }).locator(".flow");
        const tell = async (rx, tx) => {
            server.delta("machines", [Object.assign(m, { rx_bytes: m.rx_bytes + rx, tx_bytes: m.tx_bytes + tx })]);
            await page.waitForTimeout(50);
        };
        for (let i = 0; i < 25; i++) {
            await tell(2e6, 3e3);
            await page.clocked.goes(1);
        }
        assert.match(await row.textContent(), /↓ (1\.[789]|2) MB\/s.*↑ (2\.[6-9]|3) kB\/s/);
        await to(page, "machine/laptop");
        assert.match(await page.locator(".facts .flow").textContent(), /↓ (1\.[789]|2) MB\/s/);
        await to(page, "map");
        assert.equal(await page.locator(".map line.wide-2").count(), 1);
        await page.clocked.goes(25);
        assert.equal(await page.locator(".map line.wide-0").count(), 6);
        await to(page, "machines");
        assert.match(await row.textContent(), /↓ 0 B\/s.*↑ 0 B\/s/);
        m.rx_bytes = m.tx_bytes = 0;
        await tell(100, 100);
        await page.clocked.goes(2);
        assert.match(await row.textContent(), /↓ 0 B\/s.*↑ 0 B\/s/);
        server.say("away");
        await page.waitForSelector(".away");
        await page.clocked.goes(30);
        server.say("back");
        await tell(9e9, 9e9);       // over an unknown time
        await page.clocked.goes(2);
        assert.match(await row.textContent(), /↓ 0 B\/s/);
        await gone(server);
    },
});
