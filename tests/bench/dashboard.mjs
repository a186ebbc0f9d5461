// The browser's side of the bench: node dashboard.mjs PART.  dashboard.py does what happens outside of it.
import { Person, heading, lab, press, told, turned } from "../e2e/lab.mjs";
import { launch } from "../e2e/browser.mjs";
import { invented, serve } from "../e2e/fake.mjs";
import { thousand } from "../e2e/thousand.mjs";

const part = process.argv[2], quick = !!process.env.CLAN_BENCH_QUICK;
const measured = (metric, unit, values, limits = {}) => lab("measured", metric, unit, values, limits);
let nas, tab;

// When each part of a first load was over, since the browser began to ask for the page: by its own records.
const over = () => {
    const all = performance.getEntriesByType("resource"), path = (e) => new URL(e.name).pathname, last = (of) => Math.max(...of.map((e) => e.responseEnd));
    const [page] = performance.getEntriesByType("navigation"), one = (name) => all.filter((e) => path(e) === name), tiles = performance.getEntriesByName("tiles")[0].startTime;
    const came = all.filter((e) => e.startTime < tiles && path(e).endsWith(".js"));
    return { html: page.responseEnd, modules: last(came.filter((e) => !path(e).startsWith("/pages/"))), words: last(all.filter((e) => path(e).startsWith("/strings/"))), signed_in: one("/v1/session")[0].responseEnd,
        paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? tiles, overview: last(one("/pages/overview.js")), tiles };
};

const mark_tiles = () => new MutationObserver((_, changes) => {
    if (!document.querySelector(".tiles"))
        return;
    performance.mark("tiles");
    changes.disconnect();
}).observe(document, { childList: true, subtree: true });

// Everything that comes before the overview stands there, as it comes: compressed.
async function first_load() {
    const sizes = [], times = [], parts = {};
    for (let i = 0; i < (quick ? 2 : 20); i++) {
        const context = await nas.browser.newContext(), page = await context.newPage();
        await page.addInitScript(mark_tiles);
        const wire = await context.newCDPSession(page);
        const asked = new Map(), came = [];
        await wire.send("Network.enable");
        wire.on("Network.requestWillBeSent", (e) => asked.set(e.requestId, { url: e.request.url, at: e.wallTime * 1000 }));
        wire.on("Network.loadingFinished", (e) => came.push({ ...asked.get(e.requestId), size: e.encodedDataLength }));
        const url = await lab("ui", "nas"), began = performance.now();
        await page.goto(url);
        await page.waitForSelector(".tiles");
        times.push(performance.now() - began);
        const ended = await page.evaluate(over), drawn = await page.evaluate(() => performance.timeOrigin) + ended.tiles;
        for (const [part, ms] of Object.entries(ended))
            (parts[part] ||= []).push(ms);
        await page.waitForTimeout(500);     // what was asked for until then, and by the drawing; the other pages come later
        sizes.push(came.filter((x) => x.at < drawn + 200 && !x.url.includes("/v1/stream")).reduce((sum, x) => sum + x.size, 0) / 1024);
        await context.close();
    }
    await measured("first_load_kb", "KiB", sizes, { worst: 60 });
    await measured("first_load_ms", "ms", times);
    for (const [part, values] of Object.entries(parts))
        await measured(`first_load_${part}_ms`, "ms", values);
}

// When the tab has painted a list in which that text stands, or no longer stands, by the clock of this computer: the page's
// and that of who caused it are the same.
function painted(text, there) {
    const comes = tab.evaluate(look_for, [text, there]);
    comes.catch(() => {});  // whoever waits for it hears of it, when what causes it did not fail before
    return comes;
}

const look_for = ([mark, wanted]) => new Promise((done, failed) => {
    setTimeout(() => failed(new Error(`${mark} did not ${wanted ? "come" : "go"}`)), 30000);
    const look = () => {
        if (document.body.textContent.includes(mark) !== wanted)
            return;
        changes.disconnect();
        requestAnimationFrame(() => {   // the task after the frame
            const after = new MessageChannel();
            after.port1.onmessage = () => done(performance.timeOrigin + performance.now());
            after.port2.postMessage(0);
        });
    };
    const changes = new MutationObserver(look);
    changes.observe(document.body, { subtree: true, childList: true, characterData: true });
    look();
});

