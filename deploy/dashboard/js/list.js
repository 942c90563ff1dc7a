// Owns the table of all devices: one row for each, made once and changed in place.

import { arrange, element, icon, mark, put, turn } from "./dom.js";
import { need } from "./fleet.js";
import { toHash } from "./query.js";
import { NEEDS, NONE, ago, celsius, faultLine, money, seconds, span } from "./words.js";

const COLUMNS = ["name", "need", "faults", "amount", "temperature", "speech", "version"];

/** The rows of the table in `body`. */
export class List {
  #rows = new Map(); // device's name -> its row

  constructor(body, labels) {
    this.body = body;
    this.labels = labels; // of the columns, shown beside each value where the screen is narrow
  }

  /** Make the rows of `devices` say how these are. */
  update(devices, view, now_ms) {
    for (const device of devices) this.#row(device.name).show(device, view, now_ms);
  }

  /** Show exactly these devices in this order; the others' rows are forgotten. */
  arrange(chosen, view, now_ms) {
    const names = new Set(chosen.map(({ name }) => name));
    for (const name of this.#rows.keys()) if (!names.has(name)) this.#rows.delete(name);
    this.update(chosen, view, now_ms);
    arrange(this.body, chosen.map(({ name }) => this.#rows.get(name).node));
  }

  /** Whether a device has a row just now. */
  has = (device) => this.#rows.has(device.name);

  /** The link to a device, or null. */
  link = (name) => this.#rows.get(name)?.link ?? null;

  #row(name) {
    if (!this.#rows.has(name)) this.#rows.set(name, new Row(name, this.labels));
    return this.#rows.get(name);
  }
}

class Row {
  #cells = {};

  constructor(name, labels) {
    this.link = element("a", "", name);
    this.picture = icon("well");
    this.word = element("span", "word");
    this.since = element("span", "quiet");
    this.node = element("tr", "", ...COLUMNS.map((column) => this.#cell(column, labels[column])));
    this.node.setAttribute("role", "row");
    this.#cells.name.append(this.link);
    this.#cells.need.append(element("span", "standing", this.picture, this.word), this.since);
  }

  #cell(column, label) {
    const cell = element(column === "name" ? "th" : "td", column);
    if (column === "name") cell.scope = "row";
    cell.setAttribute("role", column === "name" ? "rowheader" : "cell");
    this.#cells[column] = column === "name" || column === "need" ? cell : element("span");
    if (this.#cells[column] !== cell) cell.append(element("span", "label", `${label} `), this.#cells[column]);
    return cell;
  }

  show(device, view, now_ms) {
    const found = need(device, now_ms);
    const { health } = device;
    mark(this.link, "href", toHash({ ...view, page: "device", device: device.name }));
    mark(this.node, "data-need", found);
    turn(this.picture, found);
    put(this.word, NEEDS[found]);
    put(this.since, sinceWords(device, found, now_ms));
    put(this.#cells.faults, device.faults.map(faultLine).join("; ") || "none");
    put(this.#cells.amount, lastAmount(device));
    put(this.#cells.temperature, celsius(health?.temperature_c) + (health?.throttled ? ", slowed" : ""));
    put(this.#cells.speech, seconds(health?.speech_ms?.p50));
    put(this.#cells.version, device.daemon ? `${device.daemon} · ${device.bundle || NONE}` : NONE);
  }
}

function sinceWords(device, found, now_ms) {
  if (found === "late") return `silent for ${span((now_ms - (device.heard_ms || device.first_ms)) / 1000)}`;
  return found === "gone" && device.heard_ms > 0 ? `heard ${ago(device.heard_ms, now_ms)}` : "";
}

/** The last amount, or why there is none. */
export function lastAmount(device) {
  if (device.state?.share && device.state.share !== "amounts") return "not shared";
  return device.last === null ? NONE : money(device.last.amount, device.last.currency);
}
