// One machine: what it is, how it is reached now and before, what runs there, its key in words.
import { html, useEffect, useRef, useState } from "../lib.js";
import { get, has, post } from "../api.js";
import { lists, now } from "../store.js";
import { go, link } from "../router.js";
import { ago, rtt, span, t, when } from "../text.js";
import { Action, Badge, Command, Empty, Facts, Head, Trouble, Words, foreign, useGet } from "../parts/basic.js";
import { Flow } from "../parts/flow.js";
import { Change } from "../parts/propose.js";
import { stateOf } from "./machines.js";

function Paths({ m }) {
    const { value, error } = useGet(() => get(`/machines/${encodeURIComponent(m.name)}/paths`), [m.name, m.path, m.connected]);
    const paths = value?.paths || [], history = value?.history || [];
    return html`<section class="card"><h2>${t("paths")}</h2><${Trouble} error=${error} />
        ${paths.length ? html`<ul class="rows">${paths.map((p, i) => html`<li key=${p.transport + i}><b>${foreign(p.transport)}</b>
            <span class="quiet grow">${foreign(p.barred || p.why || p.via)}</span><span class="number">${foreign(rtt(p.rtt_us))}</span>
            <${Badge} state=${p.in_use ? "in use" : p.barred ? "barred" : p.connected ? "connected" : p.state} /></li>`)}</ul>` : value && html`<p class="quiet">${t("paths.none")}</p>`}
        ${history.length > 0 && html`<h3>${t("before")}</h3><ul class="events">${history.map((e, i) => html`<li key=${i}><span>${t("path.turned", { from: e.from || t("nothing"), to: e.to || t("nothing"), why: e.why })}</span><time>${when(e.time)}</time></li>`)}</ul>`}
        <${Command} words=${["paths", m.name]} /></section>`;
}

function Ping({ m }) {
    const [r, set] = useState(null);
    return html`<section class="card"><h2>${t("ping")}</h2><p class="quiet">${t("ping.text")}</p>
        <${Action} run=${async () => set(await post(`/machines/${encodeURIComponent(m.name)}/ping`))}>${t("ping.do")}</${Action}>
        ${r && html`<p role="status"><${Badge} state=${r.reachable ?? r.connected ? "up" : "out of reach"} /> ${foreign(rtt(r.control_rtt_us ?? r.rtt_us))} ${foreign(r.path || "")} ${foreign(r.refusal || "")}</p>`}
        <${Command} words=${["ping", m.name]} /></section>`;
}

function Rename({ m }) {
    const [name, setName] = useState(""), [asks, setAsks] = useState(false);
    return html`<section class="card"><h2>${t("rename")}</h2><p class="quiet">${t("rename.text")}</p>
        <form class="acts" onSubmit=${(e) => { e.preventDefault(); setAsks(true); }}><label class="single">${t("rename.to")}<input value=${name} required dir="auto" maxlength="32" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" autocomplete="off" onInput=${(e) => setName(e.target.value)} /></label>
        <button>${t("rename")}</button></form>
        ${asks && html`<${Change} title=${t("rename.title", { name: m.name, to: name })} words=${["machines", "rename", m.name, name]} close=${() => { setAsks(false); setName(""); }} />`}</section>`;
}

export default function Machine({ arg }) {
    const [removing, setRemoving] = useState(false), id = useRef();
    const all = lists.machines.value, m = all.find((x) => x.name === arg), renamed = !m && all.find((x) => x.id === id.current);
    useEffect(() => {
        if (m)
            id.current = m.id;
        else if (renamed)
            go("machine", renamed.name);    // the page follows its machine
    }, [m?.id, renamed?.name]);
    if (!m)
        return html`<${Head} title=${arg} /><${Empty} icon="machines" title=${t("machine.gone")}><a class="button" href=${link("machines")}>${t("page.machines")}</a></${Empty}>`;
    const services = lists.services.value.filter((s) => s.host === m.name);
    return html`<${Head} title=${m.name} sub=${html`<${Badge} state=${stateOf(m)} />`} />
        <div class="two"><section class="card"><h2>${t("machine")}</h2><${Facts} rows=${[
            [t("address"), html`<code>${m.address}</code>`], [t("path"), m.path], [t("round.trip"), rtt(m.rtt_us)],
            [t("traffic"), m.self ? "" : html`<${Flow} m=${m} />`],
            [t("last.seen"), m.self ? "" : m.connected ? t("now") : ago(m.last_seen, now.value)], [t("owner"), m.person || m.owner],
            [t("tags"), (m.tags || []).join(", ")], [t("demand"), m.demand], [t("phone"), m.phone_behind],
            [t("keeper"), m.keeper ? t("yes") : ""], [t("admin"), m.admin ? t("yes") : ""], [t("page.config"), m.acked_version],
            [t("clock"), m.clock_offset_s ? span(Math.abs(m.clock_offset_s)) : ""]]} />
            ${m.words && html`<p class="label">${t("machine.words")}</p><${Words} text=${m.words} />`}</section>
        ${m.self || !has("/machines", "/paths") ? null : html`<${Paths} m=${m} />`}
        <section class="card"><h2>${t("page.services")}</h2>${services.length ? html`<ul class="rows">${services.map((s) => html`<li key=${s.name}><a href=${link("services", s.name)}>${foreign(s.name)}</a><${Badge} state=${s.state} /></li>`)}</ul>` : html`<p class="quiet">${t("machine.no.services")}</p>`}</section>
        ${m.self || !has("/machines", "/ping") ? null : html`<${Ping} m=${m} />`}</div>
        <${Rename} key=${m.id} m=${m} />
        ${m.self ? null : html`<section class="card danger"><h2>${t("remove")}</h2><p>${t("remove.text", { name: m.name })}</p><button class="danger" onClick=${() => setRemoving(true)}>${t("remove.do", { name: m.name })}</button></section>`}
        ${removing && html`<${Change} title=${t("remove.do", { name: m.name })} lead=${t("remove.text", { name: m.name })} words=${["remove", m.name]} danger=${true} close=${() => setRemoving(false)} />`}`;
}