async function events() {
    tab = await nas.dashboard();
    await tab.evaluate(() => { location.hash = "#/activity"; });
    await heading(tab, "Activity");
    const counts = quick ? [4, 3] : [16, 16, 16, 16, 16, 16, 3];
    await lab("listen", "nas", counts);
    const screen = [], streams = [];
    for (let i = 0; i < (quick ? 3 : 60); i++) {
        const mark = `bench-${i}-end`, comes = painted(mark, true), made = await lab("propose", mark);
        screen.push(await comes - made.began);
        const goes = painted(mark, false), ended = await lab("drop", made.answer.id);
        screen.push(await goes - ended.began);
        streams.push(...made.heard, ...ended.heard);
    }
    await measured("event_to_screen_ms", "ms", screen, { p99: 100 });
    await measured("event_to_stream_ms", "ms", streams);
    await measured("plugin_mb", "MiB", [await lab("memory_mb", "nas")], { worst: 8 });
    await measured("event_to_screen_ms_invited", "ms", await invited());
    await measured("event_to_screen_ms_silent", "ms", await silenced());
    await tab.close();
}

// From the start of `clan invite`, which signs, to the row of its invitation.
async function invited() {
    const times = [];
    await turned(tab, "Invite");
    for (let i = 0; i < (quick ? 2 : 3); i++) {     // a machine may sign ten statements an hour; the joins need theirs
        const comes = painted(`guest-${i}-end`, true), began = await lab("invites", "nas", `guest-${i}-end`);
        times.push(await comes - began);
    }
    return times;
}

// From the death of all that is Clan on another machine, without a word, to its row.
async function silenced() {
    const times = [];
    await lab("machine", "laptop");
    await lab("admitted", "nas", "laptop");
    await turned(tab, "Machines");
    for (let i = 0; i < (quick ? 1 : 5); i++) {
        await tab.getByText("online", { exact: true }).waitFor();
        const comes = painted("silent", true), began = await lab("dies", "laptop");
        times.push(await comes - began);
        await lab("rises", "laptop");
    }
    return times;
}

async function link_to_in() {
    const times = [];
    for (let i = 0; i < (quick ? 1 : 5); i++) {
        const guest = await Person.at(`guest${i}`), page = await guest.tab(), link = await lab("invited", "nas");
        const began = performance.now();
        await page.goto(await lab("open", guest.name, link));
        await press(page, "Ask");
        await page.waitForSelector(".never");
        await press(page, "Join a clan");
        await heading(page, "You are in");
        times.push(performance.now() - began);
        await guest.browser.close();
    }
    await measured("link_to_in_ms", "ms", times, { worst: 5000 });
}

// With an invented clan: a thousand daemons do not fit here.
async function rows() {
    const browser = await launch(), paints = [], processor = [], tasks = [], walls = [];
    for (let i = 0; i < (quick ? 1 : 10); i++) {
        const server = await serve(process.env.CLAN_BENCH_PAGES, { data: invented({ machines: 1000, services: 1000 }) });
        const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
        const found = await thousand(browser, async () => {
            const page = await context.newPage();
            await page.goto(server.door);
            return page;
        }, 1);
        paints.push(...found.paints);
        processor.push(...found.processor);
        tasks.push(found.most.processor);
        walls.push(found.most.wall);
        await context.close();
        server.stop();
    }
    await browser.close();
    await measured("rows_1000_paint_ms", "ms", paints, { must: 300 });
    await measured("rows_1000_paint_processor_ms", "ms", processor);
    await measured("rows_1000_task_ms", "ms", tasks, { worst: 50 });
    await measured("rows_1000_task_wall_ms", "ms", walls);
}

const parts = { first_load, events, link_to_in, rows };
const steps = {
    async "a clan"() {
        nas = await Person.at("nas");
        await lab("up", "nas");
    },
};
for (const [name, run] of Object.entries(parts))
    if (part === "all" || part === name)
        steps[name] = run;
await told(steps);
