// What a change does to clan.yaml, line by line; far from a change the lines are left out.
import { html } from "../lib.js";
import { t } from "../text.js";

const NEAR = 3;

export function Diff({ lines }) {
    const all = lines || [];
    const shown = all.map((_, i) => all.slice(Math.max(0, i - NEAR), i + NEAR + 1).some((x) => x.op === "+" || x.op === "-"));
    if (!shown.includes(true))
        return html`<p class="quiet">${t("diff.same")}</p>`;
    const rows = [];
    all.forEach((x, i) => {
        if (x.op === "@") {
            if (i)
                rows.push(html`<div key=${i} class="gap">…</div>`);
        } else if (shown[i])
            rows.push(html`<div key=${i} class=${x.op === "+" ? "plus" : x.op === "-" ? "minus" : ""}><span>${x.op}</span>${x.text}</div>`);
        else if (i && shown[i - 1])
            rows.push(html`<div key=${i} class="gap">…</div>`);
    });
    return html`<pre class="diff" tabindex="0" role="region" aria-label=${t("diff")}>${rows}</pre>`;
}
