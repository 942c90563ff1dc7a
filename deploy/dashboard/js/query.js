// Owns the view that an address names: which page, and which devices in which order. Pure; nothing secret is ever in it.

import { need, standing } from "./fleet.js";
import { isDevice } from "./wire.js";

export const SORTS = ["need", "name", "faults", "amount", "temperature", "speech", "version"];
export const ONLY = ["all", "well", "fault", "late", "gone"];
const NEEDS = ["gone", "fault", "late", "well"];
const DEFAULT = { page: "list", device: "", q: "", sort: "need", down: false, only: "all", fault: "" };
const ORDER = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** The view that the part of the address after # names; what it does not understand stays as it usually is. */
export function fromHash(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const device = /^\/device\/([^/]+)$/.exec(path)?.[1] ?? "";
  const given = new URLSearchParams(query);
  const one = (name, known) => (known.includes(given.get(name)) ? given.get(name) : DEFAULT[name]);
  const view = {
    ...DEFAULT,
    q: (given.get("q") ?? "").slice(0, 100),
    sort: one("sort", SORTS),
    down: given.get("down") === "1",
    only: one("only", ONLY),
    fault: (given.get("fault") ?? "").slice(0, 32),
  };
  return isDevice(device) ? { ...view, page: "device", device } : view;
}

/** The address of a view: only what differs from the usual. */
export function toHash(view) {
  const query = new URLSearchParams();
  for (const name of ["q", "sort", "only", "fault"]) if (view[name] !== DEFAULT[name]) query.set(name, view[name]);
  if (view.down) query.set("down", "1");
  const path = view.page === "device" ? `/device/${view.device}` : "/";
  return `#${path}${query.size > 0 ? `?${query}` : ""}`;
}

/** The devices that a view shows, in its order. */
export function choose(devices, view, now_ms) {
  const wanted = view.q.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = [...devices].filter((device) => isShown(device, view, wanted, now_ms));
  const key = KEYS[view.sort];
  const keyed = chosen.map((device) => [key(device, now_ms), device]);
  keyed.sort(([one, first], [other, second]) => compare(one, other, view.down) || ORDER.compare(first.name, second.name));
  return keyed.map(([, device]) => device);
}

function isShown(device, view, wanted, now_ms) {
  if (view.only === "fault" && device.faults.length === 0) return false;
  if (view.only !== "all" && view.only !== "fault" && need(device, now_ms) !== view.only) return false;
  if (view.fault !== "" && !device.faults.some(({ part }) => part === view.fault)) return false;
  if (wanted.length === 0) return true;
  const faults = device.faults.map(({ part, reason }) => `${part} ${reason}`);
  const text = [device.name, standing(device, now_ms), device.daemon, device.bundle, ...faults].join(" ").toLowerCase();
  return wanted.every((word) => text.includes(word));
}

const KEYS = {
  need: (device, now_ms) => NEEDS.indexOf(need(device, now_ms)),
  name: (device) => device.name,
  faults: (device) => -device.faults.length,
  amount: (device) => (device.last === null ? null : -(device.last.at_ms ?? 0)),
  temperature: (device) => negative(device.health?.temperature_c),
  speech: (device) => negative(device.health?.speech_ms?.p50),
  version: (device) => `${device.daemon} ${device.bundle}`,
};

const negative = (value) => (value === null || value === undefined ? null : -value); // the highest first

// What is not known comes last, whichever way it is sorted.
function compare(one, other, down) {
  if (one === null || other === null) return (one === null) - (other === null);
  const order = typeof one === "string" ? ORDER.compare(one, other) : one - other;
  return down ? -order : order;
}

/** The parts that have a fault on any device, for the list to choose from. */
export function faultyParts(devices) {
  const parts = new Set();
  for (const { faults } of devices) for (const { part } of faults) if (parts.size < 100) parts.add(part);
  return [...parts].sort(ORDER.compare);
}
