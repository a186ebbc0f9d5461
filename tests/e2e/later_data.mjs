// Invented rows of what no core answers yet: the contract stands in plugins/service/dashboard/web/README.md.
const now = () => Math.floor(Date.now() / 1000), iso = (s) => new Date(s * 1000).toISOString();
const HOUR = 3600, DAY = 24 * HOUR;
export const LATER = ["history", "vms", "backups", "requests"];
export const PLANNED = ["history", "vm", "backup"];       // commands that these pages show, and clan does not have yet
const YAML = ["version: 8", "clan: home", "admins:", "  threshold: 2", "machines:", "services:", "  files:", "    plugin: files", "    place: {on: nas}", "    allow: [all]"];

const MOVES = [["files", "", "nas", "planned", 0, 900, 40 * DAY], ["photos", "", "attic", "planned", 0, 800, 39 * DAY], ["files", "nas", "laptop", "heartbeat lost", 42, 7400, 21 * DAY], ["files", "laptop", "nas", "planned", 0, 310, 20.7 * DAY],
    ["cloud", "desk", "nas", "drill", 0, 4100, 14 * DAY], ["cloud", "nas", "desk", "planned", 0, 290, 13.98 * DAY], ["photos", "attic", "studio", "takeover", null, 96000, 6 * DAY], ["files", "nas", "desk", "unhealthy", 3, 5100, 2 * DAY], ["files", "desk", "nas", "planned", 0, 280, 1.8 * DAY], ["files", "nas", "laptop", "heartbeat lost", 0, 4800, 2 * HOUR]];
const WHY = { "heartbeat lost": "laptop had the newest verified copy, 3 seconds old", "planned": "clan.yaml names it first", "drill": "a fire drill moved it here", "takeover": "two admins signed it; no copy was newer", "unhealthy": "desk offers it and had room; it did not answer on the old machine for 5 seconds" };
const BACKUPS = [["files", ["laptop", "attic"], HOUR, 23 * HOUR, 48.2e9, "ok", 6 * DAY, 30], ["photos", ["nas"], 9 * DAY, -8 * DAY, 312e9, "ok", 12 * DAY, 12], ["cloud", ["nas", "oma"], 3 * HOUR, 21 * HOUR, 2.1e9, "running", 2 * DAY, 30],
    ["music", ["attic"], DAY, 1, 96e9, "ok", 71 * DAY, 30], ["printer", ["nas"], 2 * DAY, HOUR, 4e6, "failed", 20 * DAY, 30], ["wiki", [], null, 2 * HOUR, null, "ok", null, 0]];
const VMS = [["web", "nas", "running", 512, 310, 2, 8, 3.1], ["cloud", "desk", "running", 2048, 1890, 4, 40, 39.2], ["build", "studio", "starting", 4096, 0, 4, 60, 12], ["old-wiki", "attic", "stopped", 256, null, 1, 4, 2.2], ["games", "desk", "failed", 1024, null, 2, 20, 19]];

function wide(list, count, make) {
    return Array.from({ length: count }, (_, i) => make(list[i % list.length], i));
}

export function later({ count = null, evil = "" } = {}) {
    const turn = (list) => count ?? list.length, hour = Math.floor(now() / HOUR) * HOUR;
    const named = (name, i, list) => evil || (i < list.length ? name : `${name}-${i}`);
    const asked = [{ id: 1, words: ["remove", "pixel"], by: "bob", time: iso(now() - 2 * HOUR), expires: iso(now() + 40 * 60), need: 3, have: [{ who: "bob", time: iso(now() - 2 * HOUR) }, { who: "anna", time: iso(now() - HOUR) }], diff: [], mine: true },
        { id: 2, words: ["enable", "photos", "--on", "attic"], by: "anna", time: iso(now() - DAY), expires: iso(now() + 2 * DAY), need: 2, have: [{ who: "anna", time: iso(now() - DAY) }], mine: false, diff: [...YAML.map((text) => ({ op: " ", text })), { op: "+", text: "  photos:" }, { op: "+", text: "    plugin: photos" }, { op: "+", text: "    place: {on: attic}" }] },
        { id: 3, words: ["config", "apply"], by: "carl", time: iso(now() - 3 * DAY), expires: iso(now() - DAY), need: 2, have: [{ who: "carl", time: iso(now() - 3 * DAY) }], mine: false, diff: [{ op: "-", text: "  threshold: 2" }, { op: "+", text: "  threshold: 3" }] },
        { id: 4, words: ["invite", "--uses", "12"], by: "anna", time: iso(now() - 5 * DAY), expires: iso(now() - 4 * DAY), need: 2, have: [{ who: "anna", time: iso(now() - 5 * DAY) }, { who: "bob", time: iso(now() - 5 * DAY + 600) }], mine: true, diff: [] }];
    return {
        history: wide(MOVES, turn(MOVES), ([service, from, to, cause, lost_s, took_ms, age], i) => ({ id: i + 1, time: iso(i < MOVES.length ? now() - Math.round(age) : hour - (i + 30) * DAY), service: named(service, 0, MOVES), from: from && named(from, count > 100 ? i : 0, MOVES), to: named(to, count > 100 ? i + 1 : 0, MOVES),
            cause: evil || cause, lost_s, took_ms, why: evil || (count === 1 ? "" : WHY[cause]), others: cause === "heartbeat lost" ? [{ machine: evil || "attic", why: evil || "its copy was 4 minutes older" }, { machine: evil || "oma", why: evil || "its owner does not offer to host" }] : [] })),
        vms: wide(VMS, turn(VMS), ([name, machine, state, memory_mb, memory_used_mb, cpus, disk_gb, disk_used_gb], i) => ({ id: `v${i}`, name: evil ? evil + i : named(name, i, VMS), machine: named(machine, 0, VMS), state: evil || state, memory_mb, memory_used_mb, cpus, disk_gb, disk_used_gb, owner: evil || ["anna", "bob"][i % 2], since: iso(now() - (i + 1) * 7 * HOUR), why: evil || (state === "failed" ? "the disk image was not found" : "") })),
        backups: wide(BACKUPS, turn(BACKUPS), ([service, on, age, next, size_bytes, state, verified, kept], i) => ({ id: `b${i}`, service: evil ? evil + i : named(service, i, BACKUPS), on: evil ? [evil] : on, last: age === null ? "" : iso(now() - age), next: iso(now() + next), size_bytes, state: evil || state, verified: verified === null ? "" : iso(now() - verified), kept, why: evil || (state === "failed" ? "nas has no room left" : "") })),
        requests: wide(asked, turn(asked), (q, i) => ({ ...q, id: i + 1, by: evil || q.by, words: evil ? ["enable", evil] : i < asked.length ? q.words : [...q.words, String(i)], have: evil ? [{ who: evil, time: q.time }] : q.have, diff: evil ? [{ op: "+", text: evil }] : q.diff })),
    };
}
