// What moves while a person looks: rates, and nothing that jumps away under the hand; and pages that are read from the right.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";
import { judged } from "./browser.mjs";
import { invented, serve } from "./fake.mjs";

// A minute of a page in a moment: its clocks go as usual, and faster when we say so; its stream is real.
async function clocked(page) {
    await page.clock.install();
    return { goes: async (s) => { for (let i = 0; i < s; i++) await page.clock.runFor(1000); } };
}

// The sum of what moved under the hand since it was asked for the last time, and who moved most.
const watchShifts = () => {
    globalThis.shifts = [];
    new PerformanceObserver((list) => globalThis.shifts.push(...list.getEntries())).observe({ type: "layout-shift", buffered: true });
};
const shifted = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => {
    const all = globalThis.shifts.splice(0).filter((e) => !e.hadRecentInput);
    done({ sum: all.reduce((sum, e) => sum + e.value, 0), who: all.flatMap((e) => e.sources.map((x) => `${e.value.toFixed(4)} ${x.node?.nodeName} ${x.node?.className ?? ""} ${x.node?.textContent?.slice(0, 40)}: ${Math.round(x.previousRect.y)} -> ${Math.round(x.currentRect.y)}`)) });
}, 50))));

// No language that is read from the right is translated: these few words stand for one, the others are English.
const ARABIC = { "page.overview": "نظرة عامة", "page.services": "الخدمات", "page.machines": "الأجهزة", "page.map": "الخريطة", "page.config": "الإعدادات", "page.activity": "النشاط", "machine": "الجهاز", "service": "الخدمة",
    "state": "الحالة", "path": "الطريق", "time": "الوقت", "overview.sub": "كما يُرى من {machine}", "remove.do": "إزالة {name}", "remove.text": "يفقد {name} مكانه: يرفضه الآخرون في الحال.", "health": "الصحة", "path.turned": "{from} ← {to}: {why}", "find": "بحث", "tile.reached": "متصل" };
const from_right = { files: { "/strings/ar.json": ARABIC } };
const arabic = (page) => page.addInitScript(() => localStorage.setItem("language", "ar"));

// What means one side of the page, whoever reads it. An exception needs its reason here; there is none.
const SIDES = /\b(?:(?:margin|padding|border|scroll-margin|scroll-padding)-(?:left|right)|border-(?:top|bottom)-(?:left|right)-radius)\b|(?<![\w-])(?:left|right|float|clear)\s*:|text-align\s*:\s*(?:left|right)|(?<![\w-])(?:direction\s*:\s*rtl)/g;
const fourSided = (css) => {
    while (/\([^()]*\)/.test(css))
        css = css.replace(/\([^()]*\)/g, "");
    return [...css.matchAll(/(?<![\w-])(?:margin|padding|inset|border-(?:width|style|color))\s*:\s*([^;}]+)/g)].filter(([, values]) => {
        const v = values.trim().split(/\s+/);
        return v.length === 4 && v[1] !== v[3];
    }).map(([all]) => all);
};

// Texts with a mark that no element holds apart from ours.
const loose = (mark) => {
    const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let x; (x = walk.nextNode());)
        if (x.data.includes(mark) && !x.parentElement.closest("bdi, [dir=auto], code, textarea, .diff, script, style") && getComputedStyle(x.parentElement).unicodeBidi !== "plaintext"
            && !x.data.split("\u2068").every((part, i) => !i ? !part.includes(mark) : !part.split("\u2069").slice(1).join("").includes(mark)))
            found.push(`${x.parentElement.nodeName} ${x.parentElement.className}: ${x.data}`);
    return found;
};

