// Small pieces that every page uses: icons, badges of state, the heading, commands to copy, empty lists, errors.
import { html, signal, useEffect, useLayoutEffect, useRef, useState } from "../lib.js";
import { t, word } from "../text.js";

// A text of others: of whatever direction it is, what stands beside it stays in place.
export const foreign = (x) => typeof x === "string" ? html`<bdi>${x}</bdi>` : x;

const POINTS = new Set(["open"]);   // to where lines go on
export const Icon = ({ name }) => SHAPES[name] ? html`<${SHAPES[name]} />` : html`<svg class=${POINTS.has(name) ? "i points" : "i"} aria-hidden="true"><use href=${"/icons.svg#" + name} /></svg>`;

const TONES = {
    good: ["up", "ok", "online", "member", "running", "done", "admitted", "open", "joined", "loaded", "connected", "this machine", "in use"],
    busy: ["starting", "asking", "joining", "taken", "waiting", "waits", "provisional", "catching up", "unknown", "note"],
    warn: ["warning", "not granted", "no plugin", "expired", "out of reach", "silent", "barred"],
    bad: ["alarm", "down", "failed", "fail", "failure", "problem", "removed", "refused", "broken"],
};
export function tone(state) {
    for (const name in TONES)
        if (TONES[name].includes(state))
            return name;
    return "off";
}

// The shapes of a state are drawn in the page itself: a table shows hundreds, and each <use> of a file costs a tree;
// and when nothing answers, that file does not come either.
const shape = (Form, form, mark) => () => html`<svg class="i" viewBox="0 0 16 16" aria-hidden="true"><${Form} ...${form} />${mark && html`<path class="mark" d=${mark} />`}</svg>`;
const full = { fill: "currentColor" }, ring = { cx: 8, cy: 8, r: 5.2, fill: "none", stroke: "currentColor", "stroke-width": 1.6 };
const SHAPES = {
    good: shape("circle", { cx: 8, cy: 8, r: 6, ...full }, "M5 8.2l2.1 2.1L11 6.2"),
    warn: shape("path", { d: "M8 1.8l6.6 11.8H1.4z", ...full }, "M8 6.2v3.6M8 11.6v.4"),
    bad: shape("rect", { x: 2.2, y: 2.2, width: 11.6, height: 11.6, rx: 2.4, ...full }, "M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8"),
    busy: shape("circle", ring, "M8 4.4a3.6 3.6 0 0 1 0 7.2z"),
    off: shape("circle", { ...ring, "stroke-dasharray": "2.4 2" }),
};

export const Badge = ({ state, as }) => {
    const kind = as || tone(state);
    return html`<span class=${"badge " + kind}><${SHAPES[kind]} />${word(state)}</span>`;
};

// The page's heading takes the focus when the reader moves to it.
export const moved = signal(0);
export function Head({ title, sub, children }) {
    const ref = useRef();
    useEffect(() => {
        document.title = `${title} · Clan`;
        if (moved.peek() > 1)
            ref.current.focus({ preventScroll: true });
    }, [title]);
    return html`<header class="head"><div><h1 tabindex="-1" ref=${ref}>${foreign(title)}</h1>${sub && html`<p>${sub}</p>`}</div>
        <div class="acts">${children}</div></header>`;
}

export const toasts = signal([]);
let count = 0;
export function toast(text, kind = "good") {
    const one = { id: ++count, text, kind };
    toasts.value = [...toasts.value.slice(-2), one];
    setTimeout(() => { toasts.value = toasts.value.filter((x) => x !== one); }, 6000);
}
export const Toasts = () => html`<div class="toasts" role="status" aria-live="polite">${toasts.value.map((x) =>
    html`<p key=${x.id} class=${"toast " + x.kind}><${Icon} name=${x.kind} />${x.text}</p>`)}</div>`;

export async function copy(text) {
    try {
        await navigator.clipboard.writeText(text);
        toast(t("copied"));
    } catch (e) {
        toast(t("copy.failed"), "warn");
    }
}

const quote = (w) => /^[\w@%+=:,./-]+$/.test(w) ? w : `'${String(w).replaceAll("'", "'\\''")}'`;
export const commandOf = (words) => ["clan", ...words].map(quote).join(" ");

export function Command({ words, text }) {
    const line = text || commandOf(words);
    return html`<div class="command"><span aria-hidden="true">$</span><code tabindex="0" aria-label=${t("command") + ": " + line}>${line}</code>
        <button class="ghost" onClick=${() => copy(line)} aria-label=${t("copy.what", { what: line })}><${Icon} name="copy" /></button></div>`;
}

export const Empty = ({ icon, title, text, children }) => html`<div class="empty"><${Icon} name=${icon || "off"} />
    <h2>${title}</h2>${text && html`<p>${text}</p>`}${children}</div>`;

export function Trouble({ error }) {
    if (!error)
        return null;
    const what = error.what === "offline" ? t("offline") : error.what || String(error.message || error);
    return html`<div class="line bad" role="alert"><${Icon} name="bad" /><div><strong>${foreign(what)}</strong>
        ${error.why && html`<p>${foreign(error.why)}</p>`}${error.remedy && html`<p>${foreign(error.remedy)}</p>`}</div></div>`;
}

// A button that waits for what it started, and an error that stays beside it.
export function Action({ run, kind, children, ...rest }) {
    const [busy, setBusy] = useState(false);
    const [error, setError] = useState(null);
    const press = async () => {
        setBusy(true);
        setError(null);
        try {
            await run();
        } catch (e) {
            setError(e);
        }
        setBusy(false);
    };
    return html`<button ...${rest} class=${kind || ""} aria-busy=${busy} disabled=${busy || rest.disabled} onClick=${press}>${children}</button>
        <${Trouble} error=${error} />`;
}

export const Facts = ({ rows }) => html`<dl class="facts">${rows.filter((r) => r && r[1] !== "" && r[1] != null).map(([name, value]) =>
    html`<div key=${name}><dt>${name}</dt><dd>${foreign(value)}</dd></div>`)}</dl>`;

export const Words = ({ text }) => html`<ol class="words">${String(text || "").split(/[\s-]+/).filter(Boolean).map((w, i) =>
    html`<li key=${i}>${w}</li>`)}</ol>`;

// A box that does not shrink while it is looked at: what goes away pulls nothing up under the hand.
export function useRoom(deps) {
    const ref = useRef();
    const keep = () => { if (ref.current) ref.current.style.minBlockSize = ref.current.offsetHeight + "px"; };
    useLayoutEffect(keep, deps);
    useEffect(() => {
        const anew = () => { ref.current?.style.removeProperty("min-block-size"); keep(); };
        addEventListener("resize", anew);
        return () => removeEventListener("resize", anew);
    }, []);
    return ref;
}

// Asks the API once, again when one of deps changes.
export function useGet(load, deps) {
    const [state, set] = useState({});
    useEffect(() => {
        let on = true;
        set((old) => ({ ...old, busy: true }));
        load().then((value) => on && set({ value }), (error) => on && set({ error }));
        return () => { on = false; };
    }, deps);
    return state;
}
