// Owns the page of one device. It is filled in place: only what has changed is touched.

import { define, element, mark, put, table, turn } from "./dom.js";
import { knowsFaults, need } from "./fleet.js";
import { lastAmount } from "./list.js";
import { NEEDS, NONE, ago, bundleLine, bytes, celsius, counted, happened, moment, money, seconds, span, time, whole } from "./words.js";

const NO_MONTH = "This device has not sent its month; devices of older versions keep none.";
const EMPTY_MONTH = "Its month has no day yet: it was switched on just now, or no time server has set its clock, so that it does not know the day.";

const at = (id) => document.getElementById(id);

/** The page of whichever device `open` names. */
export class DevicePage {
  #name = "";
  #shown = { summary: null, faults: "", stages: "", events: [] };
  #trends = null; // loaded when there is something to draw

  /** Begin with another device. */
  open(name) {
    this.#name = name;
    this.#shown = { summary: null, faults: null, stages: null, events: [] };
    at("events").replaceChildren();
    at("device-facts").replaceChildren();
    this.#trends?.clear();
    put(at("device-name"), name);
  }

  /** Draw the charts anew: colours or width have changed. */
  redraw() {
    if (this.#shown.summary !== null) this.#trends?.draw(this.#shown.summary.days);
  }

  /** Show how the device is; undefined where nothing has been heard of it. */
  show(device, now_ms) {
    at("device-known").hidden = device === undefined;
    at("device-unknown").hidden = device !== undefined;
    if (device === undefined) return;
    const found = need(device, now_ms);
    mark(at("device-standing"), "data-need", found);
    turn(at("device-icon"), found);
    put(at("device-word"), NEEDS[found]);
    put(at("device-heard"), device.heard_ms > 0 ? `Last heard ${ago(device.heard_ms, now_ms)}` : "When it was last heard is not known");
    at("device-foreign").hidden = !device.foreign;
    define(at("device-facts"), facts(device));
    this.#faults(device);
    this.#stages(device);
    this.#events(device);
    this.#summary(device);
  }

  #faults(device) {
    const rows = device.faults.map((one) => [one.part, one.reason || NONE, one.detail || NONE, one.since_ms ? moment(one.since_ms) : NONE]);
    const known = knowsFaults(device) ? "" : "This device does not list its faults: only those that begin while this page is open are seen here.";
    const now = JSON.stringify([rows, known]);
    if (now === this.#shown.faults) return;
    this.#shown.faults = now;
    const none = element("p", "", known ? "None heard of." : "None.");
    const list = rows.length === 0 ? none : table("Faults that stand", ["Part", "Reason", "Detail", "Since"], rows);
    at("device-faults").replaceChildren(list, ...(known ? [element("p", "quiet", known)] : []));
  }

  #stages({ health }) {
    const precise = (health?.stages ?? []).map(([stage, { p50, p95 }]) => [stage, p50.toFixed(1), p95.toFixed(1)]);
    const means = (health?.ms ?? []).map(([stage, mean]) => [stage, mean.toFixed(1)]);
    const now = JSON.stringify([precise, means]);
    if (now === this.#shown.stages) return;
    this.#shown.stages = now;
    const caption = "Milliseconds for each stage of a frame, since the report before";
    const made = precise.length > 0
      ? table(caption, ["Stage", "Half within", "19 of 20 within"], precise)
      : table(caption, ["Stage", "Mean"], means);
    at("device-stages").replaceChildren(precise.length + means.length > 0 ? made : element("p", "", "No report yet."));
  }

  // Newest first; rows that are shown already stay the elements they are.
  #events({ events }) {
    const shown = new Map(this.#shown.events.map(({ event, row }) => [event, row]));
    const fresh = events.filter((event) => !shown.has(event)).map((event) => ({ event, row: line(event) }));
    for (const { row } of fresh) at("events").prepend(row);
    const kept = new Set(events);
    for (const [event, row] of shown) if (!kept.has(event)) row.remove();
    this.#shown.events = [...this.#shown.events.filter(({ event }) => kept.has(event)), ...fresh];
    at("no-events").hidden = events.length > 0;
    at("events-table").hidden = events.length === 0;
  }

  #summary({ summary }) {
    const none = summary === null || summary.days.length === 0;
    at("no-trends").hidden = !none;
    put(at("no-trends"), summary === null ? NO_MONTH : EMPTY_MONTH);
    if (none || summary === this.#shown.summary) return;
    this.#shown.summary = summary;
    if (this.#trends === null) this.#load();
    else this.redraw();
  }

  async #load() {
    const { Trends } = await import("./trends.js");
    this.#trends ??= new Trends(at("trends"));
    this.redraw();
  }
}

function line(event) {
  const { what, words, detail } = happened(event);
  const when = element("time", "", time(event.at_ms));
  when.dateTime = new Date(event.at_ms).toISOString();
  when.title = moment(event.at_ms);
  return element("tr", "", element("td", "", when), element("td", "", what), element("td", "", words, detail && " ", detail && element("span", "quiet", detail)));
}

function total(state) {
  if (state.total === null) return "not shared";
  return money(state.total, state.currency) + (state.count === null ? "" : ` in ${counted(state.count, "note", "notes")}`);
}

const SHARES = { health: "its health only", counts: "health and counts, no amounts", amounts: "health, counts and amounts" };

function facts(device) {
  const { health, state, last } = device;
  const throttled = health?.throttled === null || health === null ? NONE : health.throttled ? "yes: heat or a weak power supply" : "no";
  const pairs = [
    ["Last amount", lastAmount(device) + (last?.at_ms ? `, ${moment(last.at_ms)}` : "")],
    ...(state === null ? [] : [["Running total", total(state)]]),
    ["Time to speech", health?.speech_ms ? `${seconds(health.speech_ms.p50)}, 19 of 20 within ${seconds(health.speech_ms.p95)}` : NONE],
    ["Temperature", celsius(health?.temperature_c)],
    ["Slowed down", throttled],
    ["Running for", span(health?.uptime_s)],
    ["Pictures a second", health?.frames_per_s === null || health === null ? NONE : health.frames_per_s.toFixed(1)],
    ["Amounts since the start", whole(health?.announced)],
    ["Messages waiting", whole(health?.waiting)],
    ["Messages lost, ever", whole(health?.lost)],
    ["Memory", bytes(health?.memory_bytes)],
    ["Free on the disk", bytes(health?.disk_free_bytes)],
    ["Version", device.daemon || NONE],
    ["Bundle", device.bundle || NONE],
    ...(state?.bundles ?? []).filter(({ newest, arrived }) => newest || arrived).map((one) => [`Bundle ${one.currency}`, bundleLine(one)]),
    ["It shares", SHARES[state?.share] ?? NONE],
  ];
  return pairs.filter(([, value]) => value !== NONE); // what it does not send would only be noise
}
