// A change that needs an admin's signature: its command, what it does to clan.yaml, and how far the asking is.
import { html, useState } from "../lib.js";
import { drop, has, post, session } from "../api.js";
import { lists } from "../store.js";
import { t } from "../text.js";
import { Action, Badge, Command, Icon, Trouble, foreign, useGet } from "./basic.js";
import { Dialog } from "./dialog.js";
import { Diff } from "./diff.js";

export const mayPropose = () => has("/proposals") && !!session.value && session.value.owner && session.value.role !== "guest";

export function Waiting({ id, children }) {
    const p = lists.proposals.value.find((x) => String(x.id) === String(id));
    if (!p)
        return html`<p class="quiet" role="status">${t("proposal.sent")}</p>`;
    const over = ["done", "refused", "failed"].includes(p.state);
    return html`<div class="waiting" role="status"><p><${Badge} state=${over ? p.state : "waiting"} /> ${over ? p.text && p.state !== "done" ? foreign(p.text) : ""
        : p.signer ? t("proposal.waits") : t("proposal.nobody")}</p>
        ${!over && !p.signer && html`<${Command} words=${["sign", "--watch"]} />`}
        ${!over && html`<${Action} kind="ghost" run=${() => drop("/proposals/" + encodeURIComponent(id))}>${t("proposal.drop")}</${Action}>`}
        ${p.state === "done" && children ? children(p) : null}</div>`;
}

export function Propose({ words, text, label, danger, disabled, children }) {
    const [id, setId] = useState(null);
    const send = async () => setId((await post("/proposals", text === undefined ? { words } : { words, text })).id);
    return html`<div class="propose">
        ${id !== null ? html`<${Waiting} id=${id} children=${children} />`
            : mayPropose() ? html`<${Action} run=${send} kind=${danger ? "danger" : "primary"} disabled=${disabled}>${label || t("proposal.ask")}</${Action}>
                <p class="quiet"><${Icon} name="key" />${t("proposal.needs")}</p>` : html`<p class="quiet">${t("proposal.not.you")}</p>`}
        <p class="label">${t("same.command")}</p><${Command} words=${words} /></div>`;
}

// The question before a change, with the lines of clan.yaml that it touches.
export function Change({ title, words, label, danger, close, lead }) {
    const { value, error } = useGet(async () => has("/preview") && post("/preview", { words }), [words.join(" ")]);
    return html`<${Dialog} title=${title} close=${close} wide=${true}>${lead && html`<p>${lead}</p>`}
        <${Trouble} error=${error} />${value && value.diff && html`<${Diff} lines=${value.diff} />`}
        <${Propose} words=${words} label=${label} danger=${danger} /></${Dialog}>`;
}