export const motion = ({ assets, shots, visit, gone, to, PAGES }) => ({
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
    async "live data moves nothing under the hand"() {
        const server = await serve(assets, { apart: 40 }), { machines, services, activity, status: [status] } = server.data;
        const machine = (i, o) => server.delta("machines", [Object.assign(machines[i], o)]);
        const state = (o) => server.delta("status", [Object.assign(status, o)]);
        const lines = status.health, down = { state: "down", why: "the process ended three times in a minute" };
        const moves = {
            "short numbers": () => machine(1, { rtt_us: 9000, rx_bytes: 9, tx_bytes: 9 }),
            "long numbers": () => machine(1, { rtt_us: 1234000, rx_bytes: 123456789, tx_bytes: 9876543210 }),
            "a long path": () => machine(3, { path: "tcp-noise (tor has not answered for 12 s)", rtt_us: 900 }),
            "a machine is gone": () => machine(2, { connected: false, path: "", rtt_us: 0 }),
            "a machine is back": () => machine(4, { connected: true, path: "wireguard", rtt_us: 12000 }),
            "services fall": () => server.delta("services", services.map((s) => ({ ...s, ...down }))),
            "services rise": () => server.delta("services", services),
            "a health line less": () => state({ health: lines.slice(1) }),
            "all is well": () => state({ health: [] }),
            "one health line": () => state({ health: lines.slice(0, 1) }),
            "two health lines": () => state({ health: lines }),
            "a version": () => state({ config_version: 1234, catching_up: true }),
            "a request": () => server.delta("proposals", [{ id: 1, words: ["enable", "photos"], state: "waiting", by: "anna", time: machines[0].last_seen }]),
            "no request": () => server.delta("proposals", [], [1]),
            "a machine more": () => server.delta("machines", [{ ...machines[6], id: "m9", name: "new" }]),
            "a service more": () => server.delta("services", [{ ...services[0], name: "zebra" }]),
            "the core is away": () => server.say("away"),
            "the core is back": () => server.say("back"),
            "something happens": () => server.delta("activity", [{ ...activity[1], id: 99, time: new Date().toISOString() }]),
        };
        for (const width of [1440, 390]) {
            const page = await visit(server, { viewport: { width, height: 900 } });
            await page.evaluate(watchShifts);
            await page.waitForTimeout(500);
            const first = await shifted(page);      // while it came
            assert.ok(first.sum <= 0.002, `first load, ${width} px: ${first.sum}\n${first.who.join("\n")}`);
            for (const hash of ["overview", "machines", "machine/laptop", "map", "services", "activity"]) {
                await to(page, hash);
                await shifted(page);
                let all = 0, most = [];
                for (const [name, move] of Object.entries(moves)) {
                    move();
                    const { sum, who } = await shifted(page);
                    // the newest first is this list's order: what happened last is above, and nowhere else
                    if (hash === "activity" && name === "something happens")
                        assert.ok(sum <= 0.03, `${name}: ${sum}`);
                    else
                        all += sum;
                    most = most.concat(sum > 0.0005 ? [`${name}:`, ...who] : []);
                }
                console.log(`  ${hash}, ${width} px: ${all.toFixed(4)}`);
                assert.ok(all <= 0.02, `${hash}, ${width} px: ${all}\n${most.join("\n")}`);
                server.delta("machines", [], ["m9"]);
                server.delta("services", [], ["zebra"]);
                server.delta("activity", [], [99]);
            }
        }
        // What is wrong stands above all else, so that a line more than there ever was does push, once.
        state({ health: [] });
        const page = await visit(server);
        await page.evaluate(watchShifts);
        await page.waitForTimeout(500);
        await shifted(page);
        for (const [n, most] of [[1, 0.02], [2, 0.06], [1, 0], [0, 0], [2, 0]]) {
            state({ health: lines.slice(0, n) });
            const { sum, who } = await shifted(page);
            assert.ok(sum <= most, `health of ${n}: ${sum}\n${who.join("\n")}`);
        }
        await gone(server);
    },
    async "read from the right: nothing lies outside, nothing means a side"() {
        const css = readFileSync(join(assets, "app.css"), "utf8");
        let mirrored = 0;
        assert.deepEqual([...css.match(SIDES) || [], ...fourSided(css)], []);
        for (const [name, pages, options] of [["", PAGES, {}], ["first", [""], { mode: "first-run", data: { questions: [] } }], ["join", [""], { mode: "join" }]]) {
            const server = await serve(assets, { ...from_right, ...options }), page = await visit(server, {}, arabic);
            assert.equal(await page.evaluate(() => document.dir), "rtl");
            for (const hash of pages) {
                if (hash)
                    await to(page, hash);
                for (const width of [360, 1440]) {
                    await page.setViewportSize({ width, height: 900 });
                    const shot = `rtl-${name}${hash.replace("/", "-")}-${width}`;
                    await page.screenshot({ path: join(shots, shot + ".png") });
                    await judged(page, shot);
                    assert.ok(await page.evaluate(() => document.scrollingElement.scrollWidth <= innerWidth && document.scrollingElement.scrollLeft === 0), `${shot} scrolls sideways`);
                    assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll("use[href$='#open']")].filter((x) => getComputedStyle(x.parentNode).scale !== "-1 1").length), 0, `${shot}: an icon points the wrong way`);
                    mirrored += await page.locator("use[href$='#open']").count();
                }
            }
            await gone(server);
        }
        assert.ok(mirrored > 0);
    },
    async "read from the right: names of others turn nothing around them"() {
        const name = "شبكة (1)", server = await serve(assets, { ...from_right, data: invented({ evil: name }) }), page = await visit(server, {}, arabic);
        for (const hash of [...PAGES.filter((x) => !x.includes("/")), `machine/${encodeURIComponent(name)}`, `services/${encodeURIComponent(name + 0)}`]) {
            await to(page, hash);
            assert.deepEqual(await page.evaluate(loose, "شبكة"), [], hash);
        }
        await gone(server);
    },
    async "clan.yaml: somebody else's version while a text is written loses neither"() {
        const server = await serve(assets), page = await visit(server), yaml = page.locator("#yaml"), button = (name) => page.getByRole("button", { name });
        const text = server.head().text, mine = text + "# mine\n", theirs = text.replace("clan: home", "clan: home\n# theirs");
        await to(page, "config");
        await page.waitForFunction(() => document.getElementById("yaml").value.includes("version: 7"));
        await yaml.fill(mine);
        await button("Ask for the signature").waitFor();
        server.signed(theirs);
        await page.getByRole("status").getByText("Version 8 came while you were editing").first().waitFor();
        assert.equal(await yaml.inputValue(), mine);
        await page.locator(".diff .plus").getByText("# theirs").waitFor();
        assert.equal(await button("Ask for the signature").count(), 0, "what would undo it cannot be asked for");
        await judged(page, "a version came");
        await page.screenshot({ path: join(shots, "config-came.png"), fullPage: true });
        await to(page, "machines");     // and back
        await to(page, "config");
        assert.equal(await yaml.inputValue(), mine);
        await page.reload();            // the code is gone, the session stays
        await page.getByText("Version 8 came while you were editing").first().waitFor();
        assert.equal(await yaml.inputValue(), mine);

        await button("Take version 8").click();     // and back
        assert.match(await yaml.inputValue(), /# theirs/);
        await button("Bring my text back").click();
        assert.equal(await yaml.inputValue(), mine);
        await button("Put both together").click();
        assert.equal(await yaml.inputValue(), `${server.head().text}# mine\n`);
        await button("Ask for the signature").click();
        await page.waitForSelector(".waiting");
        assert.deepEqual(server.data.proposals.at(-1).words, ["config", "apply", "--from", "8"]);

        server.signed(server.head().text.replace("# theirs", "# others"));     // the same line, and ours waits
        await yaml.fill((await yaml.inputValue()).replace("# theirs", "# ours"));
        await button("Put both together").click();
        const both = await yaml.inputValue();
        assert.match(both, /# <<< mine\n# ours\n# === Version 9\n# others\n# >>>\n/);
        assert.match(both, /^version: 9\n[^]*# mine\n$/);
        await page.getByText("Both changed the same lines").waitFor();
        assert.equal(await button("Ask for the signature").count(), 0, "with marks in it");
        await yaml.fill(both.replace(/# <<< mine\n(# ours\n)[^]*# >>>\n/, "$1"));
        await button("Ask for the signature").click();
        await page.waitForSelector(".waiting");
        assert.deepEqual(server.data.proposals.at(-1).words, ["config", "apply", "--from", "9"]);

        server.signed(theirs);
        await button("Keep mine and undo version 10").click();
        await button("Ask for the signature").click();
        await page.waitForSelector(".waiting");
        assert.deepEqual(server.data.proposals.at(-1).words, ["config", "apply", "--from", "10"]);
        server.signed(await yaml.inputValue());
        await page.getByText("Version 11 counts now").waitFor();
        assert.equal(await page.evaluate(() => sessionStorage.getItem("draft")), null);
        await gone(server);
    },
    async "two changes of one text are put together by their lines"() {
        const { lineDiff, marked, merge } = await import(pathToFileURL(join(assets, "parts/merge.js")));
        const base = "a\nb\nc\nd\ne\n", names = ["mine", "theirs"], both = (mine, theirs) => merge(base, mine, theirs, names);
        for (const [mine, theirs, wanted] of [[base, "x\n", "x\n"], ["x\n", base, "x\n"], ["x\n", "x\n", "x\n"], ["", base, ""], ["1\n" + base, base + "2\n", "1\n" + base + "2\n"],
            ["a\nc\nd\ne\n", "a\nb\nc\nD\ne\n", "a\nc\nD\ne\n"], ["a\nB\nc\nd\ne\n", "a\nb\nc\nd\n", "a\nB\nc\nd\n"]]) {
            assert.equal(both(mine, theirs), wanted);
            assert.equal(marked(both(mine, theirs)), false);
        }
        assert.equal(both("a\n1\nc\nd\ne\n", "a\n2\nc\nd\ne\n"), "a\n# <<< mine\n1\n# === theirs\n2\n# >>>\nc\nd\ne\n");
        assert.ok(marked(both("a\n1\n", "a\n2\n")));
        let seed = 7;
        const random = (n) => (seed = seed * 48271 % 2147483647) % n, lines = () => Array.from({ length: random(12) }, () => "abcd"[random(4)]).join("\n");
        for (let i = 0; i < 2000; i++) {
            const x = lines(), y = lines(), d = lineDiff(x, y), side = (op) => d.filter((r) => r.op !== op).map((r) => r.text).join("\n");
            assert.deepEqual([side("+"), side("-")], [x, y]);
            assert.equal(merge(x, y, x, names), y);
            assert.equal(merge(x, x, y, names), y);
        }
        const large = (mark) => Array.from({ length: 8000 }, (_, i) => mark + i).join("\n"), began = Date.now();
        assert.equal(lineDiff(large("a"), large("b")).length, 16000);
        assert.ok(Date.now() - began < 2000);
    },
    async "a machine gets another name, and its page follows it"() {
        const server = await serve(assets), page = await visit(server);
        await to(page, "machine/laptop");
        await page.getByLabel("New name").fill("Not one");
        await page.getByRole("button", { name: "Rename" }).click();
        assert.equal(await page.locator("dialog").count(), 0, "that is no name");
        await page.getByLabel("New name").fill("notebook");
        await page.keyboard.press("Enter");
        await page.waitForSelector("dialog .diff");
        await judged(page, "rename");
        assert.equal(await page.locator("dialog .command code").first().textContent(), "clan machines rename laptop notebook");
        await page.getByRole("button", { name: "Ask for the signature" }).click();
        await page.waitForSelector(".waiting");
        assert.deepEqual(server.data.proposals.at(-1).words, ["machines", "rename", "laptop", "notebook"]);
        server.delta("machines", [{ ...server.data.machines[1], name: "notebook" }]);
        await page.waitForFunction(() => location.hash === "#/machine/notebook" && document.querySelector("h1").textContent === "notebook");
        await gone(server);
    },
});
