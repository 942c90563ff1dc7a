// Owns the putting together: connection, fleet, the view that the address names, and when what is drawn.

import { Link, mistake } from "./broker.js";
import { DevicePage } from "./device.js";
import { icon, mark, put, turn } from "./dom.js";
import { Fleet, need, tally } from "./fleet.js";
import { List } from "./list.js";
import { choose, faultyParts, fromHash, toHash } from "./query.js";
import { read } from "./wire.js";
import { changes, counted, headline, moment, troubles, whole } from "./words.js";

const DRAW_EVERY_MS = 100;
const ORDER_EVERY_MS = 250; // when devices come, go or change their standing
const READ_EVERY_MS = 500; // while a new connection brings them all: each time, the whole table is laid out anew
const RESORT_EVERY_MS = 10_000; // when only their numbers change: rows that jump cannot be read
const SWEEP_EVERY_MS = 5000; // for what changes by time alone
const KEPT = "saynote.broker";
const THEME = "saynote.theme";

const at = (id) => document.getElementById(id);
const labels = Object.fromEntries([...document.querySelectorAll("#devices [data-sort]")].map((cell) => [cell.dataset.sort, cell.dataset.label]));
const list = new List(at("rows"), labels);
const page = new DevicePage();
let fleet = new Fleet();
let link = null;
let status = { phase: "idle", words: "", since_ms: 0 };
let shownAs = ""; // the user and broker in words
let view = fromHash(location.hash);
let watched = "";

// When things are drawn

const dirty = new Set();
const needs = new Map(); // device's name -> its need as last drawn
let unspoken = [];
let queued = false;
let drawn_ms = 0;
let ordered_ms = 0;
let order_by_ms = 0;

const isConnected = () => status.phase === "connected" || status.phase === "reading";

/** When the page's knowledge ends: it does not age while there is no connection. */
const knownUntil = () => (isConnected() || status.phase === "connecting" ? Date.now() : status.since_ms);

function schedule() {
  if (queued) return;
  queued = true;
  const wait_ms = drawn_ms + DRAW_EVERY_MS - performance.now();
  if (wait_ms > 0) setTimeout(() => requestAnimationFrame(draw), wait_ms);
  else requestAnimationFrame(draw);
}

function orderWithin(ms) {
  const patience_ms = status.phase === "reading" ? Math.max(ms, READ_EVERY_MS) : ms;
  order_by_ms = Math.min(order_by_ms, ordered_ms + patience_ms);
}

function draw() {
  queued = false;
  drawn_ms = performance.now();
  const now_ms = knownUntil();
  for (const device of dirty) notice(device, now_ms);
  overview(now_ms);
  if (view.page === "device") page.show(fleet.devices.get(view.device), now_ms);
  else if (drawn_ms >= order_by_ms) order(now_ms);
  else list.update([...dirty].filter(list.has), view, now_ms);
  dirty.clear();
  if (view.page === "list" && order_by_ms < Infinity) setTimeout(schedule, Math.max(0, order_by_ms - drawn_ms));
}

// A change of standing moves a row, and is spoken unless it is what a new connection brings.
function notice(device, now_ms) {
  const before = needs.get(device.name);
  if (device.removed) {
    needs.delete(device.name);
    return orderWithin(ORDER_EVERY_MS);
  }
  const now = need(device, now_ms);
  if (now === before) return orderWithin(RESORT_EVERY_MS);
  needs.set(device.name, now);
  if (before !== undefined && status.phase === "connected") unspoken.push({ name: device.name, to: now });
  return orderWithin(ORDER_EVERY_MS);
}

function order(now_ms) {
  ordered_ms = drawn_ms;
  order_by_ms = Infinity;
  const chosen = choose(fleet.devices.values(), view, now_ms);
  list.arrange(chosen, view, now_ms);
  at("tiles").hidden = at("controls").hidden = fleet.devices.size === 0;
  at("devices").hidden = chosen.length === 0;
  at("nothing").hidden = chosen.length > 0;
  put(at("nothing"), fleet.devices.size > 0 ? "No device is like that. Change the search or the filter." : EMPTY);
  const all = fleet.devices.size;
  put(at("shown"), chosen.length === all ? counted(all, "device", "devices") : `${whole(chosen.length)} of ${counted(all, "device", "devices")}`);
  offerFaults();
}

const EMPTY = "A device appears here as soon as it sends to this broker. If there should be some: may this user read their topics?";

