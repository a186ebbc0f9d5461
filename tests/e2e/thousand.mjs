// How long a page with a thousand machines takes to be there, and to be scrolled through.

// visit() opens a fresh page.  Painted means: a row is there, then an animation frame, then the first task after it.
// A test shares its machine with others, who only make it slower: it takes the best of three paints, and a task's
// processor time.  What measures has the machine for itself, and takes every paint: tries is 1.
export async function thousand(browser, visit, tries = 3) {
    const paints = [], processor = [];
    let page;
    while (paints.length < tries && !(paints.at(-1) < 300)) {
        page = await visit();
        await page.waitForSelector(".tiles");
        await browser.startTracing(page, { categories: ["toplevel"] });
        paints.push(await page.evaluate(() => new Promise((done) => {
            const t = performance.now(), after = new MessageChannel();
            after.port1.onmessage = () => done(performance.now() - t);
            const look = () => requestAnimationFrame(() => document.querySelector("tr[data-row]") ? after.port2.postMessage(0) : look());
            location.hash = "#/machines";
            look();
        })));
        processor.push(mainThread(await browser.stopTracing()).reduce((sum, e) => sum + e.tdur, 0) / 1000);
    }
    await browser.startTracing(page, { categories: ["toplevel"] });
    for (let i = 0; i < 120; i++) {     // a fling through all of it: eight rows each frame
        await page.mouse.wheel(0, 400);
        await page.evaluate(() => new Promise(requestAnimationFrame));
    }
    await page.waitForFunction(() => [...document.querySelectorAll("tr[data-row]")].some((r) => r.getAttribute("aria-rowindex") > 900));
    const tasks = mainThread(await browser.stopTracing());
    const most = (key) => Math.round(Math.max(...tasks.map((e) => e[key])) / 100) / 10;
    return { page, paints, processor, tasks: tasks.length, most: { processor: most("tdur"), wall: most("dur") } };
}

// The tasks of the pages' main threads; tdur is a task's processor time, dur is wall time, both in microseconds.
function mainThread(trace) {
    const events = JSON.parse(trace).traceEvents, place = (e) => `${e.pid} ${e.tid}`;
    const mains = new Set(events.filter((e) => e.name === "thread_name" && e.args.name === "CrRendererMain").map(place));
    return events.filter((e) => e.ph === "X" && e.name === "ThreadControllerImpl::RunTask" && e.tdur !== undefined && mains.has(place(e)));
}
