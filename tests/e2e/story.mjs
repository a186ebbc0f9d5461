// The whole story by clicking, with daemons: a clan, an invitation, a join, a service that moves, a daemon that dies.
import assert from "node:assert/strict";
import { Person, heading, lab, press, shot, told, turned } from "./lab.mjs";

const times = [];
let nas, laptop, phone, page, second, there, signer, link, words;

// What the page asked for is signed by the person at the terminal, who reads it first.
async function signs(...expected) {
    const shown = await lab("says", signer, "Sign this? [y/N] ");
    for (const text of expected)
        assert.ok(shown.includes(text), `the terminal shows ${text}: ${shown}`);
    await lab("type", signer, "y");
}

// Only by Tab to it, and that key.
async function by_keys(tab, text, key) {
    for (let i = 0; i < 25; i++) {
        await tab.keyboard.press("Tab");
        if (await tab.evaluate((t) => document.activeElement.textContent.trim() === t, text))
            return tab.keyboard.press(key);
    }
    assert.fail(`${text} is not reached by Tab`);
}

// The services page of that tab says that files are there, and its button opens them.
async function opened_on(tab, machine) {
    await turned(tab, "Services");
    const files = tab.locator("tr[data-row]").filter({ hasText: "files" });
    await files.filter({ hasText: machine }).filter({ hasText: "up" }).waitFor();
    const [opened] = await Promise.all([tab.context().waitForEvent("page"), files.getByRole("link", { name: "Open files" }).click()]);
    await opened.waitForFunction(() => document.title === "Shared files");
    assert.equal(opened.url(), "http://files.home.clan/");
    assert.equal(await opened.evaluate(() => performance.getEntriesByType("navigation")[0].responseStatus), 200);
    await shot(opened, `files-of-${machine}`);
    await opened.close();
}

