// Updates pages live, and shows a chart's values when it is touched; every page works without this.

const live = document.getElementById("live");

const FIELDS = "#main input, #main select, #main textarea";
const isChanged = (field) => field.options
  ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected))
  : field.value !== field.defaultValue;

// A renewal must not disturb somebody who types, chooses or reads details; what was typed or chosen has to stay until it is sent.
const busy = () => document.activeElement?.closest(FIELDS) || document.querySelector("#main details[open], #main .chosen")
  || [...document.querySelectorAll(FIELDS)].some(isChanged);

// Returns a selector that finds the focused element in the renewed page: a link, a button of a form, or what has a label.
function same(element) {
  const by = (name, owner, inside = "") =>
    owner?.hasAttribute(name) && `#main [${name}="${CSS.escape(owner.getAttribute(name))}"]${inside}`;
  return by("href", element) || by("action", element?.form, " button") || by("aria-label", element);
}

// Shows times in the reader's own zone; what was there, in UTC, is what one reads when pointing at one.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const local = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

function localize(root) {
  for (const time of root.querySelectorAll("time:not([title])")) {
    time.title = `${time.textContent} UTC`;
    time.textContent = local.format(new Date(time.dateTime));
  }
}

localize(document);
if (zone !== "UTC") document.getElementById("zone").textContent = `Times are those of ${zone}; point at one for UTC.`;

let waiting = false;

async function renew() {
  if (waiting) return;
  waiting = true;
  await new Promise((done) => setTimeout(done, 300));
  waiting = false;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (busy()) return;
    localize(fresh);
    const focused = same(document.activeElement);
    const shown = document.getElementById("tip")?.textContent;
    document.getElementById("main").replaceChildren(...fresh.getElementById("main").childNodes);
    if (shown) document.getElementById("tip").textContent = shown;
    if (focused) document.querySelector(focused)?.focus();
  } catch {
    // The event stream shows that the connection is lost; `hello` renews the page when it is back.
  }
}

if (live) {
  const events = new EventSource("/events");
  for (const name of ["hello", "change", "status"]) events.addEventListener(name, renew);
  events.onopen = () => { live.textContent = "live"; };
  events.onerror = () => { live.textContent = "connection lost, trying again"; };
}
setInterval(() => { if (document.visibilityState === "visible") renew(); }, 30_000);

for (const name of ["pointerdown", "pointerover"]) {
  document.addEventListener(name, (event) => show(event.target.closest?.(".chart .moment, .chart .shade")));
}

function show(moment) {
  const tip = document.getElementById("tip");
  const title = moment?.querySelector("title");
  if (tip && title) tip.textContent = title.textContent;
}

// A chart is one stop of the Tab key; the arrow keys move from moment to moment.
document.addEventListener("keydown", (event) => {
  const moments = [...(event.target.closest?.(".moments")?.querySelectorAll(".moment") ?? [])];
  const at = moments.findIndex((moment) => moment.classList.contains("chosen"));
  const next = {
    ArrowLeft: at < 0 ? moments.length - 1 : Math.max(0, at - 1),
    ArrowRight: Math.min(moments.length - 1, at + 1),
    Home: 0,
    End: moments.length - 1,
  }[event.key];
  if (!moments.length || next === undefined) return;
  event.preventDefault();
  moments[at]?.classList.remove("chosen");
  moments[next].classList.add("chosen");
  moments[next].scrollIntoView({ block: "nearest", inline: "nearest" });
  show(moments[next]);
});

document.addEventListener("focusout", (event) => {
  for (const moment of event.target.closest?.(".moments")?.querySelectorAll(".chosen") ?? []) moment.classList.remove("chosen");
});
