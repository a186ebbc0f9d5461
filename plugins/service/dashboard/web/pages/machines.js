// Every machine of the clan, and how it is reached.
import { html } from "../lib.js";
import { lists, now } from "../store.js";
import { link } from "../router.js";
import { ago, rtt, t } from "../text.js";
import { Badge, Command, Empty, Head, Icon, foreign } from "../parts/basic.js";
import { Flow } from "../parts/flow.js";
import { Table } from "../parts/table.js";

export const stateOf = (m) => m.self ? "this machine" : m.standing !== "member" ? m.standing : m.connected ? "online" : "silent";

export default function Machines() {
    const rows = lists.machines.value;
    const columns = [
        { name: t("machine"), by: (m) => m.name, show: (m) => html`<b dir="auto">${m.name}</b>` },
        { name: t("state"), by: stateOf, show: (m) => html`<${Badge} state=${stateOf(m)} />` },
        { name: t("path"), kind: "wide", by: (m) => m.path || "", show: (m) => m.path ? html`<span dir="auto" title=${m.path}>${m.path}</span>` : m.self || m.connected ? "" : t("seen", { ago: ago(m.last_seen, now.value) }) },
        { name: t("round.trip"), kind: "number mid", by: (m) => m.rtt_us || 1e12, show: (m) => rtt(m.rtt_us) },
        { name: t("traffic"), kind: "number wide", by: (m) => m.rx_bytes + m.tx_bytes, show: (m) => html`<${Flow} m=${m} />` },
        { name: t("tags"), kind: "wide", show: (m) => (m.tags || []).map((x) => html`<span class="tag" key=${x}>${foreign(x)}</span>`) },
    ];
    return html`<${Head} title=${t("page.machines")} sub=${t("machines.sub")}><a class="button primary" href=${link("invite")}><${Icon} name="invite" />${t("invite.one")}</a></${Head}>
        <${Table} label=${t("page.machines")} columns=${columns} rows=${rows} keyOf=${(m) => m.id} href=${(m) => link("machine", m.name)}
            search=${(m) => `${m.name} ${(m.tags || []).join(" ")} ${m.path} ${stateOf(m)} ${m.address}`}
            empty=${html`<${Empty} icon="machines" title=${t("machines.none")} />`} />
        <${Command} words=${["status"]} />`;
}