const row = (tab, name) => tab.locator("tr[data-row] b").getByText(name, { exact: true });

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
        await page.getByLabel("For which machine").fill("laptop");
        await press(page, "Make the invitation");
        await signs("clan invite --for laptop");
        const box = page.getByLabel("Invitation link");
        await box.waitFor();
        link = await box.inputValue();
        assert.match(link, /^clan:\/\/join\//);
        await page.getByRole("img", { name: "QR code" }).waitFor();
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
        times.push((performance.now() - opened) / 1000);
        console.log(`     from the link opened to "you are in": ${times[0].toFixed(2)} s, 2 questions`);
        assert.equal(shown, words.replaceAll("-", " "));
        await shot(there, "you-are-in");
        await there.getByRole("link", { name: "Open the dashboard" }).click();
        await there.waitForSelector(".tiles");
    },
    async "both machines are seen from both; a second tab is signed in by the first"() {
        await turned(page, "Machines");
        await turned(there, "Machines");
        await page.getByText("online").waitFor();
        await there.getByText("online").waitFor();
        await shot(page, "machines");
        second = await nas.tab(new URL("/", page.url()).href);
        await second.waitForSelector(".tiles");
        await turned(second, "Machines");
        assert.equal(await second.locator("tr[data-row]").count(), 2);
    },
    async "a service is chosen from the catalogue, signed, and opened on the other machine"() {
        await turned(page, "Catalogue");
        await shot(page, "catalogue");
        await page.getByRole("button", { name: "Enable files" }).click();
        const box = page.getByRole("dialog");
        await box.getByText("place: {on: nas}").waitFor();
        await shot(page, "enable");
        await press(box, "Ask for the signature");
        await signs("clan enable files --on nas", "place: {on: nas}");
        await box.getByText("done").waitFor();
        await press(box, "Close");
        await opened_on(there, "nas");
        await turned(page, "Services");
        await shot(page, "services");
    },
    async "it is moved by editing the configuration"() {
        await turned(page, "Configuration");
        const yaml = page.getByLabel("clan.yaml");
        await page.waitForFunction(() => document.getElementById("yaml").value.includes("place: {on: nas}"));
        const text = await yaml.inputValue();
        await yaml.fill(text.replace("place: {on: nas}", "place: {on: nowhere"));
        await page.locator(".near").waitFor();
        assert.equal(await page.getByRole("button", { name: "Ask for the signature" }).count(), 0, "nothing to sign with an error in it");
        await shot(page, "configuration-error");
        await yaml.fill(text.replace("place: {on: nas}", "place: {on: laptop}"));
        await page.locator(".near").getByText("laptop").waitFor();   // which has its name from its invitation
        await press(page, "Name laptop in this file");
        await page.locator(".diff .plus").getByText("place: {on: laptop}").waitFor();
        await shot(page, "configuration");
        await press(page, "Ask for the signature");
        await signs("clan config apply", "on: laptop");
        await page.getByText("Version 4 counts now").waitFor();
        await opened_on(there, "laptop");
    },
    async "a third machine joins by keyboard alone, and every open page shows it"() {
        phone = await Person.at("phone");
        const question = await phone.tab();
        await turned(page, "Invite");
        await press(page, "Start again");
        await page.getByLabel("For which machine").fill("phone");
        await press(page, "Make the invitation");
        await signs("clan invite --for phone");
        const box = page.getByLabel("Invitation link");
        await box.waitFor();
        const opened = performance.now();
        await question.goto(await lab("open", "phone", await box.inputValue()));
        await by_keys(question, "Ask", "Enter");
        await question.waitForSelector(".never");
        await by_keys(question, "Join a clan", "Space");
        await heading(question, "You are in");
        times.push((performance.now() - opened) / 1000);
        console.log(`     by keyboard: ${times[1].toFixed(2)} s`);
        assert.ok(Math.min(...times) < 5, "five seconds; others may use this computer: the better of two counts");
        await by_keys(question, "Open the dashboard", "Enter");
        await question.waitForSelector(".tiles");
        for (const tab of [page, there])
            await turned(tab, "Machines");
        for (const tab of [page, second, there])
            await row(tab, "phone").waitFor();
    },
    async "a core that is killed is followed by another, and the pages go on"() {
        await turned(page, "Invite");
        assert.equal(await lab("kill", "nas", "^clan-core home"), 1);
        await lab("again", "nas", "invite", "--for", "attic");
        await row(page, "attic").waitFor();
        assert.equal(await page.locator(".away").count(), 0);
        await turned(page, "Machines");
    },
    async "nothing answers: old data is grey and says its age; then all tabs are back, signed in as before"() {
        await lab("falls", "nas");
        for (const tab of [page, second])
            await tab.waitForSelector("main.stale .away");
        await page.getByText(/[3-9] seconds old/).waitFor();
        assert.ok(await page.locator("tr[data-row]").count() === 3, "what was known is still shown");
        await shot(page, "away");
        await turned(page, "Map");   // which was never looked at
        await turned(page, "Machines");
        await lab("rises", "nas");
        for (const tab of [page, second])
            await tab.waitForSelector(".away", { state: "detached" });
        await page.locator("tr[data-row]").getByText("online").first().waitFor();
        await shot(page, "back");
    },
    async "another machine is looked at over the network, where its owner allows it"() {
        await lab("sh", "nas", "sed -i 's/dashboard: {allow: \\[api.session\\]}/dashboard: {allow: [api.session, net.service]}/' /etc/clan/machine.yaml");
        await lab("clan", "nas", "machine", "apply", "--yes");
        await lab("clan", "nas", "enable", "dashboard", "--as", "nas-ui", "--on", "nas", "--allow", "laptop", "--yes");
        const look = await laptop.tab(await lab("shows", "laptop", "ui", "nas"));
        await look.waitForSelector(".tiles");
        assert.equal(look.url(), "http://nas-ui.home.clan/#/");
        await look.getByText("looking from laptop, reading only").waitFor();
        await turned(look, "Machines");
        await look.locator("tr[data-row]").filter({ hasText: "nas" }).filter({ hasText: "this machine" }).waitFor();
        await turned(look, "Catalogue");
        assert.equal(await look.getByRole("button", { name: "Ask for the signature" }).count(), 0);
        await shot(look, "looked-at-from-laptop");
        await press(look, "Sign out");
        await look.getByText("clan ui nas-ui").waitFor();
        await look.close();
    },
    async "no page complained"() {
        const own = (text) => !text.includes("net::ERR_");   // those are of the time when nothing answered
        assert.deepEqual([nas, laptop, phone].flatMap((p) => p.errors).filter(own), []);
    },
};

await told(steps);
