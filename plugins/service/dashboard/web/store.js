// What the clan looks like now: the event stream as signals. One tab reads it and tells the others, because a
// browser has six connections to a host.
import { batch, signal } from "@preact/signals";
import { headers, out, signedOut } from "./api.js";
import { forget, heard, rates } from "./rates.js";

const KEYS = { services: "name" };
const WHOLE = new Set(["status", "config"]);
const rowsOf = ["machines", "services", "invitations", "proposals", "plugins", "activity", "questions", "history", "vms", "backups", "requests"];

export const status = signal(null);
export const config = signal(null);
export const lists = Object.fromEntries(rowsOf.map((name) => [name, signal([])]));
export const loaded = signal(false);
export const away = signal(0);      // since when the core is gone, seconds; 0: it is there
export const now = signal(Math.floor(Date.now() / 1000));
export const flow = signal(new Map());  // bytes a second by the machine's id: { rx, tx }
setInterval(() => {
    now.value = seconds();
    const fresh = away.value ? flow.value : rates(maps.machines, clock());  // while nobody tells, nothing is known to stand still
    const same = (r, id) => r.rx === flow.value.get(id)?.rx && r.tx === flow.value.get(id)?.tx;
    if (fresh.size !== flow.value.size || ![...fresh].every(([id, r]) => same(r, id)))
        flow.value = fresh;
}, 1000);

// A page that draws lists as each comes jumps: the overview is drawn when all that it shows is there.
const FIRST = ["status", "machines", "services", "proposals", "activity"], came = new Set();

const maps = Object.fromEntries(rowsOf.map((name) => [name, new Map()]));
const keyOf = (topic, row) => String(row[KEYS[topic] || "id"] ?? row.plugin ?? row.name ?? `${row.time ?? row.wall} ${row.what}`);
const seconds = () => Math.floor(Date.now() / 1000);
const clock = () => performance.now() / 1000;

function show(topic) {
    if (topic === "activity" || topic === "history")
        lists[topic].value = [...maps[topic].values()].sort((a, b) => at(b) - at(a)).slice(0, 1000);
    else
        lists[topic].value = [...maps[topic].values()];
}

const at = (row) => row.wall ?? Date.parse(row.time) / 1000 ?? 0;

function take(kind, data) {
    const { topic } = data;
    const rows = (kind === "snapshot" ? data.rows : data.set) || [];
    if (WHOLE.has(topic)) {
        if (rows.length)
            (topic === "status" ? status : config).value = rows[rows.length - 1];
        return;
    }
    const map = maps[topic];
    if (!map)
        return;
    if (kind === "snapshot")
        map.clear();
    for (const row of rows) {
        map.set(keyOf(topic, row), row);
        if (topic === "machines" && !row.self)
            heard(keyOf(topic, row), row.rx_bytes, row.tx_bytes, clock());
    }
    for (const key of data.del || [])
        map.delete(String(key));
    if (data.order) {
        const old = new Map(map);
        map.clear();
        for (const key of data.order)
            if (old.has(String(key)))
                map.set(String(key), old.get(String(key)));
        for (const [key, row] of old)
            map.set(key, row);
    }
    show(topic);
}

function hear(kind, data) {
    batch(() => {
        if (kind === "away") {
            away.value ||= seconds();
            loaded.value ||= status.value !== null;
            return;
        }
        if (away.value)
            forget();       // what moved meanwhile moved over an unknown time
        away.value = 0;
        if (kind === "snapshot" || kind === "delta") {
            take(kind, data);
            came.add(data.topic);
            loaded.value ||= FIRST.every((topic) => came.has(topic)) || data.topic === "questions";
        }
    });
}

const tabs = new BroadcastChannel("clan-stream");
let leads = false;

function tell(kind, data) {
    hear(kind, data);
    if (leads)
        tabs.postMessage({ kind, data });
}

function everything() {
    const all = rowsOf.map((topic) => ({ topic, rows: lists[topic].value }));
    for (const [topic, s] of [["status", status], ["config", config]])
        if (s.value)
            all.push({ topic, rows: [s.value] });
    return all;
}

tabs.onmessage = ({ data }) => {
    if (data === "all?" && leads && loaded.value) {
        for (const one of everything())
            tabs.postMessage({ kind: "snapshot", data: one });
        if (away.value)
            tabs.postMessage({ kind: "away" });
    } else if (data && data.kind && !leads)
        hear(data.kind, data.data);
};

function event(block) {
    let kind = "message", data = "";
    for (const line of block.split("\n"))
        if (line.startsWith("event:"))
            kind = line.slice(6).trim();
        else if (line.startsWith("data:"))
            data += line.slice(5).trimStart();
    if (kind === "ended")
        out();
    else if (kind === "away" || kind === "back")
        tell(kind);
    else if (data)
        tell(kind, JSON.parse(data));
}

async function read() {
    const answer = await fetch("/v1/stream", { headers: headers(), cache: "no-store" });
    if (answer.status === 401) {
        out();
        return false;
    }
    if (!answer.ok)
        throw new Error(String(answer.status));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
        const { value, done } = await reader.read();
        if (done)
            return true;
        rest += value.replaceAll("\r", "");
        for (let end; (end = rest.indexOf("\n\n")) >= 0; rest = rest.slice(end + 2))
            event(rest.slice(0, end));
    }
}

async function lead() {
    leads = true;
    for (let wait = 250; !signedOut.value; wait = Math.min(wait * 2, 5000)) {
        const began = Date.now();
        try {
            if (!await read())
                return;
        } catch (e) {
            tell("away");
        }
        if (Date.now() - began > 10000)
            wait = 250;
        await new Promise((done) => setTimeout(done, wait));
    }
}

let follows = false;
export function follow() {
    if (follows)
        return;
    follows = true;
    tabs.postMessage("all?");
    if (navigator.locks)
        navigator.locks.request("clan-stream", lead);
    else
        lead();
}
