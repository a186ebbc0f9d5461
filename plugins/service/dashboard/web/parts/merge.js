// Two texts by their lines: what is different, and two changes of one text put together.

const MOST = 4e6;   // pairs of lines that are compared: larger texts count as changed as a whole

// For each line of a the line of b that it became, or undefined: the longest common subsequence.
function matches(a, b) {
    const found = new Array(a.length);
    let top = 0, end = 0;
    for (; top < a.length && top < b.length && a[top] === b[top]; top++)
        found[top] = top;
    for (; end < a.length - top && end < b.length - top && a[a.length - 1 - end] === b[b.length - 1 - end]; end++)
        found[a.length - 1 - end] = b.length - 1 - end;
    const n = a.length - top - end, m = b.length - top - end, wide = m + 1;
    if (n * m > MOST)
        return found;
    const longest = new Uint16Array((n + 1) * wide);
    for (let i = n - 1; i >= 0; i--)
        for (let j = m - 1; j >= 0; j--)
            longest[i * wide + j] = a[top + i] === b[top + j] ? longest[(i + 1) * wide + j + 1] + 1 : Math.max(longest[(i + 1) * wide + j], longest[i * wide + j + 1]);
    for (let i = 0, j = 0; i < n && j < m;)
        if (a[top + i] === b[top + j])
            found[top + i++] = top + j++;
        else if (longest[(i + 1) * wide + j] >= longest[i * wide + j + 1])
            i++;
        else
            j++;
    return found;
}

export function lineDiff(a, b) {
    const x = a.split("\n"), y = b.split("\n"), to = matches(x, y), rows = [];
    let j = 0;
    const until = (end) => { while (j < end) rows.push({ op: "+", text: y[j++] }); };
    x.forEach((text, i) => {
        if (to[i] === undefined)
            return rows.push({ op: "-", text });
        until(to[i]);
        rows.push({ op: " ", text });
        j++;
    });
    until(y.length);
    return rows;
}

const MARKS = ["# <<< ", "# === ", "# >>>"];
export const marked = (text) => text.split("\n").some((line) => MARKS.some((mark) => line.startsWith(mark)));

// What both made of `base`. Where they changed the same lines both stand there, between marks that are comments.
export function merge(base, mine, theirs, names) {
    const o = base.split("\n"), a = mine.split("\n"), b = theirs.split("\n"), toA = matches(o, a), toB = matches(o, b), out = [];
    const same = (x, y) => x.length === y.length && x.every((line, i) => line === y[i]);
    for (let i = 0, j = 0, k = 0; ; i++, j++, k++) {
        let next = i;
        while (next < o.length && (toA[next] === undefined || toB[next] === undefined))
            next++;
        const over = next === o.length, was = o.slice(i, next), one = a.slice(j, over ? a.length : toA[next]), two = b.slice(k, over ? b.length : toB[next]);
        if (same(one, was))
            out.push(...two);
        else if (same(two, was) || same(one, two))
            out.push(...one);
        else
            out.push(MARKS[0] + names[0], ...one, MARKS[1] + names[1], ...two, MARKS[2]);
        if (over)
            return out.join("\n");
        out.push(o[next]);
        [i, j, k] = [next, toA[next], toB[next]];
    }
}
