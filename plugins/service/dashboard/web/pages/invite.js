// Inviting a machine: the link with its QR code, shown once it is signed, and the invitations that are open.
import { html, useState } from "../lib.js";
import { has, post } from "../api.js";
import { lists, now } from "../store.js";
import { seconds, span, t } from "../text.js";
import { Badge, Command, Empty, Head, Icon, Trouble, copy, useGet } from "../parts/basic.js";
import { Change, Propose } from "../parts/propose.js";
import { Table } from "../parts/table.js";

export function Qr({ text }) {
    const { value, error } = useGet(async () => has("/qr") && post("/qr", { text }), [text]);
    return html`<${Trouble} error=${error} />${value && html`<svg class="qr" viewBox=${`-4 -4 ${value.size + 8} ${value.size + 8}`} role="img" aria-label=${t("qr")}>
        <rect x="-4" y="-4" width=${value.size + 8} height=${value.size + 8} class="paper" /><path d=${value.path} class="ink" /></svg>`}`;
}

const Link = (p) => /^clan:/.test(p.result || "") ? html`<div class="link"><${Qr} text=${p.result} /><div><p>${t("invite.ready")}</p>
    <textarea readonly rows="4" dir="ltr" aria-label=${t("invite.link")} onFocus=${(e) => e.target.select()}>${p.result}</textarea>
    <button class="primary" onClick=${() => copy(p.result)}><${Icon} name="copy" />${t("copy.link")}</button><p class="quiet">${t("invite.secret")}</p></div></div>` : html`<p>${t("invite.made")}</p>`;

const left = (i) => { const s = seconds(i.expires); return s === null ? "" : s > now.value ? span(s - now.value) : t("over"); };

export default function Invite() {
    const [name, setName] = useState(""), [uses, setUses] = useState("1"), [expires, setExpires] = useState("1h"), [again, setAgain] = useState(0);
    const [withdraw, setWithdraw] = useState(null);
    const words = ["invite", ...(name ? ["--for", name] : []), ...(uses !== "1" ? ["--uses", uses] : []), ...(expires !== "1h" ? ["--expires", expires] : [])];
    return html`<${Head} title=${t("page.invite")} sub=${t("invite.sub")} />
        <section class="card" key=${again}><h2>${t("invite.new")}</h2><form class="fields" onSubmit=${(e) => e.preventDefault()}>
            <label>${t("invite.for")}<input value=${name} dir="auto" maxlength="63" placeholder="laptop" onInput=${(e) => setName(e.target.value)} /></label>
            <label>${t("invite.uses")}<input type="number" min="1" max="64" value=${uses} onInput=${(e) => setUses(e.target.value || "1")} /></label>
            <label>${t("invite.expires")}<select value=${expires} onChange=${(e) => setExpires(e.target.value)}>${["10m", "1h", "24h", "7d"].map((x) => html`<option key=${x} value=${x}>${t("for." + x)}</option>`)}</select></label></form>
            <${Propose} words=${words} label=${t("invite.make")}>${Link}</${Propose}>
            <button class="ghost" onClick=${() => setAgain(again + 1)}>${t("invite.again")}</button></section>
        <h2>${t("invite.list")}</h2>
        <${Table} label=${t("invite.list")} rows=${lists.invitations.value} keyOf=${(i) => i.id} search=${(i) => `${i.for} ${i.by} ${i.state} ${(i.guests || []).join(" ")}`} columns=${[
            { name: t("invite.for.short"), by: (i) => i.for || "", show: (i) => html`<b dir="auto">${i.for || t("anybody")}</b>` },
            { name: t("state"), by: (i) => i.state, show: (i) => html`<${Badge} state=${i.state} />` },
            { name: t("invite.used"), kind: "number mid", by: (i) => i.used, show: (i) => `${i.used} / ${i.uses}` },
            { name: t("invite.left"), kind: "mid", by: (i) => seconds(i.expires) || 0, show: left },
            { name: t("invite.guests"), kind: "wide", show: (i) => (i.guests || []).join(", ") },
            { name: t("invite.by"), kind: "wide", show: (i) => i.by },
            { name: t("withdraw"), kind: "end", show: (i) => i.state === "open" ? html`<button class="small" onClick=${() => setWithdraw(i)}>${t("withdraw")}<span class="hidden" dir="auto"> ${i.for}</span></button>` : "" }]}
            empty=${html`<${Empty} icon="invite" title=${t("invite.none")} />`} /><${Command} words=${["invite", "list"]} />
        ${withdraw && html`<${Change} title=${t("withdraw.title")} words=${["invite", "withdraw", withdraw.id]} danger=${true} close=${() => setWithdraw(null)} />`}`;
}
