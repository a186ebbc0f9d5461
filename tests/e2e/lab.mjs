// What the stories share: asking for what happens outside of the browser (story_test.py does it), people at machines, steps.
import { createInterface } from "node:readline";
import { join } from "node:path";
import { launch } from "./browser.mjs";

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let turn = Promise.resolve();

async function asked(words) {
    process.stdout.write(`@${JSON.stringify(words)}\n`);
    const { value } = await answers.next(), answer = JSON.parse(value);
    if (answer.error)
        throw new Error(`${words.slice(0, 2).join(" ")}: ${answer.error}`);
    return answer.value;
}

// One question at a time.
export function lab(...words) {
    const mine = turn.then(() => asked(words));
    turn = mine.catch(() => {});
    return mine;
}

export const shots = process.env.CLAN_SHOTS;
const people = [];

// Somebody who sits at a machine of the lab with a browser open.
export class Person {
    static async at(name, ...args) {
        const p = new Person();
        p.name = name;
        p.program = await lab("machine", name);
        p.browser = await launch({ program: p.program, args });
        p.context = await p.browser.newContext({ viewport: { width: 1280, height: 860 }, locale: "en-GB" });
        p.context.setDefaultTimeout(20000);
        p.errors = [];
        people.push(p);
        return p;
    }

    async tab(url) {
        const page = await this.context.newPage();
        page.on("pageerror", (e) => this.errors.push(e.message));
        page.on("console", (m) => m.type() === "error" && this.errors.push(m.text()));
        if (url)
            await page.goto(url);
        return page;
    }

    // The person's dashboard, in a new tab, by a code of its own.
    async dashboard() {
        const page = await this.tab(await lab("ui", this.name));
        await page.waitForSelector(".tiles");
        return page;
    }
}

export const heading = (page, text) => page.waitForFunction((x) => document.querySelector("h1")?.textContent.includes(x), text);
export const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
export const turned = async (page, name) => {
    await page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
    await heading(page, name);
};

export async function until(condition, what) {
    for (const end = Date.now() + 20000; !await condition();) {
        if (Date.now() > end)
            throw new Error(`${what} did not come`);
        await new Promise((done) => setTimeout(done, 50));
    }
}

let count = 0;
export const shot = (page, name) => page.screenshot({ path: join(shots, `${process.argv[1].match(/(\w+)\.mjs/)[1]}-${String(++count).padStart(2, "0")}-${name}.png`), fullPage: true });

// Each step needs the one before, and the first that fails ends the story, with a picture of every tab; unless they are apart.
export async function told(steps, { apart = false } = {}) {
    for (const [name, run] of Object.entries(steps)) {
        const t = Date.now();
        try {
            await run();
            console.log(`ok   ${name} (${((Date.now() - t) / 1000).toFixed(1)} s)`);
        } catch (e) {
            console.log(`FAIL ${name}\n${e.stack}`);
            for (const p of people)
                for (const [i, page] of p.context.pages().entries()) {
                    console.log(`  ${p.name}, tab ${i}: ${page.url().split("#code=")[0]} ${p.errors.slice(-5).join(" | ")}`);
                    await page.screenshot({ path: join(shots, `failed-${p.name}-${i}.png`), timeout: 5000 }).catch(() => {});
                }
            process.exitCode = 1;
            if (!apart)
                break;
        }
    }
    for (const p of people)
        await p.browser.close();
    process.stdin.destroy();
}
