// Words of the page in the reader's language, and how numbers and times are written in it.
import { signal } from "@preact/signals";

export const language = signal("en");
const rtl = new Set(["ar", "fa", "he", "ur"]);
let words = {};
let english = {};

async function load(name) {
    const answer = await fetch(`/strings/${name}.json`);
    if (!answer.ok)
        throw new Error(`strings of ${name}: ${answer.status}`);
    return answer.json();
}

export async function speak(name) {
    const own = name !== "en" && load(name).catch(() => english);
    if (!Object.keys(english).length)
        english = await load("en");
    words = await own || english;
    document.documentElement.lang = name;
    document.documentElement.dir = rtl.has(name) ? "rtl" : "ltr";
    language.value = name;
}

export function preferred() {
    const kept = localStorage.getItem("language");
    return kept || (navigator.language.startsWith("de") ? "de" : "en");
}

// {name} in a text is replaced; a text of two forms "one|many" is chosen by n.
export function t(key, values = {}) {
    void language.value;
    let text = words[key] ?? english[key] ?? key;
    if (values.n !== undefined && text.includes("|"))
        text = text.split("|")[values.n === 1 ? 0 : 1];
    // what stands in it may be of the other direction: it turns nothing around itself
    const [before, after] = rtl.has(language.value) ? ["\u2068", "\u2069"] : ["", ""];
    return text.replace(/\{(\w+)\}/g, (all, name) => before + (values[name] ?? "") + after);
}

// A state's word, when it is one of ours; else as it came.
export const word = (state) => (words["state." + state] ?? english["state." + state] ?? String(state ?? ""));

// Making a format costs more than using it a thousand times.
const formats = new Map();
function format(options) {
    const key = language.value + JSON.stringify(options);
    if (!formats.has(key))
        formats.set(key, new Intl.NumberFormat(language.value, options));
    return formats.get(key);
}
export const digits = (n) => format({ maximumFractionDigits: n });

export function bytes(n) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let i = 0, x = Number(n) || 0;
    for (; x >= 1000 && i < 4; i++)
        x /= 1000;
    return `${digits(x < 10 && i ? 1 : 0).format(x)} ${units[i]}`;
}

export const perSecond = (n) => `${bytes(n)}/s`;

export const rtt = (us) => !us ? "" : us < 1000 ? `${us} µs`
    : `${digits(us < 10000 ? 1 : 0).format(us / 1000)} ms`;

export function when(time) {
    const d = typeof time === "number" ? new Date(time * 1000) : new Date(time);
    return isNaN(d) ? "" : d.toLocaleString(language.value, { dateStyle: "medium", timeStyle: "short" });
}

export function seconds(time) {
    if (!time)
        return null;
    const ms = typeof time === "number" ? time * 1000 : Date.parse(time);
    return isNaN(ms) ? null : Math.round(ms / 1000);
}

export function span(s) {
    s = Math.max(0, Math.round(s));
    const [n, unit] = s < 60 ? [s, "second"] : s < 3600 ? [s / 60, "minute"] : s < 86400 ? [s / 3600, "hour"] : [s / 86400, "day"];
    return format({ style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 }).format(Math.floor(n));
}

export function ago(time, now) {
    const at = seconds(time);
    return at === null ? t("never") : now - at < 5 ? t("now") : t("ago", { span: span(now - at) });
}
