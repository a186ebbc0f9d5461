// Bytes a second of each machine, from the totals that come by the stream and when they came.
//
// The kernel's and the plugins' devices are asked for their totals every 10 s (core/brain/device_peers.c): a total stands
// still for so long, and then jumps. Two of these fit into the window, so that one that comes late is no pause; whoever
// falls silent is at 0 when it is over.  Nothing is divided by less than 10 s: the first jump seen may be as old.
const WINDOW = 20, OLDEST = 10, APART = 1;

const totals = new Map();   // id: what came within the window, and the last before it

export function forget() {
    totals.clear();
}

export function heard(id, rx, tx, at) {
    const seen = totals.get(id), last = seen?.at(-1);
    if (!last || rx < last.rx || tx < last.tx)      // new here, or counted from 0 again
        totals.set(id, [{ rx, tx, at }]);
    else {
        if (seen.length > 1 && at - seen.at(-2).at < APART)
            seen.pop();
        seen.push({ rx, tx, at });
    }
}

// All rates at a time. Who is not in `ids` is gone.
export function rates(ids, at) {
    const all = new Map();
    for (const [id, seen] of totals) {
        if (!ids.has(id)) {
            totals.delete(id);
            continue;
        }
        while (seen.length > 1 && seen[1].at <= at - WINDOW)
            seen.shift();
        const first = seen[0], last = seen.at(-1), over = Math.min(WINDOW, Math.max(OLDEST, at - first.at));
        all.set(id, { rx: Math.round((last.rx - first.rx) / over), tx: Math.round((last.tx - first.tx) / over) });
    }
    return all;
}
