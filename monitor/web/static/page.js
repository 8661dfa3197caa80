// Updates pages live, and shows a chart's values when it is touched; every page works without this.

const live = document.getElementById("live");

const FIELDS = "#main input, #main select, #main textarea";
const isChanged = (field) => field.options
  ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected))
  : field.value !== field.defaultValue;

// A renewal must not disturb somebody who types, chooses, reads details, or marks or presses something; what was typed or chosen has to
// stay until it is sent.
let checking = false;
const main = document.getElementById("main");
const busy = () => checking || document.activeElement?.closest(FIELDS)
  || document.querySelector("#main details[open]:not([data-open]), #main .chosen, #main .sent, #main :active")
  || (!getSelection().isCollapsed && main.contains(getSelection().anchorNode)) || [...document.querySelectorAll(FIELDS)].some(isChanged);

// Returns what finds the focused element in the renewed page: a link, a button of a form, what opens something, or what has a label.
function finder(element) {
  if (!main.contains(element)) return () => null;
  if (element.matches("summary")) {
    const same = () => [...main.querySelectorAll("summary")].filter(({ textContent }) => textContent === element.textContent);
    const at = same().indexOf(element);
    return () => same()[at];
  }
  const by = (name, owner, inside = "") =>
    owner?.hasAttribute(name) && `[${name}="${CSS.escape(owner.getAttribute(name))}"]${inside}`;
  const selector = by("href", element) || by("action", element.form, " button") || by("aria-label", element);
  return () => selector && main.querySelector(selector);
}

// Shows times in the reader's own zone; what was there, in UTC, is what one reads when pointing at one.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const local = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short" });
const formats = {
  day: new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "long", year: "numeric" }),
  moment: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
  clock: new Intl.DateTimeFormat("sv-SE", { timeStyle: "short" }),
  seconds: new Intl.DateTimeFormat("sv-SE", { timeStyle: "medium" }),
};

function localize(root) {
  for (const time of root.querySelectorAll("time:not([title])")) {
    time.title = `${time.dateTime.slice(0, 19).replace("T", " ")} UTC`;
    time.textContent = (formats[time.dataset.as] ?? local).format(new Date(time.dateTime));
  }
  for (const field of root.querySelectorAll("[type=datetime-local]")) field.labels[0].firstChild.data = "From, else now ";
  for (const times of root.querySelectorAll(".times[data-step]")) moveTicks(times.dataset, times.querySelectorAll("text"));
  root.querySelectorAll(".timeline").forEach(byDay);
}

// Groups what happened by the days of the reader's zone: those of the server are of UTC.
function byDay(timeline) {
  const old = [...timeline.querySelectorAll(".day")];
  const days = [];
  for (const entry of timeline.querySelectorAll(".day > ol > .entry")) {
    const day = formats.day.format(new Date(entry.querySelector("time").dateTime));
    if (days.at(-1)?.querySelector("time").textContent !== day) {
      days.push(old[0].cloneNode(true));
      const heading = days.at(-1).querySelector("time");
      heading.textContent = day;
      heading.removeAttribute("title");
      days.at(-1).querySelector("ol").replaceChildren();
    }
    days.at(-1).querySelector("ol").append(entry);
  }
  old[0]?.replaceWith(...days);
  old.slice(1).forEach((day) => day.remove());
}

// Ticks stand at round times in UTC: they go to the nearest round times of the reader's zone.
function moveTicks({ since, until, step }, ticks) {
  for (const tick of ticks) {
    const date = new Date(1000 * tick.dataset.at);
    const ahead = -60 * date.getTimezoneOffset();
    const at = tick.dataset.at - ahead + step * Math.round(ahead / step);
    tick.setAttribute("x", `${100 * (at - since) / (until - since)}%`);
    tick.textContent = (step < 86_400 ? formats.clock : day).format(new Date(1000 * at));
    if (at < since) tick.remove();
  }
}

localize(document);
if (zone !== "UTC") document.getElementById("zone").textContent = `Times are those of ${zone}; point at one for UTC.`;

// What became of a check, and only this page knows, stays until the server knows more.
function keepAnswer(renewed) {
  const here = document.querySelector(".answer[data-before]");
  if (here && renewed?.textContent === here.dataset.before) renewed.replaceWith(here);
}

// Says whether what one reads is how things are: news have to come in, renewals have to succeed, and nothing may hold them back.
const freshness = { news: "", trouble: "", held: "" };

