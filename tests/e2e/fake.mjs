// Answers /v1 with an invented clan, and the pages from a folder: what the page tests look at. No part of the product.
import { createServer } from "node:http";
import { existsSync, readFileSync, statSync } from "node:fs";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml" };
export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const TOKEN = "ab".repeat(32), CODE = "cd".repeat(16);
const SIX = "amber harvest violin cactus meadow orbit", now = () => Math.floor(Date.now() / 1000);
const iso = (s) => new Date(s * 1000).toISOString();

export function invented({ machines = 7, services = 5, evil = "" } = {}) {
    const names = ["nas", "laptop", "desk", "attic", "oma", "studio", "pixel"], paths = ["wireguard", "wireguard", "tcp-noise", "tor", "wireguard"];
    const m = Array.from({ length: machines }, (_, i) => ({ id: `m${i}`, name: evil || (names[i] ?? `machine-${String(i).padStart(4, "0")}`), address: `fd8c:1b2a:77::${(i + 1).toString(16)}`,
        standing: i === 5 ? "provisional" : "member", self: i === 0, connected: i % 5 !== 4, path: i && i % 5 !== 4 ? evil || paths[i % 5] : "", rtt_us: i && i % 5 !== 4 ? 400 + i * 1370 : 0,
        rx_bytes: i * 8123456, tx_bytes: i * 2345678, last_seen: iso(now() - i * 700), words: SIX, tags: evil ? [evil] : i % 3 ? [] : ["server"], keeper: i === 0, admin: i < 2, acked_version: 7, record_seq: 3, clock_offset_s: 0 }));
    const states = ["up", "up", "starting", "down", "not granted"], svc = ["files", "photos", "music", "backup", "printer"];
    const s = Array.from({ length: services }, (_, i) => ({ name: evil ? evil + i : svc[i] ?? `service-${i}`, plugin: "files", address: `fd8c:1b2a:77::f${i}`, port: 80, host: m[i % Math.max(1, machines)]?.name ?? "", state: states[i % 5],
        why: evil || (i % 5 === 3 ? "the process ended three times in a minute" : ""), url: evil ? `javascript:alert(1)//${evil}` : `http://${svc[i] ?? "s"}.home.clan/`, open_to_me: i % 5 !== 4, allow: ["all"], remedy: i % 5 === 3 ? "read its log: clan logs backup" : "" }));
    return {
        status: [{ version: "0.5.0", clan: evil || "home", petname: evil || "home", machine: evil || "nas", standing: "member", config_version: 7, catching_up: false, machine_count: machines, reachable: machines, service_count: services, address: "fd8c:1b2a:77::1", words: SIX,
            health: [{ severity: "alarm", code: "invitation-used", what: evil || "An invitation was used by somebody whom you may not know", remedy: "Compare the six words with Oma; if they differ: clan remove oma" }, { severity: "warning", code: "clock", what: "The clock of attic is four minutes behind", remedy: "Set it, or let it ask a time server" }] }],
        machines: m, services: s, config: [{ version: 7 }],
        invitations: services ? [{ id: "inv1", state: "open", for: evil || "laptop", uses: 1, used: 0, expires: iso(now() + 2400), by: evil || "anna", guests: [] }, { id: "inv2", state: "used up", for: "oma", uses: 1, used: 1, expires: iso(now() - 90000), by: "anna", guests: ["oma"] }] : [],
        plugins: services ? ["files", "photos", "wireguard", "tor"].map((id, i) => ({ id: evil ? evil + id : id, version: "0.5", state: i === 1 ? "not granted" : "running", why: i === 1 ? "machine.yaml does not allow it here" : "", remedy: "", kind: i < 2 ? "service" : "transport", title: evil || ["Files", "Photos", "WireGuard", "Tor"][i],
            description: ["Shares folders of this machine with the clan.", "Shows the family's pictures.", "Fast, direct, encrypted packets.", "Reaches others where nothing else does."][i], asks: [{ word: "net.listen:80", lets: "answer on port 80 of its own address" }, { word: "fs.read:/srv", lets: "read the folder /srv" }], granted: i === 1 ? [] : ["net.listen:80"],
            settings: i ? [] : [{ key: "title", kind: "text", question: "What is its page called?", preset: "Shared files", min: 0, max: 12, choices: [] }, { key: "read_only", kind: "yes-no", question: "May the others only read?", preset: "false", min: 0, max: 0, choices: [] },
                { key: "days", kind: "number", question: "How many days are deleted files kept?", preset: "30", min: 0, max: 365, choices: [] }, { key: "size", kind: "choice", question: "How large are previews?", preset: "middle", min: 0, max: 0, choices: ["small", "middle", "large"] }] })) : [],
        activity: Array.from({ length: machines > 500 ? 1000 : services ? 9 : 0 }, (_, i) => ({ id: i + 1, time: iso(now() - i * 411), kind: "machine", what: evil || ["oma joined by an invitation of anna", "files is up on nas", "laptop is reached by wireguard again", "version 7 of the configuration was taken"][i % 4], machine: "nas", service: i % 4 === 1 ? "files" : "" })),
        proposals: [], questions: [],
    };
}

