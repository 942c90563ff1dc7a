// Owns the filling in of the live view from the messages of /events; decides nothing. The server says what is true.

const LINES = 30;
const at = (id) => document.getElementById(id);
const rows = new Map(); // label -> the cells of its bar
let frames = []; // when the last pictures came, for their rate

// The key tells the device that it is this page that asks: the cookie would be sent for any other.
const key = document.querySelector("meta[name=key]").content;
const source = new EventSource(`events?key=${key}`);
source.addEventListener("hello", (message) => greet(JSON.parse(message.data)));
source.addEventListener("look", (message) => look(JSON.parse(message.data)));
source.addEventListener("news", (message) => news(JSON.parse(message.data)));
source.addEventListener("health", (message) => health(JSON.parse(message.data)));
source.addEventListener("error", () => {
  const gone = source.readyState === EventSource.CLOSED;
  say(gone ? "The device does not let this page in any more. Load it again." : "Connection lost, trying again…", true);
});

function greet({ about, labels, news: lines, health: beat, health_age_s: age }) {
  say(`saynote ${about.version} · bundle ${about.bundle} · camera ${about.camera}`, false);
  at("said").lang = about.language;
  makeRows(labels);
  at("said").replaceChildren();
  at("events").replaceChildren();
  lines.forEach(news);
  if (beat) health(beat, age);
}

function say(text, lost) {
  at("link").textContent = text;
  at("link").classList.toggle("lost", lost);
}

function makeRows(labels) {
  rows.clear();
  at("scores").replaceChildren(...labels.map((label) => {
    const row = document.createElement("tr");
    const name = element("th", label);
    name.scope = "row";
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", label);
    const cell = document.createElement("td");
    cell.append(bar);
    const number = element("td", "0.00");
    row.append(name, cell, number);
    rows.set(label, { row, bar, number });
    return row;
  }));
}

function look({ sees, scores, box, ms, picture }) {
  const image = at("picture");
  image.onload = () => {
    image.hidden = false;
    at("frame").style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
    drawBox(box); // with its own picture, not with the one before
  };
  image.src = `data:image/jpeg;base64,${picture}`;
  write("sees", sees);
  drawScores(new Map(scores));
  drawMilliseconds(ms);
}

function drawBox(box) {
  const drawn = at("box");
  drawn.toggleAttribute("hidden", !box);
  if (box) ["x", "y", "width", "height"].forEach((name, index) => drawn.setAttribute(name, box[index]));
}

function drawScores(scores) {
  const best = Math.max(0.005, ...scores.values());
  for (const [label, { row, bar, number }] of rows) {
    const share = scores.get(label) ?? 0;
    bar.value = share;
    number.textContent = share.toFixed(2);
    row.classList.toggle("best", share >= best);
  }
}

function drawMilliseconds(ms) {
  const now = performance.now();
  frames = [...frames.filter((then) => now - then < 5000), now];
  const total = Object.values(ms).reduce((sum, one) => sum + one, 0);
  const span = (now - frames[0]) / 1000; // two that came at once tell no rate
  const perSecond = span >= 0.5 ? ((frames.length - 1) / span).toFixed(1) : "…";
  define("ms", [
    ...Object.entries(ms).map(([stage, one]) => [stage, one.toFixed(1)]),
    ["total", total.toFixed(1)],
    ["shown a second", perSecond],
  ]);
}

function news({ kind, text, detail, age_s: age }) {
  const line = document.createElement("li");
  const then = new Date(Date.now() - age * 1000);
  const time = element("time", then.toLocaleTimeString([], { hour12: false }));
  time.dateTime = then.toISOString();
  line.append(time);
  if (kind !== "said") line.append(element("span", kind, `kind ${kind}`));
  const words = element("span", text);
  if (detail) words.append(" ", element("span", detail, "quiet"));
  line.append(words);
  const list = at(kind === "said" ? "said" : "events");
  list.prepend(line);
  while (list.children.length > LINES) list.lastChild.remove();
  if (kind === "decision" || kind === "hint") write(kind, text);
  if (kind === "decision") write("detail", detail);
}

function health(beat, age = 0) {
  const then = Date.now() - age * 1000;
  const heat = beat.temperature_c === null ? "unknown" : `${beat.temperature_c.toFixed(0)} °C`;
  const slowed = beat.throttled === null ? "unknown" : beat.throttled ? "yes: heat or a weak power supply" : "no";
  define("health", [
    ["up since", new Date(then - beat.uptime_s * 1000).toLocaleTimeString([], { hour12: false })],
    ["frames", beat.frames],
    ["inferences", beat.inferences],
    ["amounts said", beat.announced],
    ["temperature", heat],
    ["slowed down", slowed],
    ["as of", new Date(then).toLocaleTimeString([], { hour12: false })],
  ]);
}

// A list of terms, built once for each set of names: what does not change is left alone.
function define(id, pairs) {
  const list = at(id);
  if (list.children.length !== pairs.length || [...list.children].some((group, n) => group.firstChild.textContent !== pairs[n][0])) {
    list.replaceChildren(...pairs.map(([name]) => {
      const group = document.createElement("div");
      group.append(element("dt", name), document.createElement("dd"));
      return group;
    }));
  }
  pairs.forEach(([, value], n) => { list.children[n].lastChild.textContent = value; });
}

function write(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text; // a screen reader speaks of changes only
}

function element(name, text, classes = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = classes;
  return made;
}
