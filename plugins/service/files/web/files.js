// Turns lighttpd's plain list into the page of shared files: upload, folders, rename, delete by WebDAV.
"use strict";
(() => {
    const paths = {
        folder: ["M3 6.5A2.5 2.5 0 0 1 5.5 4h3.7c.7 0 1.3.3 1.8.7L12.4 6h6.1A2.5 2.5 0 0 1 21 8.500v8a2.500 2.500 0 0 1-2.500 2.500h-13A2.500 2.500 0 0 1 3 16.500z", "#3b6ef5"],
        file: ["M6.500 2h7L19 7.500v12a2.500 2.500 0 0 1-2.500 2.500h-10A2.500 2.500 0 0 1 4 19.500v-15A2.500 2.500 0 0 1 6.500 2zM13 3.500V8h4.500z", "#94a3b8"],
        image: ["M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm3 4a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM5 19h14l-4.500-7-3.500 5-2-2.500z", "#10a37f"],
        video: ["M4 5h11a2 2 0 0 1 2 2v2.500l4-2.500v10l-4-2.500V17a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z", "#d9480f"],
        audio: ["M9 4l11-2v13.500a3 3 0 1 1-2-2.830V7l-7 1.300v9.200a3 3 0 1 1-2-2.830z", "#ae3ec9"],
        text: ["M6 2h8l5 5v13a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2zm1 9v1.500h9V11zm0 4v1.500h9V15zm0-8v1.500h5V7z", "#5b8def"],
        zip: ["M6 2h11a2 2 0 0 1 2 2v16a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2zm4 0v2h2V2zm0 4v2h2V6zm0 4v2h2v-2zm0 4v4h2v-4z", "#c98a0b"],
        up: ["M12 4l7 7-1.400 1.400L13 7.800V20h-2V7.800l-4.600 4.600L5 11z"],
        down: ["M11 4h2v10.200l4.100-4.100 1.400 1.400L12 18l-6.500-6.500 1.400-1.400 4.100 4.100zM5 20h14v2H5z"],
        pen: ["M4 16.500L15.500 5 19 8.500 7.500 20H4zM17 3.500a1.500 1.500 0 0 1 2.100 0l1.400 1.400a1.500 1.500 0 0 1 0 2.100L20 7.500 16.500 4z"],
        bin: ["M9 3h6l1 2h4v2H4V5h4zM6 9h12l-1 12H7z"],
    };
    const kinds = [[/^(png|jpe?g|gif|webp|avif|heic|svg|bmp|tiff?)$/, "image"], [/^(mp4|m4v|webm|mkv|mov|avi)$/, "video"],
        [/^(mp3|m4a|ogg|oga|opus|flac|wav)$/, "audio"], [/^(txt|md|pdf|odt|docx?|rtf|csv|log|html?|epub)$/, "text"],
        [/^(zip|gz|tar|xz|zst|7z|bz2|rar|tgz)$/, "zip"]];
    const svgns = "http://www.w3.org/2000/svg";
    const here = location.pathname;
    const parts = here.split("/").filter(Boolean);
    const byName = new Intl.Collator(undefined, {numeric: true, sensitivity: "base"});
    const say = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "short"});
    let settings = {title: "Shared files", read_only: false};
    let entries = [];
    let order = {key: "name", up: true};

    function el(tag, props, ...children) {
        const e = Object.assign(document.createElement(tag), props);
        e.append(...children.filter((c) => c != null));
        return e;
    }
    function icon(name) {
        const svg = document.createElementNS(svgns, "svg"), p = document.createElementNS(svgns, "path");
        svg.setAttribute("viewBox", "0 0 24 24");
        svg.setAttribute("aria-hidden", "true");
        p.setAttribute("d", paths[name][0]);
        p.setAttribute("fill", paths[name][1] || "currentColor");
        p.setAttribute("fill-rule", "evenodd");
        svg.append(p);
        return svg;
    }
    function kindOf(e) {
        const ext = e.name.includes(".") ? e.name.split(".").pop().toLowerCase() : "";
        return e.folder ? "folder" : (kinds.find((k) => k[0].test(ext)) || [0, "file"])[1];
    }

    // ---- what is there ----
    function sizeOf(text) { // "2.8M" as lighttpd writes it; only for sorting
        const m = /^([\d.]+)\s*([KMGTPE]?)/.exec(text);
        return m ? parseFloat(m[1]) * 1024 ** " KMGTPE".indexOf(m[2] || " ") : -1;
    }
    function sizeText(text) {
        const m = /^([\d.]+)\s*([KMGTPE]?)/.exec(text);
        return !m ? "" : text === "0.1K" ? "< 1 KB" : `${m[1]} ${m[2]}B`;
    }
    function read(doc) {
        return [...doc.querySelectorAll(".list tbody tr")].map((tr) => {
            const a = tr.querySelector("td.n a"), m = tr.querySelector("td.m").textContent.trim();
            const size = tr.querySelector("td.s").textContent.trim();
            const when = new Date(m.replace(/(\d+)-(\w+)-(\d+) (.*)/, "$3 $2 $1 $4") + " UTC");
            return {name: a.textContent, href: "./" + a.getAttribute("href"), folder: tr.classList.contains("d"),
                size, bytes: sizeOf(size), when: isNaN(when) ? null : when};
        }).filter((e) => e.name !== "..");
    }
    async function refresh() {
        const r = await fetch(here, {cache: "no-store"});
        if (r.status === 404) { location.href = "../"; return; }
        entries = read(new DOMParser().parseFromString(await r.text(), "text/html"));
        draw();
    }

    // ---- questions ----
    function ask(title, text, buttons, value) {
        return new Promise((resolve) => {
            const input = value == null ? null : el("input", {value, required: true, ariaLabel: title, autocomplete: "off"});
            const form = el("form", {method: "dialog"}, el("h2", {textContent: title}), text ? el("p", {textContent: text}) : null, input,
                el("div", {className: "buttons"}, ...buttons.map(([label, result, cls]) =>
                    el("button", {textContent: label, value: result, className: cls || "", type: result ? "submit" : "button", formNoValidate: !result}))));
            const d = el("dialog", {}, form);
            form.querySelectorAll("button[type=button]").forEach((b) => b.addEventListener("click", () => d.close("")));
            d.addEventListener("close", () => { d.remove(); resolve(d.returnValue && input ? input.value.trim() : d.returnValue); });
            document.body.append(d);
            d.showModal();
            if (input) {
                const dot = value.lastIndexOf(".");
                input.focus();
                input.setSelectionRange(0, dot > 0 ? dot : value.length);
            }
        });
    }
    const badName = (n) => !n || n === "." || n === ".." || n.includes("/") || /[\u0000-\u001f]/.test(n) || new TextEncoder().encode(n).length > 255;
    async function must(promise, what) {
        const r = await promise.catch(() => null);
        if (r && r.ok) return true;
        const why = !r ? "The machine does not answer." : r.status === 507 ? "The disk is full." : r.status === 403 ? "This is not allowed here." :
            r.status === 423 ? "Somebody else has it open." : r.status === 412 || r.status === 405 ? "That name exists already." : `The answer was ${r.status}.`;
        await ask(what, why, [["Close", "ok", "main"]]);
        return false;
    }

    // ---- actions ----
    const encode = (p) => p.split("/").map(encodeURIComponent).join("/");
    async function newFolder() {
        const name = await ask("New folder", "", [["Cancel", ""], ["Create", "ok", "main"]], "New folder");
        if (!name) return;
        if (badName(name)) return void ask("This name does not work", "A name has no slash and at most 255 bytes.", [["Close", "ok", "main"]]);
        if (await must(fetch(here + encode(name) + "/", {method: "MKCOL"}), "The folder was not made")) refresh();
    }
    async function rename(e) {
        const name = await ask(`Rename “${e.name}”`, "", [["Cancel", ""], ["Rename", "ok", "main"]], e.name);
        if (!name || name === e.name) return;
        if (badName(name)) return void ask("This name does not work", "A name has no slash and at most 255 bytes.", [["Close", "ok", "main"]]);
        const to = location.origin + here + encode(name) + (e.folder ? "/" : "");
        if (await must(fetch(here + e.href, {method: "MOVE", headers: {Destination: to, Overwrite: "F"}}), "It was not renamed")) refresh();
    }
    async function remove(e) {
        const sure = await ask(`Delete “${e.name}”?`, e.folder ? "The folder goes with everything in it. There is no way back." : "There is no way back.",
            [["Cancel", ""], ["Delete", "ok", "bad"]]);
        if (sure && await must(fetch(here + e.href, {method: "DELETE"}), "It was not deleted")) refresh();
    }

    // ---- uploads: one after the other, with progress ----
    const queue = [];
    let working = false;
    function freeName(name) {
        const dot = name.lastIndexOf("."), stem = dot > 0 ? name.slice(0, dot) : name, ext = dot > 0 ? name.slice(dot) : "";
        for (let n = 2; ; n++) {
            const next = `${stem} (${n})${ext}`;
            if (!entries.some((e) => e.name === next)) return next;
        }
    }
    async function add(files) { // [{path: "a/b.txt", file}], path relative to this folder
        const tops = new Map();
        for (const {path, file} of files) {
            const top = path.split("/")[0];
            if (!path.includes("/") && !tops.has(top) && entries.some((e) => e.name === top)) {
                const r = await ask(`“${top}” exists already`, "", [["Skip", ""], ["Keep both", "both"], ["Replace", "replace", "main"]]);
                if (!r) continue;
                tops.set(top, r === "both" ? freeName(top) : top);
            }
            const job = {path: tops.get(top) && !path.includes("/") ? tops.get(top) : path, file};
            const bar = el("progress", {max: 1, value: 0}), state = el("em", {textContent: "waits"});
            const stop = el("button", {textContent: "✕", title: "Cancel", ariaLabel: `Cancel ${job.path}`});
            job.row = el("div", {className: "job"}, el("div", {}, el("span", {textContent: job.path, title: job.path}), state, stop), bar);
            job.show = (cls, text) => { job.row.className = "job " + cls; state.textContent = text; };
            job.bar = bar;
            stop.addEventListener("click", () => {
                if (job.xhr) return job.xhr.abort();
                job.dead = true;
                job.row.remove();
            });
            jobs.append(job.row);
            queue.push(job);
        }
        if (!working) work();
    }
    const made = new Set();
    async function folders(path) {
        const dirs = path.split("/").slice(0, -1);
        for (let i = 1; i <= dirs.length; i++) {
            const dir = dirs.slice(0, i).join("/");
            if (!made.has(dir)) await fetch(here + encode(dir) + "/", {method: "MKCOL"}); // 405: it is there
            made.add(dir);
        }
    }
    function put(job) {
        return new Promise((resolve) => {
            const x = job.xhr = new XMLHttpRequest(), began = performance.now();
            x.open("PUT", here + encode(job.path));
            x.upload.onprogress = (p) => {
                if (!p.lengthComputable) return;
                job.bar.value = p.total ? p.loaded / p.total : 1;
                const s = (performance.now() - began) / 1000, left = s * (p.total - p.loaded) / Math.max(p.loaded, 1);
                job.show("", s > 2 && left > 1 ? `${Math.round(100 * job.bar.value)} %, ${left > 90 ? Math.round(left / 60) + " min" : Math.round(left) + " s"} left` : `${Math.round(100 * job.bar.value)} %`);
            };
            x.onload = () => resolve(x.status < 300 ? "" : x.status === 507 ? "the disk is full" : `refused (${x.status})`);
            x.onerror = () => resolve("the connection broke");
            x.onabort = () => resolve("cancelled");
            x.send(job.file);
        });
    }
    async function work() {
        working = true;
        for (let job; (job = queue.shift());) {
            if (job.dead) continue;
            await folders(job.path).catch(() => {});
            const fault = await put(job);
            job.show(fault ? "failed" : "done", fault || "done");
            if (!fault) job.bar.value = 1;
            job.row.querySelector("button").remove();
            setTimeout(() => job.row.remove(), fault ? 15000 : 2500);
        }
        working = false;
        made.clear();
        refresh();
    }
    async function walk(entry, prefix, out) { // of dropped folders
        if (entry.isFile) {
            out.push({path: prefix + entry.name, file: await new Promise((ok, no) => entry.file(ok, no))});
            return;
        }
        const reader = entry.createReader();
        for (let some; (some = await new Promise((ok, no) => reader.readEntries(ok, no))).length;)
            for (const e of some) await walk(e, prefix + entry.name + "/", out);
    }
    async function dropped(data) {
        const roots = [...data.items].filter((i) => i.kind === "file").map((i) => i.webkitGetAsEntry && i.webkitGetAsEntry()).filter(Boolean);
        const out = [];
        if (roots.length) for (const r of roots) await walk(r, "", out);
        else for (const f of data.files) out.push({path: f.name, file: f});
        add(out);
    }

    // ---- the page ----
    const picker = el("input", {type: "file", multiple: true, hidden: true});
    const list = el("div", {role: "list"});
    const jobs = el("div", {className: "jobs card", ariaLive: "polite"});
    const filter = el("input", {type: "search", placeholder: "Search in this folder", ariaLabel: "Search in this folder"});
    const heading = el("h1");
    const bar = el("div", {className: "bar"}, filter);

    function sorter(a, b) {
        if (a.folder !== b.folder) return a.folder ? -1 : 1;
        const d = order.key === "size" ? a.bytes - b.bytes : order.key === "when" ? a.when - b.when : byName.compare(a.name, b.name);
        return order.up ? d : -d;
    }
    function head() {
        const button = (key, label) => {
            const b = el("button", {textContent: label + (order.key === key ? (order.up ? " ↑" : " ↓") : ""), className: key});
            b.addEventListener("click", () => { order = {key, up: order.key === key ? !order.up : key === "name"}; draw(); });
            return b;
        };
        return el("div", {className: "row head"}, el("span"), button("name", "Name"), button("size", "Size"), button("when", "Changed"), el("span", {className: "acts"}));
    }
    function row(e) {
        const acts = el("div", {className: "acts"});
        const act = (name, title, fn) => {
            const b = el("button", {title, ariaLabel: `${title}: ${e.name}`}, icon(name));
            b.addEventListener("click", () => fn(e));
            acts.append(b);
        };
        if (!e.folder) acts.append(el("a", {href: e.href, download: e.name, title: "Download", ariaLabel: `Download: ${e.name}`}, icon("down")));
        if (!settings.read_only) {
            act("pen", "Rename", rename);
            act("bin", "Delete", remove);
        }
        const r = el("div", {className: "row"}, icon(kindOf(e)), el("div", {className: "name"}, el("a", {href: e.href, textContent: e.name})),
            el("div", {className: "size", textContent: e.folder ? "" : sizeText(e.size)}),
            el("div", {className: "when", textContent: e.when ? say.format(e.when) : ""}), acts);
        r.setAttribute("role", "listitem");
        return r;
    }
    function draw() {
        const word = filter.value.trim().toLowerCase();
        const shown = entries.filter((e) => e.name.toLowerCase().includes(word)).sort(sorter);
        const text = word ? "Nothing here has that name." : settings.read_only ? "This folder is empty." : "This folder is empty. Drop files here, or choose Upload.";
        list.replaceChildren(...(shown.length ? [head(), ...shown.map(row)] : [el("div", {className: "empty"}, icon("folder"), el("p", {textContent: text}))]));
    }
    function crumbs() {
        const nav = el("nav", {ariaLabel: "Folders"}, parts.length ? el("a", {href: "/", textContent: settings.title}) : el("b", {textContent: settings.title}));
        parts.forEach((p, i) => {
            let name = p;
            try { name = decodeURIComponent(p); } catch { /* shown as it is */ }
            nav.append(el("i", {textContent: "›"}), i === parts.length - 1 ? el("b", {textContent: name}) : el("a", {href: "/" + parts.slice(0, i + 1).join("/") + "/", textContent: name}));
        });
        return nav;
    }
    function writable(top) {
        const up = el("button", {className: "main", textContent: "Upload"}), dir = el("button", {textContent: "New folder"});
        up.addEventListener("click", () => picker.click());
        dir.addEventListener("click", newFolder);
        picker.addEventListener("change", () => { add([...picker.files].map((file) => ({path: file.name, file}))); picker.value = ""; });
        top.append(dir, up, picker);
        let depth = 0;
        const files = (ev) => [...ev.dataTransfer.types].includes("Files");
        addEventListener("dragenter", (ev) => { if (files(ev)) { depth++; document.body.classList.add("dragging"); } });
        addEventListener("dragleave", (ev) => { if (files(ev) && --depth <= 0) { depth = 0; document.body.classList.remove("dragging"); } });
        addEventListener("dragover", (ev) => { if (files(ev)) ev.preventDefault(); });
        addEventListener("drop", (ev) => {
            if (!files(ev)) return;
            ev.preventDefault();
            depth = 0;
            document.body.classList.remove("dragging");
            dropped(ev.dataTransfer);
        });
        addEventListener("beforeunload", (ev) => { if (working) ev.preventDefault(); });
    }
    async function main() {
        settings = Object.assign(settings, await fetch("/.clan/settings.json").then((r) => r.json()).catch(() => ({})));
        document.head.append(el("link", {rel: "icon", href: "/.clan/icon.svg"}));
        document.title = settings.title;
        heading.textContent = settings.title;
        const top = el("header", {}, el("img", {src: "/.clan/icon.svg", alt: ""}), heading);
        if (!settings.read_only) writable(top);
        filter.addEventListener("input", draw);
        entries = read(document);
        draw();
        document.body.classList.add("live");
        document.body.append(el("main", {}, top, parts.length ? crumbs() : el("nav"), el("div", {className: "card"}, bar, list)), jobs,
            el("div", {className: "drop"}, el("span", {textContent: "Drop to upload here"})));
    }
    main();
})();
