// What moves between this machine and another: now, and since it is connected.
import { html } from "../lib.js";
import { flow } from "../store.js";
import { bytes, perSecond } from "../text.js";

export const flowOf = (m) => flow.value.get(String(m.id)) || { rx: 0, tx: 0 };

// Alone in a component: what moves is drawn anew, not the table around it.
export function Flow({ m }) {
    const now = flowOf(m);
    return m.self ? null : html`<span class="flow"><span>↓ ${perSecond(now.rx)}</span><small>${bytes(m.rx_bytes)}</small><span>↑ ${perSecond(now.tx)}</span><small>${bytes(m.tx_bytes)}</small></span>`;
}