function note(changes) {
  Object.assign(freshness, changes);
  const text = freshness.held || freshness.trouble || freshness.news;
  if (live && live.textContent !== text) live.textContent = text;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const LOST = "connection lost, trying again";
let waiting = false;
let asked = 0;
let newest = 0;

async function renew() {
  if (waiting) return;
  waiting = true;
  await pause(300);
  for (let rounds = 1; busy(); rounds += 1) {
    if (rounds > 10 && !checking) note({ held: "not renewed while you read or type" });
    await pause(300);
  }
  note({ held: "" });
  waiting = false;
  const turn = asked += 1;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(25_000) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn < newest) return; // what is here was asked for later
    if (busy()) renew();
    else if (answer.ok && files(page) !== files(document) && performance.now() > 30_000) location.reload(); // at most twice a minute
    else if (answer.ok) replace(page);
    else note({ trouble: main.querySelector(".problem-page") ? "" : `not renewed: ${page.querySelector("h1")?.textContent || answer.status}` });
    newest = turn;
  } catch {
    note({ trouble: LOST });
  }
}

// Returns the scripts and styles of ours that a page needs: after an upgrade of the server, others. A browser's extensions add their own.
const files = (page) => [...page.querySelectorAll('head [src^="/static/"], head [href^="/static/"]')]
  .map((each) => each.getAttribute("src") ?? each.getAttribute("href")).join();

function replace(page) {
  localize(page);
  keepAnswer(page.querySelector(".answer"));
  const find = finder(document.activeElement);
  main.replaceChildren(...page.getElementById("main").childNodes);
  document.querySelector("footer time").replaceWith(page.querySelector("footer time"));
  document.title = page.title;
  hide();
  note({ trouble: "" });
  find()?.focus({ preventScroll: true }); // the reader may have scrolled on
}

const isSeen = () => document.visibilityState === "visible";
let events;

// A browser has six connections to a server, for all its pages: those that nobody sees leave them to others.
function listen() {
  events?.close();
  note({ news: "" });
  if (!live || !isSeen()) return;
  events = new EventSource("/events");
  for (const name of ["hello", "change", "status"]) events.addEventListener(name, renew);
  events.addEventListener("hello", () => note({ news: "live" }));
  events.onerror = () => note({ news: LOST });
}

listen();
document.addEventListener("visibilitychange", () => {
  listen();
  if (isSeen()) renew();
});
const every = location.pathname === "/pipeline" ? 5_000 : 30_000; // no event says what has changed there
setInterval(() => {
  if (!isSeen()) return;
  if (events?.readyState === EventSource.CLOSED) listen(); // it was refused: the browser does not try again
  renew();
}, every);

// What bars and charts show is at the cursor, or above the finger: the nearest moment, also between two of them.
const tip = document.body.appendChild(document.createElement("div"));
Object.assign(tip, { id: "tip", className: "tip", role: "status", hidden: true });
const MOMENTS = ".moment, .bars path";

let finger;

function hide() {
  clearTimeout(finger);
  tip.hidden = true;
  for (const each of document.querySelectorAll(".chosen")) each.classList.remove("chosen");
}

// Returns what is said of a moment: when it was, and a line for each value.
function said(moment) {
  const title = moment.querySelector("title");
  if (title) {
    moment.dataset.said = title.textContent; // a browser would show a second tip
    title.remove();
  }
  const [, when, what] = moment.dataset.said.match(/^(.*?)(?: UTC)?: (.*)$/s);
  const { since } = moment.parentNode.dataset;
  const at = moment.dataset.at ?? (since && +since + 3_600 * [...moment.parentNode.children].indexOf(moment));
  const date = new Date(1000 * at);
  return [at === undefined ? when : `${day.format(date)} ${formats.clock.format(date)}`, ...what.split(/[,;] /)];
}

