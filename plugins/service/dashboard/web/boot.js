// A script that did not come takes the page with it, as when the network changes while a machine joins: the page is asked
// for again, three times. app.js runs when all of them came.
addEventListener("error", (e) => {
    const turn = Number(sessionStorage.getItem("turn"));
    if (e.target.tagName !== "SCRIPT" || turn === 3)
        return;
    sessionStorage.setItem("turn", turn + 1);
    setTimeout(() => location.reload(), 500);
}, true);