function overview(now_ms) {
  const counts = tally(fleet.devices.values(), now_ms);
  const connected = isConnected();
  const mood = !connected ? "unknown" : counts.all === 0 ? "none" : counts.gone ? "gone" : counts.fault ? "fault" : counts.late ? "late" : "well";
  mark(at("overview"), "data-mood", mood);
  turn(at("mood"), mood === "none" ? "unknown" : mood);
  put(at("headline"), headline(counts, status.phase));
  const trouble = troubles(counts);
  const calm = counts.all === 0 ? "" : "No faults, and none is late or gone.";
  put(at("troubles"), connected ? trouble || calm : trouble && `When last seen: ${trouble}`);
  for (const name of ["all", "well", "fault", "late", "gone"]) {
    put(at(`count-${name}`), whole(counts[name]));
    mark(at(`only-${name}`), "data-none", counts[name] === 0 ? "" : null);
    mark(at(`only-${name}`), "aria-pressed", String(view.only === name));
  }
  document.title = titled(counts);
  put(at("ignored"), fleet.ignored === 0 ? "" : `${counted(fleet.ignored, "message", "messages")} not understood and left out.`);
}

function titled(counts) {
  const name = view.page === "device" ? `${view.device} · saynote` : "saynote fleet";
  return counts.attention > 0 ? `(${whole(counts.attention)}) ${name}` : name;
}

function offerFaults() {
  const chooser = at("fault");
  const parts = faultyParts(fleet.devices.values());
  if (view.fault !== "" && !parts.includes(view.fault)) parts.push(view.fault);
  if ([...chooser.options].slice(1).map(({ value }) => value).join("\n") !== parts.join("\n")) {
    chooser.replaceChildren(chooser.options[0], ...parts.map((part) => new Option(part, part)));
  }
  chooser.value = view.fault;
}

function sweep() {
  if (document.hidden && unspoken.length === 0) return;
  for (const device of fleet.devices.values()) dirty.add(device);
  schedule();
  if (unspoken.length > 0 && at("speak").checked) put(at("spoken"), changes(unspoken));
  unspoken = [];
}

// What the address names

function show(next, { focus = false } = {}) {
  const before = view;
  view = next;
  const device = view.page === "device";
  at("list").hidden = device;
  at("device").hidden = !device;
  at("back").href = toHash({ ...view, page: "list" });
  syncControls();
  watch(device ? view.device : "");
  if (device && (before.page !== "device" || before.device !== view.device)) page.open(view.device);
  order_by_ms = 0;
  queued = false;
  draw();
  if (focus && device) at("device-name").focus();
  else if (focus && before.page === "device") (list.link(before.device) ?? at("headline")).focus();
}

// The month of a device is large, so only the one that is looked at is asked for.
function watch(name) {
  if (watched === name) return;
  if (watched !== "" && link !== null) link.unwatch(watched, "summary");
  watched = name;
  if (watched !== "" && link !== null) link.watch(watched, "summary");
}

function change(some) {
  const next = { ...view, ...some };
  history.replaceState(null, "", toHash(next));
  show(next);
}

function syncControls() {
  if (at("q").value !== view.q) at("q").value = view.q;
  at("sort").value = view.sort;
  at("down").checked = view.down;
  for (const cell of document.querySelectorAll("#devices [data-sort]")) {
    const sorted = cell.dataset.sort === view.sort;
    mark(cell, "aria-sort", sorted ? (view.down ? "descending" : "ascending") : null);
    mark(cell.querySelector("button"), "data-sorted", sorted ? (view.down ? "down" : "up") : null);
  }
}

// The connection

function connect(settings) {
  link?.end();
  fleet = new Fleet();
  needs.clear();
  dirty.clear();
  unspoken = [];
  watched = "";
  shownAs = `${new URL(settings.url).host}${settings.user ? ` as ${settings.user}` : ""}`;
  link = new Link(settings, told, (topic, bytes, retained) => {
    const device = fleet.apply(read(topic, bytes, settings.prefix), retained, Date.now());
    if (device !== null) dirty.add(device);
    schedule();
  });
  show(view);
}

