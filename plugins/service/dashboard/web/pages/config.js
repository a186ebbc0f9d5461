// clan.yaml: read, change with errors in place, see the difference, ask for the signature, look back.
import { html, useEffect, useState } from "../lib.js";
import { get, post } from "../api.js";
import { config, lists } from "../store.js";
import { t, when } from "../text.js";
import { Command, Head, Trouble, toast, useGet } from "../parts/basic.js";
import { Diff } from "../parts/diff.js";
import { lineDiff, marked, merge } from "../parts/merge.js";
import { Propose } from "../parts/propose.js";
import { Table } from "../parts/table.js";

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

const numbered = (text, version) => text.replace(/^version:.*$/m, `version: ${version}`);

// What is typed outlives this page and the next load of it: { text, base: the version that it was made from }.
function kept(key) {
    try {
        const value = JSON.parse(sessionStorage.getItem(key));
        return typeof value.text === "string" && typeof value.base.text === "string" ? value : null;
    } catch (e) {
        return null;
    }
}
function useKept(key) {
    const [value, set] = useState(() => kept(key));
    return [value, (next) => { set(next); next ? sessionStorage.setItem(key, JSON.stringify(next)) : sessionStorage.removeItem(key); }];
}

// Somebody else's version came: what it changed, and what becomes of the text that knows nothing of it.
function Came({ head, edit, setEdit, drop }) {
    const { base, text } = edit, version = head.version, on = (next) => setEdit({ base: head, text: next });
    return html`<section class="line warn" role="status"><div><strong>${t("config.came", { version })}</strong><p>${t("config.came.text", { old: base.version })}</p>
        <${Diff} lines=${lineDiff(base.text, head.text)} />
        <div class="acts"><button class="primary" onClick=${() => on(merge(base.text, text, head.text, [t("config.mine"), `${t("version")} ${version}`]))}>${t("config.merge")}</button>
        <button onClick=${drop}>${t("config.take", { version })}</button><button class="danger" onClick=${() => on(numbered(text, version))}>${t("config.keep", { version })}</button></div></div></section>`;
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
    const [edit, setEdit] = useKept("draft"), [dropped, setDropped] = useKept("dropped"), [found, setFound] = useState(null), [fault, setFault] = useState(null);
    const text = edit?.text ?? null, start = head.value?.text ?? "", shown = text ?? start, changed = text !== null && bare(text) !== bare(start);
    const old = changed && !!head.value && edit.base.version !== head.value.version, marks = changed && marked(text);
    const setText = (next) => setEdit({ base: edit?.base ?? head.value, text: next });
    const drop = () => { setDropped(edit); setEdit(null); };
    useEffect(() => {
        if (!changed || old || marks)
            return setFound(null);
        let on = true;
        const soon = setTimeout(() => post("/config/check", { text }).then((r) => { if (on) { setFound({ ...r, of: text }); setFault(null); } }, (e) => on && setFault(e)), 300);
        return () => { on = false; clearTimeout(soon); };
    }, [text, start]);
    useEffect(() => { if (old) toast(t("config.came", { version: head.value.version }), "warn"); }, [old && head.value.version]);
    useEffect(() => {
        if (!head.value || !edit || edit.base.version === head.value.version)
            return;
        if (bare(text) === bare(edit.base.text))
            setEdit(null);      // nothing of one's own
        else if (!changed) {    // what was asked for counts now
            setEdit(null);
            toast(t("config.counts", { version: head.value.version }));
        }
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
        <section class="card"><label class="label" for="yaml">clan.yaml${head.value ? ` · ${t("version")} ${changed ? edit.base.version : head.value.version}` : ""}</label>
        <textarea id="yaml" class="code" rows="22" spellcheck=${false} autocomplete="off" wrap="off" dir="ltr" value=${shown} aria-invalid=${problems.length > 0} readonly=${!head.value} onInput=${(e) => setText(e.target.value)}></textarea>
        ${old && html`<${Came} head=${head.value} edit=${edit} setEdit=${setEdit} drop=${drop} />`}${marks && !old && html`<p class="line warn" role="status">${t("config.marks")}</p>`}
        ${problems.length > 0 && html`<${Problems} list=${problems} jump=${jump} />`}
        ${changed && html`<div class="acts">${!old && unnamed(shown).slice(0, 5).map((m) => html`<button key=${m.id} class="primary" onClick=${() => setText(naming(shown, m))}>${t("config.name", { name: m.name })}</button>`)}<button onClick=${drop}>${t("config.undo")}</button></div>`}
        ${!changed && dropped && html`<div class="acts"><button onClick=${() => { setEdit(dropped); setDropped(null); }}>${t("config.back")}</button></div>`}
        ${changed && head.value && found?.ok && html`<h3>${t("diff")}</h3><${Diff} lines=${found.diff} /><${Propose} key=${text} words=${["config", "apply", "--from", String(edit.base.version)]} text=${text} disabled=${found.of !== text} />`}
        ${!changed && html`<${Command} words=${["config", "show"]} />`}</section>${head.value && html`<${History} head=${head.value} />`}`;
}
