// What is kept of each service, how old it is, and when it was last proved that it can be restored.
import { html } from "../lib.js";
import { lists, now } from "../store.js";
import { go, link } from "../router.js";
import { ago, bytes, seconds, span, t, when } from "../text.js";
import { Badge, Command, Empty, Facts, Head } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { Table } from "../parts/table.js";

const PROOF = 31 * 86400, SAID = 3;      // a drill a month; so many troubles are spelt out above the table

// What a reader must know of it, the worst first: [rank, tone, state].
function judge(b, at) {
    const last = seconds(b.last), next = seconds(b.next), proof = seconds(b.verified);
    if (last === null)
        return b.state === "running" ? [4, "busy", "running"] : [0, "bad", "no backup"];
    if (b.state === "failed")
        return [1, "bad", "failed"];
    if (next !== null && at > next + Math.max(3600, next - last))     // it missed its turn, and the one after
        return [2, "warn", "old"];
    if (proof === null || at - proof > PROOF)
        return [3, "warn", "untested"];
    return b.state === "running" ? [4, "busy", "running"] : [5, "good", "ok"];
}
const State = ({ j }) => html`<${Badge} as=${j[1]} state=${j[2]} />`;
const Age = ({ time }) => html`<time title=${when(time)}>${ago(time, now.value)}</time>`;
const ahead = (time) => { const s = seconds(time); return s === null ? "" : s > now.value ? t("in", { span: span(s - now.value) }) : t("backups.due"); };

// One line of trouble in words: which, what of it, what to do.
const Trouble = ({ b, j }) => html`<li class=${"line " + j[1]}><${State} j=${j} /><div><strong><a href=${link("backups", b.service)}>${b.service}</a>: ${t("backups." + j[2], { span: span(now.value - (seconds(j[0] === 3 ? b.verified : b.last) ?? now.value)) })}</strong>
    <p>${j[0] === 3 ? t("backups.untested.do") : b.why || t("backups.late.do")}</p></div></li>`;

function One({ b, j }) {
    const name = b.service;
    return html`<${Dialog} title=${name} close=${() => go("backups")} wide=${true}><p><${State} j=${j} /> ${b.why}</p>
        <${Facts} rows=${[[t("backups.last"), html`<${Age} time=${b.last} />`], [t("backups.verified"), html`<${Age} time=${b.verified} />`], [t("backups.next"), ahead(b.next)],
            [t("backups.on"), (b.on || []).join(", ")], [t("backups.size"), b.size_bytes != null && bytes(b.size_bytes)], [t("backups.kept"), b.kept]]} />
        ${seconds(b.last) !== null && html`<h3>${t("backups.restore")}</h3><p>${t("backups.dry")}</p><${Command} words=${["backup", "restore", name, "--dry-run"]} />
        <p>${t("backups.real")}</p><${Command} words=${["backup", "restore", name]} />
        <h3>${t("backups.prove")}</h3><p>${t("backups.prove.text")}</p><${Command} words=${["backup", "drill", name]} />`}</${Dialog}>`;
}

export default function Backups({ arg }) {
    const minute = now.value - now.value % 60;      // judged by the minute: a table does not turn every second
    const all = lists.backups.value.map((b) => [b, judge(b, minute)]).sort((a, b) => a[1][0] - b[1][0]);
    const wrong = all.filter(([, j]) => j[0] < 4), one = arg && all.find(([b]) => b.service === arg);
    return html`<${Head} title=${t("page.backups")} sub=${t("backups.sub")} />
        ${wrong.length > 0 ? html`<ul class="lines">${wrong.slice(0, SAID).map(([b, j]) => html`<${Trouble} key=${b.id} b=${b} j=${j} />`)}</ul>
            ${wrong.length > SAID && html`<p class="quiet">${t("backups.more", { n: wrong.length - SAID })}</p>`}`
            : all.length > 0 && html`<div class="line good"><${Badge} state="ok" /><div><strong>${t("backups.good")}</strong></div></div>`}
        <${Table} label=${t("page.backups")} rows=${all} keyOf=${([b]) => b.id} href=${([b]) => link("backups", b.service)} search=${([b, j]) => `${b.service} ${(b.on || []).join(" ")} ${j[2]}`} columns=${[
            { name: t("service"), by: ([b]) => b.service, show: ([b]) => html`<b dir="auto">${b.service}</b>` },
            { name: t("state"), by: ([, j]) => j[0], show: ([, j]) => html`<${State} j=${j} />` },
            { name: t("backups.last"), kind: "mid", by: ([b]) => -(seconds(b.last) || 0), show: ([b]) => html`<${Age} time=${b.last} />` },
            { name: t("backups.verified"), kind: "mid", by: ([b]) => -(seconds(b.verified) || 0), show: ([b]) => html`<${Age} time=${b.verified} />` },
            { name: t("backups.next"), kind: "widest", by: ([b]) => seconds(b.next) || 0, show: ([b]) => ahead(b.next) },
            { name: t("backups.on"), kind: "wide", show: ([b]) => html`<span dir="auto">${(b.on || []).join(", ")}</span>` },
            { name: t("backups.size"), kind: "number widest", by: ([b]) => -b.size_bytes, show: ([b]) => b.size_bytes == null ? "" : bytes(b.size_bytes) }]}
            empty=${html`<${Empty} icon="backups" title=${t("backups.none")} text=${t("backups.none.text")} />`} />
        <${Command} words=${["backup", "list"]} />${one && html`<${One} key=${one[0].id} b=${one[0]} j=${one[1]} />`}`;
}
