// Puts the files that the plugin carries into a folder: ours as they are, the three libraries beside them.
// node assets.mjs OUT [NODE_MODULES]; modules name each other by path there, since a page with our policy has no import map.
import { cpSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out) {
    console.error("usage: node assets.mjs OUT [NODE_MODULES]");
    process.exit(2);
}
const libraries = {
    "preact": ["lib/preact.js", "preact/dist/preact.mjs"],
    "preact/hooks": ["lib/hooks.js", "preact/hooks/dist/hooks.mjs"],
    "@preact/signals-core": ["lib/signals-core.js", "@preact/signals-core/dist/signals-core.mjs"],
    "@preact/signals": ["lib/signals.js", "@preact/signals/dist/signals.mjs"],
    "htm": ["lib/htm.js", "htm/dist/htm.mjs"],
};
const ours = ["index.html", "app.css", "icons.svg", "boot.js", "app.js", "lib.js", "store.js", "rates.js", "api.js", "router.js", "text.js",
    "parts", "pages", "strings"];

function by_path(text) {
    return text.replace(/(from\s*|import\s*)"([^"./][^"]*)"/g, (all, word, name) =>
        libraries[name] ? `${word}"/${libraries[name][0]}"` : all)
        .replace(/\n?\/\/# sourceMappingURL=.*\n?/g, "\n");
}

function put(from, to) {
    if (statSync(from).isDirectory()) {
        for (const name of readdirSync(from).sort())
            put(join(from, name), join(to, name));
        return;
    }
    mkdirSync(dirname(to), { recursive: true });
    if (from.endsWith("js"))
        writeFileSync(to, by_path(readFileSync(from, "utf8")));
    else if (from.endsWith(".json"))
        writeFileSync(to, JSON.stringify(JSON.parse(readFileSync(from, "utf8"))));
    else
        cpSync(from, to);
}

// The modules of the first page, named in the page itself: else the browser learns of each from the one before.
function modules(from, found = new Set()) {
    for (const name of from)
        if (!found.has(name)) {
            found.add(name);
            const text = readFileSync(join(out, name), "utf8");
            modules([...text.matchAll(/(?:from|import)\s*"([./][^"]*)"/g)].map(([, path]) => path.startsWith("/") ? path.slice(1) : join(dirname(name), path)), found);
        }
    return [...found];
}

for (const name of ours)
    put(join(here, name), join(out, name));
for (const [file, from] of Object.values(libraries))
    put(join(process.argv[3] || join(here, "node_modules"), from), join(out, file));
const page = join(out, "index.html"), links = modules(["app.js", "pages/overview.js"]).map((name) => `<link rel="modulepreload" href="/${name}">`).join("\n");
writeFileSync(page, readFileSync(page, "utf8").replace("<!-- modules -->", () => links));
