// Where services ran and why they moved: a lane per machine, a mark per move, "why here?", and the same as a table.
import { html, useLayoutEffect, useRef, useState } from "../lib.js";
import { lists, now } from "../store.js";
import { go } from "../router.js";
import { ago, digits, language, seconds, span, t, when, word } from "../text.js";
import { Badge, Command, Empty, Facts, Head } from "../parts/basic.js";
import { Table } from "../parts/table.js";

const STEP = 18, LANES = 8, LANE = 46, SIDE = 14;     // pixels; the machines that saw most get a lane of their own
// A cause has a shape, a colour and a word; one that is not known here a ring of dots.
const CAUSES = {
    "planned": ["good", "M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12z"], "drill": ["busy", "M8 1l7 7-7 7-7-7z"], "takeover": ["warn", "M4.6 2h6.8l3.4 6-3.4 6H4.6L1.2 8z"],
    "unhealthy": ["warn", "M8 1.6l7 12.4H1z"], "heartbeat lost": ["bad", "M2.2 2.2h11.6v11.6H2.2z"],
};
const other = ["off", "M8 2.6a5.4 5.4 0 1 1 0 10.8a5.4 5.4 0 1 1 0-10.8z"];
const causeOf = (r) => Object.hasOwn(CAUSES, r.cause) ? CAUSES[r.cause] : other;
const Mark = ({ r, at }) => html`<path class=${"cause " + causeOf(r)[0]} d=${causeOf(r)[1]} transform=${at} />`;
const Cause = ({ r }) => html`<span class=${"badge " + causeOf(r)[0]}><svg class="i" viewBox="0 0 16 16" aria-hidden="true"><${Mark} r=${r} /></svg>${word(r.cause)}</span>`;

const took = (r) => r.took_ms == null ? "" : r.took_ms < 60000 ? `${digits(1).format(r.took_ms / 1000)} s` : span(r.took_ms / 1000);
const Lost = ({ r }) => html`<${Badge} as=${r.lost_s == null ? "off" : r.lost_s ? "warn" : "good"} state=${r.lost_s == null ? t("history.lost.unknown") : r.lost_s ? t("history.lost.last", { span: span(r.lost_s) }) : t("history.lost.none")} />`;
const Move = ({ r }) => html`<span><bdi>${r.from || t("nothing")}</bdi> → <bdi>${r.to}</bdi></span>`;
const short = (name, most) => String(name).length > most ? String(name).slice(0, most - 1) + "…" : name;

// The machines of these moves, those of the clan's list in its order; above LANES the rarest share the last one.
function lanesOf(rows) {
    const seen = new Map();
    for (const r of rows)
        for (const name of [r.from, r.to])
            if (name)
                seen.set(name, (seen.get(name) || 0) + 1);
    const most = [...seen].sort((a, b) => b[1] - a[1]).map(([name]) => name);
    const own = most.slice(0, most.length > LANES ? LANES - 1 : LANES), place = new Map(lists.machines.value.map((m, i) => [m.name, i]));
    own.sort((a, b) => (place.get(a) ?? 1e9) - (place.get(b) ?? 1e9));
    return { own, rest: most.length - own.length, at: (name) => own.includes(name) ? own.indexOf(name) : own.length };
}

// Nights and bursts on one line: a gap grows with the logarithm of its time, so that each mark keeps its place to be seen.
function across(times, width) {
    const gaps = times.map((x, i) => i ? Math.log1p(Math.max(0, x - times[i - 1]) / 60) : 0), sum = gaps.reduce((a, b) => a + b, 0) || 1;
    const room = Math.max(0, width - STEP * (times.length - 1));
    let x = 0;
    return gaps.map((g, i) => { x += i ? STEP + room * g / sum : 0; return x; });
}

function useWidth() {
    const ref = useRef(), [width, setWidth] = useState(0);
    useLayoutEffect(() => {
        const watch = new ResizeObserver(([e]) => setWidth(Math.floor(e.contentRect.width)));
        watch.observe(ref.current);
        return () => watch.disconnect();
    }, []);
    return [ref, width];
}

