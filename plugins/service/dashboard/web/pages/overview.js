// The first thing to see: what is wrong, then how many machines and services are there, then what happened.
import { html, useRef } from "../lib.js";
import { lists, now, status } from "../store.js";
import { link } from "../router.js";
import { ago, seconds, t } from "../text.js";
import { has, post, session } from "../api.js";
import { Action, Badge, Command, Empty, Facts, Head, Icon, Words, foreign, tone, useRoom } from "../parts/basic.js";

const none = [];
const reached = (m) => m.self || m.connected;

export function Health({ lines }) {
    const room = useRoom([lines]);
    return html`<section ref=${room} class="room" aria-label=${t("health")}><${Lines} lines=${lines} /></section>`;
}

function Lines({ lines }) {
    const invited = lines.find((x) => String(x.code).includes("invit"));
    if (!lines.length)
        return html`<div class="line good"><${Icon} name="good" /><div><strong>${t("health.good")}</strong><p>${t("health.good.text")}</p></div></div>`;
    const rank = { alarm: 0, warning: 1, note: 2 };
    return html`<ul class="lines">${[...lines].sort((a, b) => rank[a.severity] - rank[b.severity]).map((x, i) => html`
        <li key=${x.code + i} class=${"line " + tone(x.severity)}><${Badge} state=${x.severity} /><div><strong>${foreign(x.what)}</strong>${x.remedy && html`<p>${foreign(x.remedy)}</p>`}</div>
            ${x === invited && session.value?.owner && html`<div class="acts"><${Action} run=${() => post("/alarms/dismiss")}>${t("alarms.dismiss")}</${Action}></div>`}</li>`)}</ul>`;
}

export function EventRow({ e }) {
    return html`<li><${Icon} name=${e.service ? "services" : e.machine ? "machines" : "activity"} /><span>${foreign(e.what)}</span>
        <time>${ago(e.wall ?? e.time, now.value)}</time></li>`;
}

// Once it was there it stays, when nothing waits any more, too.
function Pending({ list }) {
    const was = useRef(false), room = useRoom([list.length]), n = list.length;
    was.current ||= n > 0;
    return was.current && html`<section ref=${room} class=${"line " + (n ? "busy" : "good")}><${Icon} name=${n ? "busy" : "good"} /><div><strong>${n ? t("pending", { n }) : t("pending.none")}</strong>
        ${list.map((p) => html`<${Command} key=${p.id} words=${p.words} />`)}</div></section>`;
}

export default function Overview() {
    const s = status.value;
    const machines = lists.machines.value, services = lists.services.value;
    const here = machines.filter(reached).length, up = services.filter((x) => x.state === "up").length;
    const pending = lists.proposals.value.filter((p) => !["done", "refused", "failed"].includes(p.state));
    const open = lists.requests.value.filter((q) => (q.have || []).length < q.need && !(seconds(q.expires) <= now.value)).length;
    const recent = lists.activity.value.slice(0, 6);
    return html`<${Head} title=${s.clan || s.petname} sub=${t("overview.sub", { machine: s.machine })}><a class="button primary" href=${link("invite")}><${Icon} name="invite" />${t("invite.one")}</a></${Head}>
        <${Health} lines=${s.health || none} />
        <div class="tiles">
            <a class="card tile" href=${link("machines")}><span>${t("page.machines")}</span><b>${here}<small> / ${machines.length}</small></b><em>${t("tile.reached")}</em></a>
            <a class="card tile" href=${link("services")}><span>${t("page.services")}</span><b>${up}<small> / ${services.length}</small></b><em>${t("tile.up")}</em></a>
            <a class="card tile" href=${has("/config") ? link("config") : undefined}><span>${t("page.config")}</span><b>${s.config_version}</b><em>${t(s.catching_up ? "tile.behind" : "tile.newest")}</em></a>
        </div>
        <div class="two">
            <section class="card"><h2>${t("page.services")}</h2>
                ${services.length ? html`<ul class="rows">${services.slice(0, 6).map((x) => html`<li key=${x.name}><a href=${link("services", x.name)}>${foreign(x.name)}</a><span class="quiet">${foreign(x.host)}</span><${Badge} state=${x.state} /></li>`)}</ul>`
        : html`<${Empty} icon="services" title=${t("services.none")} text=${t("services.none.text")}>${has("/plugins") ? html`<a class="button" href=${link("catalogue")}>${t("page.catalogue")}</a>` : html`<${Command} words=${["plugin", "list"]} />`}</${Empty}>`}</section>
            ${has("/activity") && html`<section class="card"><h2>${t("recent")}</h2>
                ${recent.length ? html`<ul class="events">${recent.map((e) => html`<${EventRow} key=${e.id ?? `${e.wall ?? e.time}${e.what}`} e=${e} />`)}</ul>` : html`<p class="quiet">${t("activity.none")}</p>`}</section>`}
        </div>
        <${Pending} list=${pending} />
        ${open > 0 && has("/requests") && html`<section class="line busy"><${Icon} name="busy" /><div><a href=${link("requests")}><strong>${t("requests.open", { n: open })}</strong></a></div></section>`}
        <section class="card"><h2>${t("this.clan")}</h2><${Facts} rows=${[
            [t("clan"), s.clan], [t("this.machine"), `${s.machine}.${s.petname}.clan`], [t("address"), html`<code>${s.address}</code>`],
            [t("standing"), html`<${Badge} state=${s.standing} />`], [t("version"), s.version]]} />
            ${s.words && html`<p class="label">${t("clan.words")}</p><${Words} text=${s.words} />`}
            <${Command} words=${["status"]} /></section>`;
}
