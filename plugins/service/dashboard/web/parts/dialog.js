// A question in front of the page: the browser's own dialog, so that focus and Escape are as everywhere.
import { html, useEffect, useRef } from "../lib.js";
import { t } from "../text.js";
import { Icon, foreign } from "./basic.js";

export function Dialog({ title, close, wide, children }) {
    const ref = useRef();
    useEffect(() => {
        const box = ref.current, back = document.activeElement;
        box.showModal();
        return () => {
            box.close();
            if (back && back.isConnected)
                back.focus();
        };
    }, []);
    return html`<dialog ref=${ref} class=${wide ? "wide" : ""} aria-labelledby="dialog-title" onCancel=${(e) => { e.preventDefault(); close(); }}>
        <header><h2 id="dialog-title">${foreign(title)}</h2>
        <button class="ghost" onClick=${close} aria-label=${t("close")}><${Icon} name="close" /></button></header>
        <div class="inside">${children}</div></dialog>`;
}
