// A link was opened. First question, before anything is dialled: ask that address? Second: what the signed facts
// say, what the clan may do on this machine, and what never.
import { html, useState } from "../lib.js";
import { post } from "../api.js";
import { lists, now } from "../store.js";
import { seconds, span, t } from "../text.js";
import { Action, Command, Empty, Facts, Head, Icon, Trouble, Words } from "../parts/basic.js";

const act = (q, what, as) => () => post("/join/" + encodeURIComponent(q.id), as ? { act: what, as } : { act: what });

function Ask({ q }) {
    return html`<${Head} title=${t("join.ask")} sub=${t("join.ask.text")} /><section class="card"><p class="label">${t("join.addresses")}</p>
        <ul class="plain">${(q.endpoints || []).map((e, i) => html`<li key=${i}><code>${e}</code></li>`)}</ul><p class="quiet">${t("join.unknown")}</p></section>
        <div class="acts"><${Action} run=${act(q, "no")}>${t("cancel")}</${Action}><${Action} kind="primary" run=${act(q, "ask")}>${t("join.ask.do")}</${Action}></div>`;
}

function Question({ q }) {
    const f = q.facts || {};
    const [as, setAs] = useState(f.suggested_petname || f.petname || f.clan || "");
    const left = seconds(f.expires);
    return html`<${Head} title=${t("join.title", { clan: f.clan })} sub=${t("join.invited", { inviter: f.inviter || t("unknown") })} />
        <section class="card"><p class="label">${t("join.words")}</p><${Words} text=${f.words} /><p class="quiet">${t("join.compare", { inviter: f.inviter || t("unknown") })}</p>
        ${f.inviter_words && html`<details><summary>${t("join.inviter.words")}</summary><${Words} text=${f.inviter_words} /></details>`}
        <${Facts} rows=${[[t("join.for"), f.for_name], [t("invite.left"), left ? span(left - now.value) : ""], [t("join.door"), f.door]]} /></section>
        <div class="two"><section class="card"><h2>${t("join.may")}</h2><ul class="asks">${["a", "b", "c"].map((x) => html`<li key=${x}><${Icon} name="good" /><span>${t("join.may." + x)}</span></li>`)}</ul></section>
        <section class="card"><h2>${t("join.never")}</h2><ul class="asks never">${["a", "b", "c"].map((x) => html`<li key=${x}><${Icon} name="bad" /><span>${t("join.never." + x)}</span></li>`)}</ul></section></div>
        <label class="single">${t("join.as")}<input value=${as} maxlength="32" pattern="[a-z0-9][a-z0-9\\-]*" onInput=${(e) => setAs(e.target.value)} /></label>
        <div class="acts"><${Action} run=${act(q, "no")}>${t("cancel")}</${Action}><${Action} kind="primary" disabled=${!as} run=${act(q, "yes", as)}>${t("join")}</${Action}></div>`;
}

function Step({ q }) {
    if (q.step === "ask")
        return html`<${Ask} q=${q} />`;
    if (q.step === "facts")
        return html`<${Question} q=${q} />`;
    if (q.step === "joined")
        return html`<${Head} title=${t("join.done", { clan: q.facts?.clan || "" })} sub=${t("join.done.text")} />${/^http:\/\/[\w.:-]+\/#/.test(q.url || "") ? html`<div class="acts"><a class="button primary" href=${q.url}>${t("first.open")}</a></div>` : html`<${Command} words=${["ui"]} />`}`;
    if (q.step === "failed")
        return html`<${Head} title=${t("join.failed")} /><${Trouble} error=${q.error || { what: t("join.failed") }} /><div class="acts"><${Action} run=${act(q, "no")}>${t("close")}</${Action}></div>`;
    return html`<${Head} title=${t(q.step === "joining" ? "join.joining" : "join.asking")} /><p role="status" class="progress"><${Icon} name="busy" />${q.progress || t("moment")}</p><div class="acts"><${Action} run=${act(q, "no")}>${t("cancel")}</${Action}></div>`;
}

export default function Join() {
    const all = lists.questions.value, q = all.find((x) => x.step !== "waits");
    return html`<div class="splash wide"><svg class="logo" aria-hidden="true"><use href="/icons.svg#logo" /></svg>${q ? html`<${Step} key=${q.id + q.step} q=${q} />` : html`<${Head} title=${t("join")} /><${Empty} icon="invite" title=${t("join.nothing")} text=${t("join.terminal")} />`}
        ${all.length > 1 && html`<p class="quiet" role="status">${t("join.more", { n: all.length - 1 })}</p>`}${q?.step !== "joined" && html`<p class="quiet">${t("same.command")}</p><${Command} words=${["join"]} />`}</div>`;
}
