// What happened in the clan lately, the newest first, and what waits for a signature.
import { html } from "../lib.js";
import { lists, now } from "../store.js";
import { ago, t, when } from "../text.js";
import { Badge, Empty, Head, commandOf } from "../parts/basic.js";
import { Table } from "../parts/table.js";

const at = (e) => e.wall ?? e.time;

export default function Activity() {
    const p = lists.proposals.value;
    return html`<${Head} title=${t("page.activity")} sub=${t("activity.sub")} />
        <h2>${t("proposals")}</h2><div class="asked">${!p.length ? html`<p class="card quiet">${t("proposals.none")}</p>` : html`<${Table} label=${t("proposals")} rows=${p} keyOf=${(x) => x.id} columns=${[
            { name: t("command"), show: (x) => html`<code>${commandOf(x.words || [])}</code>` }, { name: t("state"), show: (x) => html`<${Badge} state=${x.state} />` },
            { name: t("invite.by"), kind: "mid", show: (x) => x.by }, { name: t("time"), kind: "mid", show: (x) => ago(at(x), now.value) }]} />`}</div><h2>${t("events")}</h2>
        <${Table} label=${t("page.activity")} rows=${lists.activity.value} keyOf=${(e) => e.id ?? `${at(e)} ${e.what}`} search=${(e) => `${e.what} ${e.machine} ${e.service} ${e.kind}`} columns=${[
            { name: t("what"), show: (e) => html`<span dir="auto" title=${e.what}>${e.what}</span>` }, { name: t("machine"), kind: "wide", show: (e) => e.machine },
            { name: t("service"), kind: "wide", show: (e) => e.service }, { name: t("time"), kind: "end", show: (e) => html`<time title=${when(at(e))}>${ago(at(e), now.value)}</time>` }]}
            empty=${html`<${Empty} icon="activity" title=${t("activity.none")} />`} />`;
}
