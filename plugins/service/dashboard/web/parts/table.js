// A dense table that draws only the rows in view: a thousand machines cost as much as thirty. All rows have one
// height; what is left out above and below is an empty picture of that height.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../lib.js";
import { t } from "../text.js";
import { Icon, foreign } from "./basic.js";

const MARGIN = 6, FEW = 60;

export function Table({ label, columns, rows, keyOf, href, search, empty }) {
    const [filter, setFilter] = useState("");
    const [sort, setSort] = useState(null);
    const [range, setRange] = useState([0, Math.ceil(innerHeight / 48)]);   // at first what may be seen; more when that is drawn
    const body = useRef(), few = useRef();
    if (rows.length)
        few.current ??= rows.length <= 6;       // a field that comes with the seventh row would move the others
    const wanted = filter.trim().toLowerCase();
    let all = wanted && search ? rows.filter((r) => search(r).toLowerCase().includes(wanted)) : rows;
    if (sort) {
        const by = columns[sort.column].by;
        all = [...all].sort((a, b) => sort.sign * (by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : 0));
    }
    const many = all.length > FEW;
    const height = () => body.current?.querySelector("tr[data-row]")?.offsetHeight || 48;
    const [tall, setTall] = useState(48);
    useLayoutEffect(() => { if (many) setTall(height()); }, [many]);
    useEffect(() => {
        if (!many)
            return;
        let asked = 0;
        const look = () => {
            asked = 0;
            if (!body.current)
                return;
            const h = height(), top = body.current.getBoundingClientRect().top;
            const first = Math.max(0, Math.floor(-top / h) - MARGIN);
            const last = Math.ceil((innerHeight - top) / h) + MARGIN;
            setTall(h);
            setRange((old) => Math.abs(old[0] - first) < 4 && Math.abs(old[1] - last) < 4 ? old : [first, last]);
        };
        const soon = () => { asked ||= requestAnimationFrame(look); };
        addEventListener("scroll", soon, { passive: true });
        addEventListener("resize", soon);
        look();
        return () => {
            cancelAnimationFrame(asked);
            removeEventListener("scroll", soon);
            removeEventListener("resize", soon);
        };
    }, [many]);
    const first = many ? Math.min(range[0], Math.max(0, all.length - 1)) : 0;
    const last = many ? Math.min(all.length, Math.max(range[1], first + 1)) : all.length;
    const gap = (n, key) => n > 0 && html`<tr key=${key} class="room" aria-hidden="true"><td colspan=${columns.length}><svg width="1" height=${n * tall}></svg></td></tr>`;
    const turn = (column) => setSort(sort && sort.column === column ? sort.sign > 0 ? { column, sign: -1 } : null : { column, sign: 1 });
    return html`<div class="listing">
        ${search && (few.current === false || rows.length > FEW || filter) && html`<label class="filter"><${Icon} name="search" /><span class="hidden">${t("filter")}</span>
            <input type="search" value=${filter} placeholder=${t("filter")} onInput=${(e) => setFilter(e.target.value)} />
            <span class="quiet" role="status">${t("rows", { n: all.length })}</span></label>`}
        ${!all.length ? (wanted ? html`<p class="quiet pad">${t("filter.none")}</p>` : empty) : html`
        <div class="card flush"><table aria-label=${label} aria-rowcount=${all.length + 1}>
            <thead><tr aria-rowindex="1">${columns.map((c, i) => html`<th key=${c.name} scope="col" class=${c.kind || ""}
                aria-sort=${sort && sort.column === i ? (sort.sign > 0 ? "ascending" : "descending") : undefined}>
                ${c.by ? html`<button class="sort" onClick=${() => turn(i)}>${c.name}<${Icon} name=${sort && sort.column === i ? (sort.sign > 0 ? "asc" : "desc") : "sort"} /></button>` : c.name}</th>`)}</tr></thead>
            <tbody ref=${body}>${gap(first, "above")}
            ${all.slice(first, last).map((r, i) => html`<tr key=${keyOf(r)} data-row aria-rowindex=${first + i + 2}>
                ${columns.map((c, j) => html`<td key=${j} class=${c.kind || ""}>${j === 0 && href && href(r) ? html`<a href=${href(r)}>${c.show(r)}</a>` : foreign(c.show(r))}</td>`)}</tr>`)}
            ${gap(all.length - last, "below")}</tbody></table></div>`}</div>`;
}
