// What the installed plugins offer, with what each wants to do here; enabling one asks where and shows the change.
import { html, useState } from "../lib.js";
import { lists, status } from "../store.js";
import { t } from "../text.js";
import { has, post } from "../api.js";
import { Badge, Command, Empty, Head, Icon, Trouble, foreign, useGet } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { Diff } from "../parts/diff.js";
import { Propose } from "../parts/propose.js";

const idOf = (p) => p.id || p.plugin;
// What people sign in to runs on every machine that allows it; clan.yaml has no row for it.
const isService = (p) => (!p.kind || /service/.test(p.kind)) && ![...p.asks || [], ...p.granted || []].some((a) => (a.word || a) === "api.session");

function Asks({ p }) {
    const asks = p.asks?.length ? p.asks : p.granted || [];
    if (!asks.length)
        return html`<p class="quiet">${t("asks.none")}</p>`;
    const granted = new Set(p.granted || []);
    return html`<ul class="asks">${asks.map((a) => { const w = a.word || a; return html`<li key=${w}><${Icon} name=${granted.has(w) ? "good" : "off"} /><span>${foreign(a.lets || p.means?.[w] || w)}
        <small><bdi>${w}</bdi> · ${t(granted.has(w) ? "granted" : "not.granted")}</small></span></li>`; })}</ul>`;
}

// One of the plugin's questions, as fits its kind; what is wrong is said beside it, and nothing goes out.
const wrong = (s, v) => s.kind === "number" ? !/^(0|-?[1-9][0-9]*)$/.test(v) || v < s.min || v > s.max
    : s.kind === "text" && (new TextEncoder().encode(v).length > s.max || (!v && !!s.preset) || /[\u0000-\u001f\u007f]/.test(v));

function Question({ s, value, set }) {
    const text = html`<span dir="auto">${s.question}</span>`;
    if (s.kind === "yes-no")
        return html`<label class="tick"><input type="checkbox" checked=${value === "true"} onChange=${(e) => set(String(e.target.checked))} />${text}</label>`;
    if (s.kind === "choice")
        return html`<label>${text}<select value=${value} onChange=${(e) => set(e.target.value)}>${s.choices.map((c) => html`<option key=${c} value=${c}>${c}</option>`)}</select></label>`;
    const bad = wrong(s, value), hint = s.kind === "number" ? t("enable.number", { min: s.min, max: s.max }) : t("enable.text", { n: s.max });
    return html`<label>${text}<input value=${value} inputmode=${s.kind === "number" ? "numeric" : undefined} dir="auto" placeholder=${s.preset} aria-invalid=${bad} aria-describedby=${bad ? "hint-" + s.key : undefined}
        onInput=${(e) => set(e.target.value)} />${bad && html`<small id=${"hint-" + s.key} class="bad">${hint}</small>`}</label>`;
}

function Enable({ p, close }) {
    const [on, setOn] = useState(status.value.machine);
    const [name, setName] = useState("");
    const [answers, setAnswers] = useState({});
    const asked = p.settings || [], said = (s) => answers[s.key] ?? s.preset;
    const bad = asked.some((s) => wrong(s, said(s)));
    const words = ["enable", idOf(p), ...(name ? ["--as", name] : []), "--on", on,
        ...asked.filter((s) => said(s) !== s.preset && !wrong(s, said(s))).flatMap((s) => ["--set", `${s.key}=${said(s)}`])];
    const { value, error } = useGet(async () => has("/preview") && post("/preview", { words }), [words.join(" ")]);
    return html`<${Dialog} title=${t("enable.name", { name: p.title || idOf(p) })} close=${close} wide=${true}><form class="fields" onSubmit=${(e) => e.preventDefault()}>
        <label>${t("enable.where")}<select value=${on} onChange=${(e) => setOn(e.target.value)}>${lists.machines.value.filter((m) => !m.phone_behind).map((m) => html`<option key=${m.id} value=${m.name} dir="auto">${m.name}</option>`)}</select></label>
        <label>${t("enable.called")}<input value=${name} placeholder=${idOf(p)} maxlength="63" pattern="[a-z0-9][a-z0-9\\-]*" onInput=${(e) => setName(e.target.value)} /></label>
        ${asked.map((s) => html`<${Question} key=${s.key} s=${s} value=${said(s)} set=${(v) => setAnswers({ ...answers, [s.key]: v })} />`)}</form>
        <h3>${t("asks")}</h3><${Asks} p=${p} /><h3>${t("diff")}</h3><${Trouble} error=${error} />${value && value.diff && html`<${Diff} lines=${value.diff} />`}
        <${Propose} words=${words} disabled=${!!error || bad} /></${Dialog}>`;
}

export default function Catalogue() {
    const [open, setOpen] = useState(null);
    const [filter, setFilter] = useState("");
    const [all, setAll] = useState(false);
    const found = lists.plugins.value.filter((p) => `${idOf(p)} ${p.title} ${p.description}`.toLowerCase().includes(filter.toLowerCase()));
    const shown = all ? found : found.slice(0, 60);
    return html`<${Head} title=${t("page.catalogue")} sub=${t("catalogue.sub")} />
        ${lists.plugins.value.length > 6 && html`<label class="filter"><${Icon} name="search" /><span class="hidden">${t("filter")}</span><input type="search" placeholder=${t("filter")} onInput=${(e) => setFilter(e.target.value)} /></label>`}
        ${!found.length && html`<${Empty} icon="catalogue" title=${t("catalogue.none")} text=${t("catalogue.none.text")} />`}
        <div class="cards">${shown.map((p) => html`<article class="card" key=${idOf(p)}><header><h2 dir="auto">${p.title || idOf(p)}</h2><${Badge} state=${p.state} /></header>
            ${p.description && html`<p>${foreign(p.description)}</p>`}${p.why && html`<p class="quiet">${foreign(p.why)}</p>`}${p.remedy && html`<p class="quiet">${foreign(p.remedy)}</p>`}
            <details><summary>${t("asks")}</summary><${Asks} p=${p} /></details>
            <footer><span class="quiet"><bdi>${idOf(p)} ${p.version}</bdi></span>${isService(p) && html`<button onClick=${() => setOpen(p)}>${t("enable")}<span class="hidden" dir="auto"> ${idOf(p)}</span></button>`}</footer></article>`)}</div>
        ${shown.length < found.length && html`<button onClick=${() => setAll(true)}>${t("show.all", { n: found.length })}</button>`}
        <${Command} words=${["plugin", "list"]} />${open && html`<${Enable} p=${open} close=${() => setOpen(null)} />`}`;
}
