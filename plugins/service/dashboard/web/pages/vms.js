// The clan's virtual machines: where each runs, what it uses of what it was given, and the commands that start and stop it.
import { html } from "../lib.js";
import { lists, now } from "../store.js";
import { go, link } from "../router.js";
import { ago, bytes, digits, t, when } from "../text.js";
import { Badge, Command, Empty, Facts, Head, Icon } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { Table } from "../parts/table.js";

const MB = 1e6, GB = 1e9;
const used = (part, all) => all > 0 && part != null ? Math.min(1, Math.max(0, part / all)) : 0;

// Full is said by its length and, from nine tenths, by colour and mark; the figures stand beside it.
function Meter({ part, all, unit }) {
    if (!all)
        return "";
    const share = used(part, all);
    return html`<span class=${"meter " + (share >= .97 ? "bad" : share >= .9 ? "warn" : "")}><span>${share >= .9 && html`<${Icon} name="warn" /> <span class="hidden">${t("vms.full")}: </span>`}${part == null ? bytes(all * unit) : t("of", { part: bytes(part * unit), all: bytes(all * unit) })}</span>
        ${part != null && html`<svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect class="all" width="100" height="6" rx="1" /><rect class="part" width=${share * 100} height="6" rx="1" /></svg>`}</span>`;
}
const Memory = ({ v }) => html`<${Meter} part=${v.memory_used_mb} all=${v.memory_mb} unit=${MB} />`;
const Disk = ({ v }) => html`<${Meter} part=${v.disk_used_gb} all=${v.disk_gb} unit=${GB} />`;

// What can be done to it is done on its machine, by its owner: nothing of it changes the clan, so nobody signs.
function One({ v }) {
    const stopped = v.state === "stopped" || v.state === "failed";
    return html`<${Dialog} title=${v.name} close=${() => go("vms")} wide=${true}><p><${Badge} state=${v.state} /> ${v.why}</p>
        <${Facts} rows=${[[t("runs.on"), html`<a href=${link("machine", v.machine)}>${v.machine}</a>`], [t("vms.memory"), html`<${Memory} v=${v} />`], [t("vms.disk"), html`<${Disk} v=${v} />`],
            [t("vms.cpus"), v.cpus && digits(0).format(v.cpus)], [t("owner"), v.owner], [t(stopped ? "vms.stopped" : "vms.since"), v.since && `${when(v.since)} (${ago(v.since, now.value)})`]]} />
        <p class="label">${t("vms.do", { machine: v.machine })}</p>
        ${stopped ? html`<${Command} words=${["vm", "start", v.name]} />` : html`<${Command} words=${["vm", "console", v.name]} /><${Command} words=${["vm", "stop", v.name]} />
            <details><summary>${t("vms.hangs")}</summary><p>${t("vms.force")}</p><${Command} words=${["vm", "stop", v.name, "--force"]} /></details>`}</${Dialog}>`;
}

export default function Vms({ arg }) {
    const rows = lists.vms.value, one = arg && rows.find((v) => v.name === arg);
    return html`<${Head} title=${t("page.vms")} sub=${t("vms.sub")} />
        <${Table} label=${t("page.vms")} rows=${rows} keyOf=${(v) => v.id} href=${(v) => link("vms", v.name)} search=${(v) => `${v.name} ${v.machine} ${v.state} ${v.owner}`} columns=${[
            { name: t("vms.name"), by: (v) => v.name, show: (v) => html`<b dir="auto">${v.name}</b>` },
            { name: t("state"), by: (v) => v.state, show: (v) => html`<${Badge} state=${v.state} />` },
            { name: t("runs.on"), kind: "mid", by: (v) => v.machine, show: (v) => html`<span dir="auto">${v.machine}</span>` },
            { name: t("vms.memory"), kind: "mid", by: (v) => -used(v.memory_used_mb, v.memory_mb), show: (v) => html`<${Memory} v=${v} />` },
            { name: t("vms.disk"), kind: "wide", by: (v) => -used(v.disk_used_gb, v.disk_gb), show: (v) => html`<${Disk} v=${v} />` },
            { name: t("vms.cpus"), kind: "number widest", by: (v) => -v.cpus, show: (v) => v.cpus },
            { name: t("owner"), kind: "widest", by: (v) => v.owner || "", show: (v) => html`<span dir="auto">${v.owner}</span>` }]}
            empty=${html`<${Empty} icon="vms" title=${t("vms.none")} text=${t("vms.none.text")} />`} />
        <${Command} words=${["vm", "list"]} />${one && html`<${One} key=${one.id} v=${one} />`}`;
}
