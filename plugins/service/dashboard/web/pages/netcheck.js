// What this machine's network lets through, in plain words.
import { html, useState } from "../lib.js";
import { get } from "../api.js";
import { t } from "../text.js";
import { Badge, Command, Head, Trouble, foreign, tone, useGet } from "../parts/basic.js";

export default function Netcheck() {
    const [turn, setTurn] = useState(0);
    const { value, error, busy } = useGet(() => get("/netcheck"), [turn]);
    return html`<${Head} title=${t("page.netcheck")} sub=${t("netcheck.sub")}><button aria-busy=${!!busy} onClick=${() => setTurn(turn + 1)}>${t("check.again")}</button></${Head}>
        <${Trouble} error=${error} />${!value && !error && html`<p class="quiet" role="status">${t("checking")}</p>`}
        ${value && html`<ul class="lines" aria-live="polite">${(value.checks || []).map((c, i) => html`<li key=${c.check + i} class=${"line " + tone(c.state)}><${Badge} state=${c.state} />
            <div><strong>${foreign(c.what)}</strong>${c.why && html`<p>${foreign(c.why)}</p>`}${c.remedy && html`<p>${foreign(c.remedy)}</p>`}</div></li>`)}</ul>`}<${Command} words=${["netcheck"]} />`;
}
