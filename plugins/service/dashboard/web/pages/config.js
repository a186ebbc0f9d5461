// clan.yaml: read, change with errors in place, see the difference, ask for the signature, look back.
import { html, useEffect, useState } from "../lib.js";
import { get, post } from "../api.js";
import { config, lists } from "../store.js";
import { t, when } from "../text.js";
import { Command, Head, Trouble, toast, useGet } from "../parts/basic.js";
import { Diff } from "../parts/diff.js";
import { Propose } from "../parts/propose.js";
import { Table } from "../parts/table.js";

function lineDiff(a, b) {
    const x = a.split("\n"), y = b.split("\n");
    let top = 0, end = 0;
    while (top < x.length && top < y.length && x[top] === y[top])
        top++;
    while (end < x.length - top && end < y.length - top && x[x.length - 1 - end] === y[y.length - 1 - end])
        end++;
    const as = (op) => (text) => ({ op, text });
    return [...x.slice(0, top).map(as(" ")), ...x.slice(top, x.length - end).map(as("-")), ...y.slice(top, y.length - end).map(as("+")), ...x.slice(x.length - end).map(as(" "))];
}

const bare = (text) => text.replace(/^version:.*$/m, "");      // who signs counts

// Machines that got their names from invitations stand nowhere in this file until something is said about them.
function unnamed(text) {
    const said = new Set(text.replace(/#.*/g, "").split(/[\s,:"'[\]{}]+/));
    return lists.machines.value.filter((m) => said.has(m.name) && !text.includes(m.id));
}
function naming(text, m) {
    const line = `  ${JSON.stringify(m.id)}: {name: ${JSON.stringify(m.name)}}\n`;
    return /^machines:/m.test(text) ? text.replace(/^machines:[ \t]*(\{\})?[ \t]*(#.*)?\n/m, () => "machines:\n" + line) : `${text.trimEnd()}\n\nmachines:\n${line}`;
}

function Problems({ list, jump }) {
    return html`<div role="alert"><ul class="lines">${list.map((p, i) => html`<li key=${i} class="line bad"><button class="small" onClick=${() => jump(p)}>${t("config.line", { line: p.line })}</button>
        <div><strong>${p.text}</strong>${p.near && html`<pre class="near">${p.near}</pre>`}</div></li>`)}</ul></div>`;
}

function History({ head }) {
    const { value, error } = useGet(() => get("/config/log"), [head.version]);
    const [old, setOld] = useState(null);
    const show = async (v) => setOld({ version: v.version, text: (await get("/config/" + v.version)).text });
    return html`<h2>${t("config.history")}</h2><${Trouble} error=${error} />
        <${Table} label=${t("config.history")} rows=${[...value?.versions || []].sort((a, b) => b.version - a.version)} keyOf=${(v) => v.version} columns=${[
            { name: t("version"), show: (v) => html`<b>${v.version}</b>` }, { name: t("time"), kind: "long", show: (v) => when(v.time) },
            { name: t("signed.by"), kind: "mid", show: (v) => (v.signers || []).join(", ") },
            { name: t("compare"), kind: "end", show: (v) => v.here !== false && v.version !== head.version ? html`<button class="small" onClick=${() => show(v)}>${t("compare")}<span class="hidden"> ${v.version}</span></button>` : "" }]} />
        ${old && html`<h3>${t("config.since", { version: old.version })}</h3><${Diff} lines=${lineDiff(old.text || "", head.text || "")} />`}<${Command} words=${["config", "log"]} />`;
}

export default function Config() {
    const head = useGet(() => get("/config"), [config.value?.version]);
    const [text, setText] = useState(null), [found, setFound] = useState(null), [fault, setFault] = useState(null);
    const start = head.value?.text ?? "", shown = text ?? start, changed = text !== null && bare(text) !== bare(start);
    useEffect(() => {
        if (!changed)
            return setFound(null);
        let on = true;
        const soon = setTimeout(() => post("/config/check", { text }).then((r) => { if (on) { setFound(r); setFault(null); } }, (e) => on && setFault(e)), 300);
        return () => { on = false; clearTimeout(soon); };
    }, [text, start]);
    useEffect(() => {
        if (text === null || changed || !head.value)
            return;
        setText(null);      // what was asked for counts now
        toast(t("config.counts", { version: head.value.version }));
    }, [head.value?.version]);
    const jump = (p) => {
        const box = document.getElementById("yaml"), lines = shown.split("\n");
        const at = lines.slice(0, p.line - 1).join("\n").length + (p.line > 1 ? 1 : 0);
        box.focus();
        box.setSelectionRange(at, at + (lines[p.line - 1] || "").length);
        box.scrollTop = (p.line - 4) * parseFloat(getComputedStyle(box).lineHeight);
    };
    const problems = found?.problems || [];
    return html`<${Head} title=${t("page.config")} sub=${t("config.sub")} /><${Trouble} error=${head.error || fault} />
        <section class="card"><label class="label" for="yaml">clan.yaml${head.value ? ` · ${t("version")} ${head.value.version}` : ""}</label>
        <textarea id="yaml" class="code" rows="22" spellcheck=${false} autocomplete="off" wrap="off" dir="ltr" value=${shown} aria-invalid=${problems.length > 0} onInput=${(e) => setText(e.target.value)}></textarea>
        ${problems.length > 0 && html`<${Problems} list=${problems} jump=${jump} />`}
        ${changed && html`<div class="acts">${unnamed(shown).slice(0, 5).map((m) => html`<button key=${m.id} class="primary" onClick=${() => setText(naming(shown, m))}>${t("config.name", { name: m.name })}</button>`)}<button onClick=${() => setText(null)}>${t("config.undo")}</button></div>`}
        ${changed && found?.ok && html`<h3>${t("diff")}</h3><${Diff} lines=${found.diff} /><${Propose} key=${text} words=${["config", "apply"]} text=${text} />`}
        ${!changed && html`<${Command} words=${["config", "show"]} />`}</section>${head.value && html`<${History} head=${head.value} />`}`;
}