function Lanes({ rows, one, chosen, choose }) {
    const [ref, width] = useWidth(), inner = width - 2 * SIDE;
    const drawn = rows.slice(0, Math.max(1, Math.min(60, Math.floor(inner / STEP) - 1))).reverse(), lanes = lanesOf(drawn);
    const xs = across([...drawn.map((r) => seconds(r.time) || 0), now.value - now.value % 60], inner).map((x) => Math.round(x) + SIDE);     // it moves on by the minute
    const y = (name) => lanes.at(name) * LANE + 32, count = lanes.own.length + (lanes.rest ? 1 : 0), bottom = count * LANE + 8, end = xs.at(-1);
    const day = (r) => new Date((seconds(r.time) || 0) * 1000).toLocaleDateString(language.value, { day: "numeric", month: "short" });
    // Each label is the day of the mark above it; where there is no room it is left out.
    const labels = [];
    drawn.forEach((r, i) => {
        const last = labels.at(-1);
        if (xs[i] <= width - 96 && (!last || xs[i] - last[0] > (last[0] < 40 ? 84 : 64) && day(r) !== last[1]))
            labels.push([xs[i], day(r)]);
    });
    return html`<div ref=${ref} class="lanes">${width > 0 && html`<svg width=${width} height=${bottom + 24} viewBox=${`0 0 ${width} ${bottom + 24}`} role="img" aria-label=${t("history.label", { n: drawn.length })}>
        ${Array.from({ length: count }, (_, i) => html`<line key=${i} class="lane" x1=${SIDE} x2=${end} y1=${i * LANE + 32} y2=${i * LANE + 32} />`)}
        ${one && drawn.map((r, i) => html`<line key=${r.id} class="held" x1=${xs[i]} x2=${xs[i + 1]} y1=${y(r.to)} y2=${y(r.to)} />`)}
        ${drawn.map((r, i) => r.from && html`<line key=${r.id} class="moved" x1=${xs[i]} x2=${xs[i]} y1=${y(r.from)} y2=${y(r.to)} />`)}
        ${[...lanes.own, ...lanes.rest ? [null] : []].map((name, i) => html`<text key=${i} class="name" x=${SIDE} y=${i * LANE + 16}>${name === null ? t("history.others", { n: lanes.rest }) : short(name, Math.floor(width / 12))}</text>`)}
        ${drawn.map((r, i) => html`<g key=${r.id} class="move" data-id=${r.id} onClick=${() => choose(r.id)}><title>${`${r.service}: ${r.from || t("nothing")} → ${r.to}, ${word(r.cause)}, ${when(r.time)}`}</title>
            <rect x=${xs[i] - 9} y=${y(r.to) - 16} width="18" height="32" /><${Mark} r=${r} at=${`translate(${xs[i] - 8} ${y(r.to) - 8})`} />
            ${r.id === chosen && html`<circle class="chosen" cx=${xs[i]} cy=${y(r.to)} r="13" />`}</g>`)}
        ${labels.map(([x, text]) => html`<text key=${x} class="day" x=${x} y=${bottom + 16} text-anchor=${x < 40 ? "start" : "middle"}>${text}</text>`)}
        <text class="day" x=${end} y=${bottom + 16} text-anchor="end">${t("history.today")}</text></svg>`}
        <p class="legend">${[...new Map(drawn.map((r) => [causeOf(r) === other ? "" : r.cause, r])).values()].map((r) => html`<${Cause} key=${r.cause} r=${r} />`)}
            <span>${t("history.scale")}${drawn.length < rows.length ? " " + t("history.newest", { n: drawn.length }) : ""}</span></p></div>`;
}

function Why({ r, rows, choose, heading }) {
    const i = rows.indexOf(r);
    return html`<section class="card why"><h2 ref=${heading} tabindex="-1"><bdi>${r.service}</bdi>: <${Move} r=${r} /></h2>
        <${Facts} rows=${[[t("history.cause"), html`<${Cause} r=${r} />`], [t("history.lost"), html`<${Lost} r=${r} />`], [t("time"), `${when(r.time)} (${ago(r.time, now.value)})`], [t("history.took"), took(r)], [t("history.why"), r.why || t("history.why.none")]]} />
        ${r.others?.length > 0 && html`<p class="label">${t("history.not")}</p><ul class="rows">${r.others.slice(0, 20).map((o, j) => html`<li key=${j}><b dir="auto">${o.machine}</b><span class="quiet grow">${o.why}</span></li>`)}</ul>`}
        <div class="acts"><button class="small" disabled=${i >= rows.length - 1} onClick=${() => choose(rows[i + 1].id)}>${t("history.earlier")}</button>
            <button class="small" disabled=${i < 1} onClick=${() => choose(rows[i - 1].id)}>${t("history.later")}</button></div></section>`;
}

export default function History({ arg }) {
    const [id, choose] = useState(null), heading = useRef();
    const all = lists.history.value, names = [...new Set(all.map((r) => r.service))].sort();
    const rows = arg ? all.filter((r) => r.service === arg) : all;
    const r = rows.find((x) => x.id === id) || rows[0];     // until one is chosen, the newest
    const why = (x) => { choose(x.id); heading.current.focus(); };
    return html`<${Head} title=${t("page.history")} sub=${t("history.sub")}>${(names.length > 1 || arg) && html`<label class="single">${t("service")}
            <select value=${arg} onChange=${(e) => go("history", e.target.value)}><option value="">${t("history.all")}</option>
            ${(arg && !names.includes(arg) ? [arg, ...names] : names).slice(0, 500).map((n) => html`<option key=${n} value=${n}>${n}</option>`)}</select></label>`}</${Head}>
        ${!r ? html`<${Empty} icon="history" title=${t(arg ? "history.none.of" : "history.none", { name: arg })} text=${t("history.none.text")} />` : html`
        <section class="card"><${Lanes} rows=${rows} one=${arg || names.length === 1} chosen=${r.id} choose=${choose} /></section>
        <${Why} r=${r} rows=${rows} choose=${choose} heading=${heading} />
        <${Table} label=${t("history.table")} rows=${rows} keyOf=${(x) => x.id} search=${(x) => `${x.service} ${x.from} ${x.to} ${x.cause} ${word(x.cause)}`} columns=${[
            ...arg ? [] : [{ name: t("service"), by: (x) => x.service, show: (x) => html`<b dir="auto">${x.service}</b>` }],
            { name: t("history.why"), show: (x) => html`<button class="small" onClick=${() => why(x)}><${Move} r=${x} /><span class="hidden"> ${x.service}, ${when(x.time)}</span></button>` },
            { name: t("history.cause"), kind: "mid", by: (x) => x.cause, show: (x) => html`<${Cause} r=${x} />` },
            { name: t("history.took"), kind: "number widest", by: (x) => x.took_ms ?? 1e12, show: took },
            { name: t("history.lost"), kind: "wide", by: (x) => x.lost_s ?? 1e12, show: (x) => html`<${Lost} r=${x} />` },
            { name: t("time"), kind: "mid", by: (x) => seconds(x.time) || 0, show: (x) => html`<time title=${when(x.time)}>${ago(x.time, now.value)}</time>` }]} />`}
        <${Command} words=${["history", ...arg ? [arg] : []]} />`;
}
