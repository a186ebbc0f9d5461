// The whole story by clicking, with daemons: a clan, an invitation, a join, a service that moves, a daemon that dies.
import assert from "node:assert/strict";
import { Person, heading, lab, press, shot, told, turned } from "./lab.mjs";

let nas, laptop, page, there, signer, link, words;

// What the page asked for is signed by the person at the terminal, who reads it first.
async function signs(...expected) {
    const shown = await lab("says", signer, "Sign this? [y/N] ");
    for (const text of expected)
        assert.ok(shown.includes(text), `the terminal shows ${text}: ${shown}`);
    await lab("type", signer, "y");
}

const steps = {
    async "first run: a clan is made, its recovery words are shown once"() {
        nas = await Person.at("nas");
        page = await nas.tab(await lab("ui", "nas"));
        await heading(page, "Welcome");
        await shot(page, "welcome");
        await page.locator(".choice").first().click();
        await press(page, "Create a clan");
        await page.waitForSelector(".words");
        assert.equal(await page.locator(".words li").count(), 12);
        await page.getByRole("checkbox").check();
        await shot(page, "recovery-words");
        await press(page, "Go on");
        await page.getByRole("link", { name: "Open the dashboard" }).click();
        await page.waitForSelector(".tiles");
        assert.match(page.url(), /^http:\/\/127\.\d+\.117\.1:7180\/#\/$/);
        await shot(page, "overview-alone");
    },
    async "an invitation is asked for on the page and signed at the terminal"() {
        signer = await lab("terminal", "nas", "sign", "--watch");
        await turned(page, "Invite");
        await press(page, "Make the invitation");
        await signs("clan invite");
        const box = page.getByLabel("Invitation link");
        await box.waitFor();
        link = await box.inputValue();
        assert.match(link, /^clan:\/\/join\//);
        await shot(page, "invitation");
    },
    async "the link is opened on another machine: three questions at most, and it is in"() {
        laptop = await Person.at("laptop");
        there = await laptop.tab();
        words = (await lab("json", "nas", "status")).at(-1).words;
        const opened = performance.now();
        await there.goto(await lab("open", "laptop", link));
        await press(there, "Ask");
        await there.waitForSelector(".never");
        const shown = (await there.locator("section.card > .words li").allTextContents()).join(" ");
        await press(there, "Join a clan");
        await heading(there, "You are in");
        const took = (performance.now() - opened) / 1000;
        console.log(`     from the link opened to "you are in": ${took.toFixed(2)} s, 2 questions`);
        assert.equal(shown, words.replaceAll("-", " "));
        assert.ok(took < 5, "five seconds");
        await shot(there, "you-are-in");
        await there.getByRole("link", { name: "Open the dashboard" }).click();
        await there.waitForSelector(".tiles");
    },
    async "both machines are seen from both"() {
        await turned(page, "Machines");
        await turned(there, "Machines");
        await page.getByText("online").waitFor();
        await there.getByText("online").waitFor();
        await shot(page, "machines");
    },
};

await told(steps);
