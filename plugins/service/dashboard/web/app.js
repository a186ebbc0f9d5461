// The frame: signs in, follows the clan, and shows the page that the address names.
import { html, render, signal, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";
import { has, learn, session, signIn, signOut, signedOut } from "./api.js";
import { away, follow, lists, loaded, now, status } from "./store.js";
import { go, link, route } from "./router.js";
import { language, preferred, span, speak, t } from "./text.js";
import { Command, Icon, Toasts, moved } from "./parts/basic.js";
import { Dialog } from "./parts/dialog.js";

const NAV = ["overview", "services", "catalogue", "machines", "vms", "map", "history", "backups", "invite", "requests", "config", "activity", "netcheck"];
const PAGES = new Set([...NAV, "machine"]);
const ALWAYS = new Set(["overview", "services", "machines", "machine", "map", "invite"]);
const there = (page) => PAGES.has(page) && (ALWAYS.has(page) || has(page === "catalogue" ? "/plugins" : "/" + page));
const mode = signal(null), failed = signal(null), finding = signal(false), menu = signal(false);
const ready = {};

// When the first page is drawn the others come too: then they are there when the clan is not.
let others = () => {
    others = () => {};
    setTimeout(() => [...PAGES].filter(there).forEach((name) => bring(name).catch(() => {})), 1500);
};
const bring = (name) => import(`./pages/${name}.js`).then((m) => { ready[name] = m.default; });

// A page comes once, and is asked for again while nothing answers.
function usePage(name) {
    const [turn, again] = useState(0), found = ready[name];
    useEffect(() => {
        const more = () => again(turn + 1);
        if (found && mode.value.mode === "clan")
            others();
        else if (!found)    // it may have come since this was drawn
            bring(name).then(more, (e) => { if (away.value || turn < 3) setTimeout(more, 1000); else failed.value = e; });
    }, [name, turn, !found]);
    return found;
}

function Page({ name, arg }) {
    const Body = usePage(name);
    useLayoutEffect(() => { moved.value++; scrollTo(0, 0); menu.value = false; }, [name, name === "machine" ? arg : ""]);
    return Body ? html`<${Body} key=${name} arg=${arg} />` : html`<p class="quiet" role="status">${t("moment")}</p>`;
}

function Find() {
    const [text, setText] = useState(""), [at, setAt] = useState(0);
    const input = useRef();
    useEffect(() => input.current.focus(), []);
    const all = [...NAV.filter(there).map((p) => [t("page." + p), t("find.page"), p, ""]), ...lists.machines.value.map((m) => [m.name, t("machine"), "machine", m.name]), ...lists.services.value.map((s) => [s.name, t("service"), "services", s.name])];
    const found = all.filter((x) => String(x[0]).toLowerCase().includes(text.toLowerCase())).slice(0, 9);
    const open = (x) => { finding.value = false; if (x) go(x[2], x[3]); };
    const key = (e) => {
        if (e.key === "ArrowDown" || e.key === "ArrowUp") {
            e.preventDefault();
            setAt(Math.max(0, Math.min(found.length - 1, at + (e.key === "ArrowDown" ? 1 : -1))));
        } else if (e.key === "Enter")
            open(found[at]);
    };
    return html`<${Dialog} title=${t("find")} close=${() => { finding.value = false; }}><input ref=${input} type="search" class="full" role="combobox" aria-expanded="true" aria-controls="found" aria-label=${t("find")}
        aria-activedescendant=${found.length ? "found-" + at : undefined} value=${text} onInput=${(e) => { setText(e.target.value); setAt(0); }} onKeyDown=${key} />
        <ul id="found" role="listbox" aria-label=${t("find")} class="found">${found.map((x, i) => html`<li key=${x[2] + x[3]} id=${"found-" + i} role="option" aria-selected=${i === at} onClick=${() => open(x)}><span dir="auto">${x[0]}</span><small>${x[1]}</small></li>`)}</ul></${Dialog}>`;
}

function theme() {
    const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
}

async function other() {
    const next = language.value === "de" ? "en" : "de";
    localStorage.setItem("language", next);
    await speak(next);
}

const Tools = () => html`<div class="tools"><button class="ghost" onClick=${theme} aria-label=${t("theme")}><${Icon} name="theme" /></button>
    <button class="ghost" onClick=${other} lang=${language.value === "de" ? "en" : "de"}>${language.value === "de" ? "English" : "Deutsch"}</button></div>`;

// Below the page, in view wherever it is scrolled: what stands above does not move when it comes.
function Away() {
    if (!away.value)
        return null;
    return html`<div class="away" role="alert"><${Icon} name="warn" /><span><strong>${t("away")}</strong> ${t("away.text", { span: span(now.value - away.value) })}</span></div>`;
}

function Signed() {
    const s = status.value, name = there(route.value.page) ? route.value.page : "overview";
    const current = name === "machine" ? "machines" : name;
    return html`<a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById("main").focus(); }}>${t("skip")}</a>
    <div class="frame"><header class="side"><div class="brand"><svg class="logo" aria-hidden="true"><use href="/icons.svg#logo" /></svg><b dir="auto">${s ? s.petname || s.clan : "Clan"}</b>
        <button class="ghost burger" aria-expanded=${menu.value} aria-controls="nav" onClick=${() => { menu.value = !menu.value; }} aria-label=${t("menu")}><${Icon} name="menu" /></button></div>
        <div id="nav" class=${menu.value ? "open" : ""}><button class="find" onClick=${() => { finding.value = true; }}><${Icon} name="search" />${t("find")}<kbd>Ctrl K</kbd></button>
        <nav aria-label=${t("nav")}>${NAV.filter(there).map((p) => html`<a key=${p} href=${link(p)} aria-current=${p === current ? "page" : undefined}><${Icon} name=${p} />${t("page." + p)}</a>`)}</nav>
        <div class="foot"><p class="quiet"><span dir="auto">${session.value?.person || s?.machine}</span> · ${session.value?.from ? t("looks.from", { name: session.value.from }) : t("role." + (session.value?.role || "member"))}</p><${Tools} /><button class="ghost" onClick=${() => signOut().catch((e) => { failed.value = e; })}>${t("sign.out")}</button></div></div></header>
    <main id="main" tabindex="-1" class=${away.value ? "stale" : ""}>${!loaded.value ? html`<p class="quiet" role="status">${t("moment")}</p>` : html`<${Page} name=${name} arg=${route.value.arg} />`}<${Away} /></main></div>
    ${finding.value && html`<${Find} />`}<${Toasts} />`;
}

function Plain({ title, text, words }) {
    useEffect(() => { document.title = `${title} · Clan`; });
    return html`<main class="splash"><svg class="logo" aria-hidden="true"><use href="/icons.svg#logo" /></svg><h1>${title}</h1><p>${text}</p>${words && html`<${Command} words=${words} />`}<${Tools} /></main><${Toasts} />`;
}

// Another machine's page is opened by the name of the service that it is.
const command = () => ["ui", ...mode.value?.service ? [mode.value.service] : []];

function App() {
    if (failed.value)
        return html`<${Plain} title=${t("failed")} text=${failed.value.what === "offline" ? t("offline") : String(failed.value.message)} words=${command()} />`;
    if (!mode.value)    // nor are words there
        return html`<p class="quiet pad" role="status">${t("moment")}</p>`;
    if (signedOut.value || !session.value)
        return html`<${Plain} title=${t("signed.out")} text=${t("signed.out.text")} words=${command()} />`;
    if (mode.value.mode === "clan")
        return html`<${Signed} />`;
    const join = mode.value.mode === "join" || lists.questions.value.length > 0;
    return html`<main id="main" tabindex="-1"><${Page} name=${join ? "join" : "first"} /><${Away} /></main><${Tools} /><${Toasts} />`;
}

addEventListener("keydown", (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "k" && session.value && mode.value?.mode === "clan") {
        e.preventDefault();
        finding.value = true;
    }
});

// Signed in, the lists come; and the page's module meanwhile.
async function entered() {
    if (!await signIn().catch((e) => { if (e.http === 401 || e.http === 403) return false; throw e; }))
        return;
    follow();
    if (ALWAYS.has(route.value.page))  // of the others it is not known yet whether they are there
        bring(route.value.page).catch(() => {});
}

async function start() {
    const kept = localStorage.getItem("theme");
    if (kept === "light" || kept === "dark")
        document.documentElement.dataset.theme = kept;
    sessionStorage.removeItem("turn");  // of boot.js
    for (let turn = 0; ; turn++) {
        const words = speak(preferred());
        try {
            const [asked] = await Promise.all([fetch("/v1/mode", { cache: "no-store" }).then((answer) => answer.json()), entered(), words, learn()]);
            mode.value = asked;
            return;
        } catch (e) {
            await words.catch(() => {});
            if (turn === 3 || !(e instanceof TypeError || e.what === "offline")) {
                failed.value = e;
                return;
            }
        }
        await new Promise((done) => setTimeout(done, 500));
    }
}

render(html`<${App} />`, document.getElementById("app"));
start();