export const ROUTES = ["/status", "/machines", "/machines/{name}/paths", "/machines/{name}/ping", "/services", "/plugins", "/invitations", "/config", "/netcheck", "/activity", "/proposals", "/preview", "/qr"];
const YAML = "version: 7\nclan: home\nadmins:\n  threshold: 1\nkeeper: [nas]\nservices:\n  files:\n    plugin: files\n    place: {on: nas}\n    allow: [all]\n";
const diffOf = (text) => [...YAML.trimEnd().split("\n").map((x) => ({ op: " ", text: x })), { op: "+", text }];
export const FACTS = { clan: "home", words: SIX, inviter: "anna", inviter_words: SIX, for_name: "laptop", uses: 1, expires: iso(now() + 3000), door: "nas", suggested_petname: "home" };

export function serve(assets, { data = invented(), mode = "clan", signer = true, port = 0, role = "admin", routes = null, apart = 0, files = {} } = {}) {
    const streams = new Set(), seen = [];
    let head = { version: 7, text: YAML, signers: ["anna"] };
    let question = mode === "join" ? { id: 1, step: "ask", endpoints: ["tcp-noise 203.0.113.5:7117"] } : null;
    if (question)
        data = { questions: [question, { id: 2, step: "waits" }] };
    const send = (r, kind, o) => r.write(`event: ${kind}\ndata: ${JSON.stringify(o ?? {})}\n\n`);
    const delta = (topic, set, del = []) => streams.forEach((r) => send(r, "delta", { topic, set, del }));
    const errors = { away: { error: { status: "away", what: "Clan does not answer", why: "", remedy: "systemctl start clan" } } };
    const answers = {
        "GET /v1/session": () => ({ person: "anna", role, owner: true, expires: iso(now() + 40000) }), "DELETE /v1/session": () => ({}),
        "GET /v1/config": () => head, "GET /v1/config/6": () => ({ version: 6, text: YAML.replace("7", "6").replace("    allow: [all]\n", "") }),
        "GET /v1/config/log": () => ({ versions: [7, 6, 5].map((v) => ({ version: v, time: iso(now() - (8 - v) * 86400), signers: ["anna"], here: v > 5, bytes: 300 })) }),
        "POST /v1/config/check": (b) => b.text.includes("bad:") ? { ok: false, problems: [{ line: b.text.split("\n").findIndex((x) => x.includes("bad:")) + 1, column: 1, text: "“bad” is no key here; expected one of: clan, admins, keeper", near: "bad: 1\n^" }], diff: [] } : { ok: true, problems: [], diff: diffOf(b.text.trimEnd().split("\n").pop()) },
        "POST /v1/preview": (b) => ({ command: "clan " + b.words.join(" "), diff: diffOf("  photos: {plugin: photos, place: {on: nas}}") }),
        "POST /v1/qr": () => ({ size: 21, path: "M0 0h7v7h-7zM14 0h7v7h-7zM0 14h7v7h-7zM9 2h2v3h-2zM10 9h4v2h-4zM16 15h3v2h-3z" }), "POST /v1/alarms/dismiss": () => ({}),
        "GET /v1/netcheck": () => ({ worst: "warning", checks: [["daemon", "ok", "Clan runs; it started 3 days ago"], ["udp", "ok", "UDP goes out, and answers come back"], ["router", "warning", "The router opens no port by itself", "PCP, NAT-PMP and UPnP got no answer", "Switch on UPnP in the router, or forward UDP 7118"], ["clock", "unknown", "The clock could not be compared"]].map(([check, state, what, why = "", remedy = ""]) => ({ check, state, what, why, remedy })) }),
        "POST /v1/proposals": (b) => { const p = { id: data.proposals.length + 1, words: b.words, state: "waiting", by: "anna", time: iso(now()), text: "", result: "", mine: true, signer };
            data.proposals.push(p); delta("proposals", [p]);
            if (signer) setTimeout(() => { Object.assign(p, { state: "done", result: b.words[0] === "invite" ? "clan://home/" + "x".repeat(90) : "" }); delta("proposals", [p]); }, 400);
            return { id: p.id }; },
        "POST /v1/first/create": () => ({ words: "able baker candle delta ember forest garden harbour island jungle kettle lantern", url: "", petname: "home" }),
        "GET /v1/join": () => ({ questions: data.questions }),
        "POST /v1/join/1": (b) => { seen.push(b); const next = { ask: "facts", yes: "joined" }[b.act];
            if (!next) delta("questions", [{ ...data.questions[1], step: "ask", endpoints: ["tcp-noise 198.51.100.7:7117"] }], [1]);
            else { question = { ...question, step: next, facts: FACTS }; data.questions[0] = question; delta("questions", [question]); } return {}; },
    };
    const server = createServer(async (q, r) => {
        const path = new URL(q.url, "http://x").pathname, base = { "Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache" };
        let body = "";
        for await (const x of q)
            body += x;
        const json = (code, o) => { r.writeHead(code, { ...base, "Content-Type": "application/json" }); r.end(JSON.stringify(o)); };
        if (!path.startsWith("/v1/")) {
            if (files[path])
                return json(200, files[path]);
            const file = join(assets, normalize(path === "/" ? "/index.html" : path));
            if (!existsSync(file) || !statSync(file).isFile())
                return json(404, {});
            r.writeHead(200, { ...base, "Content-Type": TYPES[extname(file)] || "application/octet-stream" });
            return r.end(readFileSync(file));
        }
        if (path === "/v1/openapi.json")
            return json(200, { paths: Object.fromEntries((routes || ROUTES).map((x) => [x, {}])) });
        if (path === "/v1/mode")
            return json(200, { v: 1, mode, version: "0.5" });
        if (path === "/v1/session" && q.method === "POST")
            return JSON.parse(body).code === CODE ? json(200, { token: TOKEN, person: "anna", role, owner: true, expires: iso(now() + 40000) }) : json(401, { error: { what: "no such code" } });
        if (q.headers["clan-token"] !== TOKEN)
            return json(401, { error: { what: "not signed in" } });
        if (path === "/v1/stream") {
            r.writeHead(200, { ...base, "Content-Type": "text/event-stream" });
            for (const topic in data) {     // the plugin asks for one after the other
                if (apart)
                    await new Promise((done) => setTimeout(done, apart));
                send(r, "snapshot", { topic, rows: data[topic] });
            }
            streams.add(r);
            return r.on("close", () => streams.delete(r));
        }
        if (/\/paths$/.test(path))
            return json(200, { paths: [{ transport: "wireguard", state: "up", in_use: true, connected: true, rtt_us: 1400, why: "the fastest" }, { transport: "tor", state: "up", connected: true, rtt_us: 310000, why: "" }], history: [{ from: "tor", to: "wireguard", why: "it answers faster", time: iso(now() - 4000) }] });
        if (/\/ping$/.test(path))
            return json(200, { machine: "laptop", reachable: true, control_rtt_us: 1400, path: "wireguard" });
        const answer = answers[`${q.method} ${path}`];
        return answer ? json(200, answer(body ? JSON.parse(body) : {})) : json(404, errors.away);
    });
    return new Promise((done) => server.listen(port, "127.0.0.1", () => done({
        origin: `http://127.0.0.1:${server.address().port}`, door: `http://127.0.0.1:${server.address().port}/#code=${CODE}`, seen, delta, data, streams,
        signed: (text) => { head = { version: head.version + 1, text: text.replace(/^version:.*/m, `version: ${head.version + 1}`), signers: ["bob"] }; delta("config", [{ version: head.version }]); }, head: () => head,
        say: (kind) => streams.forEach((r) => send(r, kind)), stop: () => { streams.forEach((r) => r.destroy()); server.closeAllConnections(); server.close(); },
    })));
}
