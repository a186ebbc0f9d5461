// What needs the signatures of several admins: who asks, what it changes, who has signed, how many are missing.
import { html, useState } from "../lib.js";
import { lists, now } from "../store.js";
import { ago, seconds, span, t, when } from "../text.js";
import { Badge, Command, Empty, Head, Icon, commandOf } from "../parts/basic.js";
import { Diff } from "../parts/diff.js";

const PAGE = 12, SOON = 3600, MARKS = 16;
const signed = (q) => (q.have || []).length;
const missing = (q) => Math.max(0, (q.need || 0) - signed(q));
const left = (q) => { const s = seconds(q.expires); return s === null ? Infinity : s - now.value; };
const stateOf = (q) => !missing(q) ? "done" : left(q) <= 0 ? "expired" : "waiting";
const isOpen = (q) => stateOf(q) === "waiting";

// A mark for each signature that it needs: full and ticked, or an empty place.
const Places = ({ q }) => q.need <= MARKS && html`<span class="places" aria-hidden="true">${Array.from({ length: q.need }, (_, i) => html`<span key=${i} class=${i < signed(q) ? "good" : "none"}><${Icon} name=${i < signed(q) ? "good" : "off"} /></span>`)}</span>`;

function One({ q, open }) {
    const state = stateOf(q), s = left(q);
    return html`<article class="card request"><header><h2><code>${commandOf(q.words || [])}</code></h2><${Badge} state=${state} /></header>
        <p class="quiet">${t("requests.asked", { by: q.by, ago: ago(q.time, now.value) })}</p>
        <div class="acts"><${Places} q=${q} /><strong>${t("requests.signed", { have: signed(q), need: q.need })}</strong>
            ${state === "waiting" && html`<span>${t("requests.missing", { n: missing(q) })}</span>`}
            ${state === "waiting" && s < Infinity && html`<span class=${"badge " + (s < SOON ? "warn" : "")} title=${when(q.expires)}>${s < SOON && html`<${Icon} name="warn" />`}${t("requests.left", { span: span(s) })}</span>`}</div>
        ${signed(q) > 0 && html`<ul class="events">${q.have.slice(0, 64).map((h, i) => html`<li key=${i}><${Icon} name="key" /><span dir="auto">${h.who}</span><time title=${when(h.time)}>${ago(h.time, now.value)}</time></li>`)}</ul>`}
        ${q.diff?.length > 0 && html`<details open=${open}><summary>${t("diff")}</summary><${Diff} lines=${q.diff} /></details>`}
        ${state === "waiting" && (q.mine ? html`<p class="quiet">${t("requests.you")}</p>` : html`<p class="quiet">${t("requests.sign")}</p><${Command} words=${["sign"]} />`)}</article>`;
}

export default function Requests() {
    const [pages, setPages] = useState(1), [filter, setFilter] = useState("");
    const all = lists.requests.value, wanted = filter.trim().toLowerCase();
    // What still waits comes first, the one that ends soonest before the others; then what is over, the newest first.
    const found = all.filter((q) => !wanted || `${commandOf(q.words || [])} ${q.by} ${(q.have || []).map((h) => h.who).join(" ")}`.toLowerCase().includes(wanted))
        .map((q) => [q, isOpen(q) ? 0 : 1, isOpen(q) ? left(q) : -(seconds(q.time) || 0)]).sort((a, b) => a[1] - b[1] || a[2] - b[2]).map(([q]) => q);
    const shown = found.slice(0, pages * PAGE), next = shown.find((q) => isOpen(q) && !q.mine);
    return html`<${Head} title=${t("page.requests")} sub=${t("requests.sub")} />
        ${(all.length > 6 || filter) && html`<label class="filter"><${Icon} name="search" /><span class="hidden">${t("filter")}</span><input type="search" value=${filter} placeholder=${t("filter")} onInput=${(e) => { setFilter(e.target.value); setPages(1); }} />
            <span class="quiet" role="status">${t("rows", { n: found.length })}</span></label>`}
        ${!found.length && (wanted ? html`<p class="quiet pad">${t("filter.none")}</p>` : html`<${Empty} icon="requests" title=${t("requests.none")} text=${t("requests.none.text")} />`)}
        ${shown.map((q) => html`<${One} key=${q.id} q=${q} open=${q === next} />`)}
        ${shown.length < found.length && html`<button onClick=${() => setPages(pages + 1)}>${t("requests.more", { n: Math.min(PAGE, found.length - shown.length) })}</button>`}
        ${!found.length && html`<${Command} words=${["sign"]} />`}`;
}
