// Calls of /v1: the session's cookie goes by itself, its token as a header.
import { signal } from "@preact/signals";

export const session = signal(null);
export const signedOut = signal(false);
const tabs = new BroadcastChannel("clan-session");
let token = sessionStorage.getItem("token") || "";

function keep(value) {
    token = value;
    if (value)
        sessionStorage.setItem("token", value);
    else
        sessionStorage.removeItem("token");
}

// The session is over, here or for everybody: no tab passes its token on any more.
export function out() {
    keep("");
    session.value = null;
    signedOut.value = true;
}

tabs.onmessage = (e) => {
    if (e.data === "ask" && token)
        tabs.postMessage({ token });
    else if (e.data === "out")
        out();
    else if (e.data && typeof e.data.token === "string" && /^[0-9a-f]{64}$/.test(e.data.token))
        keep(e.data.token);
};

// Another tab of this origin may be signed in: it is asked, and has a quarter second to answer.
function askTabs() {
    return new Promise((done) => {
        const limit = setTimeout(done, 250);
        tabs.addEventListener("message", (e) => {
            if (e.data && e.data.token) {
                clearTimeout(limit);
                done();
            }
        });
        tabs.postMessage("ask");
    });
}

export class Failure extends Error {
    constructor(status, error) {
        super(error.what || String(status));
        this.http = status;
        this.what = error.what || String(status);
        this.why = error.why || "";
        this.remedy = error.remedy || "";
    }
}

export function headers(body) {
    const all = { "Clan-Token": token };
    if (body !== undefined)
        all["Content-Type"] = "application/json";
    return all;
}

export async function call(method, path, body) {
    const write = method !== "GET";
    let answer;
    try {
        answer = await fetch("/v1" + path, {
            method, headers: headers(write ? body ?? {} : undefined), cache: "no-store",
            body: write ? JSON.stringify(body ?? {}) : undefined,
        });
    } catch (e) {
        throw new Failure(0, { what: "offline" });
    }
    const text = await answer.text();
    let json = {};
    try {
        json = text ? JSON.parse(text) : {};
    } catch (e) {
        json = { error: { what: `HTTP ${answer.status}` } };
    }
    if (answer.status === 401)
        out();
    if (!answer.ok)
        throw new Failure(answer.status, json.error || {});
    return json;
}

// What this dashboard can be asked, by its own description; a page shows nothing else.
const paths = signal([]);
export async function learn() {
    const answer = await fetch("/v1/openapi.json", { cache: "no-store" });
    if (answer.ok)
        paths.value = Object.keys((await answer.json()).paths);
}
export const has = (start, end = "") => paths.value.some((p) => end ? p.startsWith(start + "/") && p.endsWith(end) : p === start);

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const drop = (path) => call("DELETE", path);

// True when signed in. The code leaves the address bar before anything else happens; it is good until somebody answers.
let code = "";
export async function signIn() {
    const found = /^#code=([0-9a-f]{32})$/.exec(location.hash);
    if (found) {
        history.replaceState(null, "", location.pathname + "#/");
        code = found[1];
    }
    if (code) {
        const s = await post("/session", { code }).catch((e) => { if (e.http) code = ""; throw e; });
        code = "";
        keep(s.token);
        tabs.postMessage({ token: s.token });
        session.value = s;
        signedOut.value = false;
        return true;
    }
    if (!token)
        await askTabs();
    if (!token)
        return false;
    session.value = await get("/session");
    return true;
}

export async function signOut() {
    await drop("/session");
    sessionStorage.clear();     // what was being typed, too
    tabs.postMessage("out");
    out();
}
