// Live updates and what a chart tells when it is touched; every page works without this.

const live = document.getElementById("live");

// Typing, choosing and reading on must survive a renewal.
const busy = () => document.activeElement?.closest("#main input, #main select, #main textarea") || document.querySelector("#main details[open]");

let waiting = false;

async function renew() {
  if (waiting) return;
  waiting = true;
  await new Promise((done) => setTimeout(done, 300));
  waiting = false;
  if (busy()) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focused = document.activeElement?.getAttribute("href");
    document.getElementById("main").replaceChildren(...fresh.getElementById("main").childNodes);
    if (focused) document.querySelector(`#main a[href="${CSS.escape(focused)}"]`)?.focus();
  } catch {
    // The stream says that the connection is lost, and `hello` renews when it is back.
  }
}

if (live) {
  const events = new EventSource("/events");
  for (const name of ["hello", "change", "status"]) events.addEventListener(name, renew);
  events.onopen = () => { live.textContent = "live"; };
  events.onerror = () => { live.textContent = "connection lost, trying again"; };
}

document.addEventListener("pointerdown", tell);
document.addEventListener("pointerover", tell);

function tell(event) {
  const tip = document.getElementById("tip");
  const title = event.target.closest?.(".chart .moment, .chart .shade")?.querySelector("title");
  if (tip && title) tip.textContent = title.textContent;
}
