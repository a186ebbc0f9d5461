// What the clan offers: where it runs, whether it is up, why not, and the way in.
import { html, useState } from "../lib.js";
import { has } from "../api.js";
import { lists } from "../store.js";
import { go, link } from "../router.js";
import { t } from "../text.js";
import { Badge, Command, Empty, Facts, Head, Icon, foreign } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { Change } from "../parts/propose.js";
import { Table } from "../parts/table.js";

// Only an address of the web becomes a link; what a peer wrote may be anything.
const safe = (url) => /^https?:\/\/[^\s]+$/i.test(url || "") ? url : null;
const Open = ({ s }) => s.open_to_me !== false && safe(s.url) ? html`<a class="button small" href=${safe(s.url)} target="_blank" rel="noopener noreferrer">${t("open")}<${Icon} name="open" /><span class="hidden" dir="auto">${s.name}</span></a>`
    : html`<span class="quiet">${s.open_to_me === false ? t("not.for.you") : ""}</span>`;

function One({ s }) {
    const [asks, setAsks] = useState(false);
    const close = () => go("services");
    if (asks)
        return html`<${Change} title=${t("disable.name", { name: s.name })} lead=${t("disable.text")} words=${["disable", s.name]} danger=${true} close=${() => { setAsks(false); close(); }} />`;
    return html`<${Dialog} title=${s.name} close=${close}><p><${Badge} state=${s.state} /> ${foreign(s.why)}</p>${s.remedy && html`<p>${foreign(s.remedy)}</p>`}
        <${Facts} rows=${[[t("runs.on"), s.host], [t("plugin"), s.plugin], [t("address"), html`<code>${s.address}</code>`], [t("port"), s.port], [t("who.may"), (s.allow || []).join(", ")], [t("url"), html`<code>${s.url}</code>`]]} />
        <div class="acts"><${Open} s=${s} />${has("/history") && html`<a class="button" href=${link("history", s.name)}><${Icon} name="history" />${t("page.history")}</a>`}<button class="danger" onClick=${() => setAsks(true)}>${t("disable")}</button></div>
        <${Command} words=${["services"]} /></${Dialog}>`;
}

export default function Services({ arg }) {
    const rows = lists.services.value;
    const one = arg && rows.find((s) => s.name === arg);
    const columns = [
        { name: t("service"), by: (s) => s.name, show: (s) => html`<b dir="auto">${s.name}</b>` },
        { name: t("state"), by: (s) => s.state, show: (s) => html`<${Badge} state=${s.state} />` },
        { name: t("runs.on"), kind: "mid", by: (s) => s.host, show: (s) => s.host },
        { name: t("why"), kind: "wide", show: (s) => s.why },
        { name: t("who.may"), kind: "wide", show: (s) => (s.allow || []).join(", ") },
        { name: t("open"), kind: "end", show: (s) => html`<${Open} s=${s} />` },
    ];
    return html`<${Head} title=${t("page.services")} sub=${t("services.sub")}>${has("/plugins") && html`<a class="button primary" href=${link("catalogue")}><${Icon} name="catalogue" />${t("enable.one")}</a>`}</${Head}>
        <${Table} label=${t("page.services")} columns=${columns} rows=${rows} keyOf=${(s) => s.name} href=${(s) => link("services", s.name)}
            search=${(s) => `${s.name} ${s.host} ${s.plugin} ${s.state}`}
            empty=${html`<${Empty} icon="services" title=${t("services.none")} text=${t("services.none.text")}>${has("/plugins") ? html`<a class="button" href=${link("catalogue")}>${t("page.catalogue")}</a>` : html`<${Command} words=${["plugin", "list"]} />`}</${Empty}>`} />
        <${Command} words=${["services"]} />${one && html`<${One} key=${one.name} s=${one} />`}`;
}
