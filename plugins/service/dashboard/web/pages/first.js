// A machine that is in no clan yet: create one or join one, nothing else.
import { html, useState } from "../lib.js";
import { post } from "../api.js";
import { t } from "../text.js";
import { Action, Command, Head, Icon, Words } from "../parts/basic.js";

function Recovery({ made }) {
    const [kept, setKept] = useState(false), [over, setOver] = useState(false);
    const next = async () => {
        made.words = "";
        // writing down took longer than the code of the first answer is good
        made.url = await post("/first/create", { name: made.petname }).then((again) => again.url, () => "");
        setOver(true);
    };
    if (over)
        return html`<${Head} title=${t("first.done", { name: made.petname })} sub=${t("first.done.text")} /><div class="acts">${/^http:\/\/[\w.:-]+\/#/.test(made.url || "") ? html`<a class="button primary" href=${made.url}>${t("first.open")}</a>` : html`<${Command} words=${["ui"]} />`}</div>`;
    return html`<${Head} title=${t("recovery")} sub=${t("recovery.text")} /><section class="card"><${Words} text=${made.words} /></section>
        <label class="check"><input type="checkbox" checked=${kept} onChange=${(e) => setKept(e.target.checked)} />${t("recovery.kept")}</label>
        <button class="primary big" disabled=${!kept} onClick=${next}>${t("next")}</button>`;
}

export default function First() {
    const [step, setStep] = useState("choose"), [name, setName] = useState("home"), [machine, setMachine] = useState(""), [made, setMade] = useState(null);
    if (made)
        return html`<div class="splash"><${Recovery} made=${made} /></div>`;
    if (step === "create")
        return html`<div class="splash"><${Head} title=${t("create")} sub=${t("create.text")} /><form class="fields" onSubmit=${(e) => e.preventDefault()}>
            <label>${t("create.name")}<input value=${name} maxlength="32" required pattern="[a-z0-9][a-z0-9\\-]*" onInput=${(e) => setName(e.target.value)} /></label>
            <label>${t("create.machine")}<input value=${machine} maxlength="32" placeholder=${t("create.machine.hint")} pattern="[a-z0-9][a-z0-9\\-]*" onInput=${(e) => setMachine(e.target.value)} /></label></form>
            <div class="acts"><button onClick=${() => setStep("choose")}>${t("back")}</button><${Action} kind="primary" disabled=${!name} run=${async () => setMade({ ...await post("/first/create", { name, machine }) })}>${t("create")}</${Action}></div><${Command} words=${["up"]} /></div>`;
    if (step === "join")
        return html`<div class="splash"><${Head} title=${t("join")} sub=${t("join.how")} /><p>${t("join.terminal")}</p><${Command} words=${["join"]} /><div class="acts"><button onClick=${() => setStep("choose")}>${t("back")}</button></div></div>`;
    return html`<div class="splash"><svg class="logo" aria-hidden="true"><use href="/icons.svg#logo" /></svg><${Head} title=${t("first")} sub=${t("first.text")} />
        <div class="choices"><button class="card choice" onClick=${() => setStep("create")}><${Icon} name="overview" /><b>${t("create")}</b><span>${t("create.short")}</span></button>
        <button class="card choice" onClick=${() => setStep("join")}><${Icon} name="invite" /><b>${t("join")}</b><span>${t("join.short")}</span></button></div></div>`;
}
