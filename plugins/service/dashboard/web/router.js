// The page that the address names: "#/machines/nas" is the page "machines" with "nas".
import { signal } from "@preact/signals";

function parse() {
    const [page, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
    let arg = "";
    try {
        arg = decodeURIComponent(rest.join("/"));
    } catch (e) {
        arg = rest.join("/");
    }
    return { page: page || "overview", arg };
}

export const route = signal(parse());
export const link = (page, arg) => `#/${page}${arg ? "/" + encodeURIComponent(arg) : ""}`;
export const go = (page, arg) => { location.hash = link(page, arg); };

addEventListener("hashchange", () => { route.value = parse(); });
