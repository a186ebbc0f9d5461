// The clan as seen from this machine: a line per path, and the same as a table.
import { html } from "../lib.js";
import { lists } from "../store.js";
import { link } from "../router.js";
import { rtt, t } from "../text.js";
import { Badge, Command, Empty, Head } from "../parts/basic.js";
import { Flow, flowOf } from "../parts/flow.js";
import { Table } from "../parts/table.js";
import { stateOf } from "./machines.js";

const MOST = 120;     // more than these are dots without names
const direct = (m) => !/tor|relay/.test(m.path || "");

// How wide a line is drawn: nothing to speak of, then from 1 kB, 100 kB and 10 MB a second.
const width = (m) => { const { rx, tx } = flowOf(m); return [1e3, 1e5, 1e7].filter((x) => rx + tx >= x).length; };

function Edge({ m, x, y }) {
    return html`<line x1="400" y1="250" x2=${x} y2=${y} class=${`${!m.connected ? "none" : direct(m) ? "direct" : "relay"} wide-${m.connected ? width(m) : 0}`} />`;
}

function place(i, n) {
    const rings = n <= 12 ? 1 : n <= 40 ? 2 : Math.ceil(Math.sqrt(n / 12));
    const ring = i % rings, on = Math.ceil((n - ring) / rings), a = (Math.floor(i / rings) / on) * 2 * Math.PI - Math.PI / 2 + ring * 0.35;
    const r = 0.5 + (rings === 1 ? 0.3 : 0.5 * ring / Math.max(1, rings - 1));
    return [400 + Math.cos(a) * 340 * r, 250 + Math.sin(a) * 205 * r];
}

function Node({ m, x, y, names }) {
    const label = String(m.name).length > 14 ? String(m.name).slice(0, 13) + "…" : m.name;
    const up = names && !m.self && y < 240;     // a name above does not lie on its line
    return html`<g class=${"node " + (m.self ? "self" : m.connected ? "on" : "out")}>
        ${m.self || m.connected ? html`<circle cx=${x} cy=${y} r=${m.self ? 13 : names ? 9 : 4} />` : html`<rect x=${x - (names ? 8 : 3)} y=${y - (names ? 8 : 3)} width=${names ? 16 : 6} height=${names ? 16 : 6} rx="3" />`}
        ${(names || m.self) && html`<text x=${x} y=${up ? y - (m.rtt_us ? 30 : 16) : y + 26} text-anchor="middle">${label}</text>${m.rtt_us ? html`<text class="small" x=${x} y=${up ? y - 16 : y + 40} text-anchor="middle">${rtt(m.rtt_us)}</text>` : null}`}</g>`;
}

export default function Map_() {
    const all = lists.machines.value, self = all.find((m) => m.self), others = all.filter((m) => !m.self), names = others.length <= 30;
    const drawn = others.slice(0, MOST).map((m, i, list) => [m, ...place(i, list.length)]);
    return html`<${Head} title=${t("page.map")} sub=${t("map.sub")} />
        ${all.length < 2 ? html`<${Empty} icon="map" title=${t("map.none")}><a class="button" href=${link("invite")}>${t("invite.one")}</a></${Empty}>` : html`
        <section class="card map"><svg viewBox="0 0 800 500" role="img" aria-label=${t("map.label", { n: others.length })}>
            ${drawn.map(([m, x, y]) => html`<${Edge} key=${m.id} m=${m} x=${x} y=${y} />`)}
            ${drawn.map(([m, x, y]) => html`<${Node} key=${m.id} m=${m} x=${x} y=${y} names=${names} />`)}
            ${self && html`<${Node} m=${self} x=${400} y=${250} />`}</svg>
        <p class="legend"><span><svg width="32" height="8" aria-hidden="true"><line class="direct" x1="0" y1="4" x2="32" y2="4" /></svg>${t("map.direct")}</span>
            <span><svg width="32" height="8" aria-hidden="true"><line class="relay" x1="0" y1="4" x2="32" y2="4" /></svg>${t("map.relay")}</span>
            <span><svg width="32" height="8" aria-hidden="true"><line class="none" x1="0" y1="4" x2="32" y2="4" /></svg>${t("map.out")}</span>
            ${others.length > MOST && html`<span>${t("map.more", { n: others.length - MOST })}</span>`}</p></section>
        <${Table} label=${t("map.table")} rows=${others} keyOf=${(m) => m.id} href=${(m) => link("machine", m.name)} search=${(m) => `${m.name} ${m.path}`} columns=${[
            { name: t("machine"), by: (m) => m.name, show: (m) => html`<b dir="auto">${m.name}</b>` },
            { name: t("state"), by: stateOf, show: (m) => html`<${Badge} state=${stateOf(m)} />` },
            { name: t("path"), kind: "mid", by: (m) => m.path || "", show: (m) => m.path },
            { name: t("round.trip"), kind: "number mid", by: (m) => m.rtt_us || 1e12, show: (m) => rtt(m.rtt_us) },
            { name: t("traffic"), kind: "number wide", by: (m) => m.rx_bytes + m.tx_bytes, show: (m) => html`<${Flow} m=${m} />` }]} />`}
        <${Command} words=${["status"]} />`;
}