function told({ phase, words }) {
  const first = status.phase !== phase;
  if (first) status = { phase, words, since_ms: Date.now() };
  if (first && phase === "connected") order_by_ms = 0; // all are there now
  status.words = words;
  const never = fleet.devices.size === 0;
  const failed = phase === "refused" || (phase === "lost" && never);
  put(at("link"), { reading: `Connected to ${shownAs}`, connected: `Connected to ${shownAs}`, connecting: words, lost: "Not connected", refused: "Not connected", idle: "Not connected" }[phase]);
  mark(at("link"), "data-phase", phase);
  at("lost").hidden = phase !== "lost" || never;
  put(at("lost"), phase === "lost" && !never ? `Since ${moment(status.since_ms)}: ${words}` : "");
  put(at("problem"), failed ? words : "");
  if (failed) openForm(true);
  else if (phase === "reading") openForm(false);
  schedule();
}

function openForm(open) {
  const within = at("connect").contains(document.activeElement);
  at("connect").hidden = !open;
  at("fleet").hidden = open && fleet.devices.size === 0;
  mark(at("connection"), "aria-expanded", String(open));
  if (!open && within) at("headline").focus();
}

function entered() {
  const [url, prefix, user, password] = ["url", "prefix", "user", "password"].map((id) => at(id).value);
  return { url: url.trim(), prefix: prefix.trim(), user, password };
}

function submit(event) {
  event.preventDefault();
  const settings = entered();
  const wrong = mistake(settings);
  put(at("problem"), wrong);
  if (wrong) return at(wrong.includes("level of the topics") ? "prefix" : "url").focus();
  try {
    if (at("remember").checked) localStorage.setItem(KEPT, JSON.stringify(settings));
    else localStorage.removeItem(KEPT);
  } catch {
    // a browser that keeps nothing: the page works all the same
  }
  return connect(settings);
}

function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT));
    const whole_ = kept && ["url", "prefix", "user", "password"].every((name) => typeof kept[name] === "string");
    return whole_ && mistake(kept) === "" ? kept : null;
  } catch {
    return null;
  }
}

async function offered() {
  try {
    const given = await (await fetch("config.json")).json();
    return { url: String(given.url ?? ""), prefix: String(given.prefix ?? "saynote"), connect: given.connect === true };
  } catch {
    return { url: "", prefix: "saynote", connect: false };
  }
}

async function begin() {
  const given = await offered();
  const kept = remembered();
  const guess = `${location.protocol === "https:" ? "wss" : "ws"}://${location.hostname || "localhost"}:9001`;
  const settings = kept ?? { url: given.url || guess, prefix: given.prefix, user: "", password: "" };
  for (const id of ["url", "prefix", "user", "password"]) at(id).value = settings[id];
  at("remember").checked = kept !== null;
  if ((kept !== null || given.connect) && mistake(settings) === "") connect(settings);
  else openForm(true);
}

// What the person does

function theme(name) {
  mark(document.documentElement, "data-theme", name === "light" || name === "dark" ? name : null);
  page.redraw();
}

function listen() {
  addEventListener("hashchange", () => show(fromHash(location.hash), { focus: true }));
  at("form").addEventListener("submit", submit);
  at("connection").addEventListener("click", () => {
    openForm(at("connect").hidden);
    if (!at("connect").hidden) at("url").focus();
  });
  at("q").addEventListener("input", () => change({ q: at("q").value.slice(0, 100) }));
  at("fault").addEventListener("change", () => change({ fault: at("fault").value }));
  at("sort").addEventListener("change", () => change({ sort: at("sort").value, down: false }));
  at("down").addEventListener("change", () => change({ down: at("down").checked }));
  for (const button of document.querySelectorAll("[data-only]")) {
    button.addEventListener("click", () => change({ only: button.dataset.only }));
  }
  for (const cell of document.querySelectorAll("#devices [data-sort]")) {
    cell.querySelector("button").addEventListener("click", () => {
      const same = cell.dataset.sort === view.sort;
      change({ sort: cell.dataset.sort, down: same && !view.down });
    });
  }
  at("theme").addEventListener("change", () => {
    try {
      localStorage.setItem(THEME, at("theme").value);
    } catch {
      // then it holds until the page is closed
    }
    theme(at("theme").value);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => page.redraw());
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => page.redraw(), 200);
  });
  document.addEventListener("visibilitychange", () => sweep());
  setInterval(sweep, SWEEP_EVERY_MS);
}

function restoreTheme() {
  try {
    at("theme").value = localStorage.getItem(THEME) ?? "system";
  } catch {
    at("theme").value = "system";
  }
  if (at("theme").value === "") at("theme").value = "system";
  theme(at("theme").value);
}

for (const name of ["well", "fault", "late", "gone"]) at(`only-${name}`).prepend(icon(name));
restoreTheme();
listen();
if (view.page === "device") page.open(view.device);
show(view);
begin();