function show(moment, x, y) {
  hide();
  moment.classList.add("chosen");
  const [when, ...values] = said(moment);
  const heading = document.createElement("strong");
  heading.textContent = when;
  const lines = values.map((value) => {
    const line = document.createElement("span");
    line.textContent = value;
    if (moment.matches(".plot .moment")) line.className = `key ${value.split(" ")[0]}`;
    return line;
  });
  tip.replaceChildren(heading, ...lines);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${scrollX + Math.max(4, Math.min(x + 12, innerWidth - width - 4))}px`;
  tip.style.top = `${scrollY + (y - height - 12 > 4 ? y - height - 12 : y + 20)}px`;
}

// A small line has its values beside it, so that a page of many is not large: the moments are made here.
function moments(drawing) {
  if (drawing.matches(".spark:not(:has(.moment))")) {
    const values = drawing.dataset.values.split("|");
    drawing.append(...values.map((value, hour) => {
      const moment = document.createElementNS(drawing.namespaceURI, "rect");
      const [width, at] = [120 / values.length, +drawing.dataset.since + 3_600 * hour];
      for (const [name, is] of Object.entries({ class: "moment", x: width * hour, width, height: 28 })) moment.setAttribute(name, is);
      Object.assign(moment.dataset, { at, said: `${at}: ${value}` });
      return moment;
    }));
  }
  return [...drawing.querySelectorAll(MOMENTS)];
}

function nearest(drawing, x) {
  const away = (moment) => {
    const { left, right } = moment.getBoundingClientRect();
    return Math.max(left - x, x - right, 0);
  };
  return moments(drawing).sort((one, other) => away(one) - away(other))[0];
}

for (const name of ["pointerdown", "pointermove", "click"]) { // click: a tap moves the focus first, which hides
  document.addEventListener(name, (event) => {
    const drawing = event.target.closest?.(".plot, .bars, .spark");
    const moment = drawing && nearest(drawing, event.clientX);
    if (!moment) {
      if (!document.activeElement?.matches(".moments")) hide();
      return;
    }
    show(moment, event.clientX, event.clientY);
    if (event.pointerType !== "mouse") finger = setTimeout(hide, 10_000); // a finger does not leave, and news must come
  });
}
document.documentElement.addEventListener("pointerleave", ({ pointerType }) => { if (pointerType === "mouse") hide(); });

// Bars and charts are one stop of the Tab key each; the arrow keys move from moment to moment.
document.addEventListener("keydown", (event) => {
  const moments = [...(event.target.closest?.(".moments")?.querySelectorAll(MOMENTS) ?? [])];
  const at = moments.findIndex((moment) => moment.classList.contains("chosen"));
  const next = {
    ArrowLeft: at < 0 ? moments.length - 1 : Math.max(0, at - 1),
    ArrowRight: Math.min(moments.length - 1, at + 1),
    Home: 0,
    End: moments.length - 1,
  }[event.key];
  if (event.key === "Escape") hide();
  if (!moments.length || next === undefined) return;
  event.preventDefault();
  const { right, top } = moments[next].getBoundingClientRect();
  show(moments[next], right, top);
});

document.addEventListener("focusout", hide);

// A time that is typed is one of the reader's zone, too; what is sent is in UTC.
document.addEventListener("formdata", ({ target, formData }) => {
  for (const { name, value } of target.querySelectorAll("[type=datetime-local]")) {
    if (value) formData.set(name, new Date(value).toISOString().slice(0, 16));
  }
});

// A form that orders something is sent once, however often its button is pressed; again when the browser has stopped that.
document.addEventListener("submit", (event) => {
  const { method, classList } = event.target;
  if (method !== "post" || classList.contains("check")) return;
  if (classList.contains("sent")) event.preventDefault();
  classList.add("sent");
  setTimeout(() => classList.remove("sent"), 10_000);
});

// A check takes as long as its site does: what becomes of it is said without a new page.
document.addEventListener("submit", async (event) => {
  const { action, dataset, classList } = event.target;
  if (!classList.contains("check")) return;
  event.preventDefault();
  const button = event.target.querySelector("button");
  const answer = document.querySelector(".answer");
  checking = button.disabled = true;
  answer.dataset.before ??= answer.textContent;
  answer.textContent = `Checking, for ${dataset.limit} at most …`;
  try {
    const { pathname, search } = new URL(action); // of a page whose address has a user, no URL with that user can be asked for
    const page = await fetch(location.origin + pathname + search, { method: "POST", headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await page.text(), "text/html");
    localize(fresh);
    const outcome = fresh.querySelector(".answer");
    answer.replaceChildren(...(outcome ?? fresh.querySelector("h1")).childNodes);
    if (outcome) delete answer.dataset.before;
  } catch {
    answer.textContent = "No answer from this page's server: the check may have been made or not.";
  }
  checking = button.disabled = false;
  newest = asked += 1; // a page that was asked for before does not have its answer
  if (document.activeElement === document.body) button.focus({ preventScroll: true }); // else the reader has gone on
  renew();
});
