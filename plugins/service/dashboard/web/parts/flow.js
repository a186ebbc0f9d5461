// What moves between this machine and another: now, and since it is connected.
import { html } from "../lib.js";
import { flow } from "../store.js";
import { bytes, perSecond } from "../text.js";
import { foreign } from "./basic.js";

export const flowOf = (m) => flow.value.get(String(m.id)) || { rx: 0, tx: 0 };

// Alone in a component: what moves is drawn anew, not the table around it.
export function Flow({ m }) {
    const now = flowOf(m);
    return m.self ? null : html`<span class="flow">${[["↓", now.rx, m.rx_bytes], ["↑", now.tx, m.tx_bytes]].map(([way, rate, all]) =>
        html`<span>${foreign(`${way} ${perSecond(rate)}`)}</span><small>${foreign(bytes(all))}</small>`)}</span>`;
}
