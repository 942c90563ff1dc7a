// Owns what is known of each device, from the messages so far; bounded, whatever arrives. It knows neither page nor clock:
// the moment comes with each call, in milliseconds since 1970.

export const LATE_AFTER_S = 180; // three of the usual reports
const REPORTS_MISSED = 2.5; // of a device that reports less often
const SPEAKS_ON_MS = 5000; // after "offline": what still comes was not on its way
const EVENTS = 50; // kept of each device
const DEVICES = 5000;

export class Fleet {
  devices = new Map(); // by name
  ignored = 0; // messages that were none of ours, or too many

  /** Take in a message that `wire.read` understood; the device that it changed, or null. */
  apply(message, retained, now_ms) {
    if (message === null) return this.#ignore();
    const device = this.devices.get(message.device) ?? this.#begin(message, now_ms);
    if (device === null) return this.#ignore();
    if (message.kind === "cleared") return this.#clear(device, message.part);
    if (message.kind === "foreign") device.foreign = true;
    else if (message.kind === "availability") {
      device.online = message.online;
      device.told_ms = now_ms;
    } else if (!take(device, message, retained, now_ms)) return device;
    // A cluster of brokers may tell a newcomer of an old "offline" after the "online" that is newer: who speaks on is there.
    if (!retained && device.online === false && now_ms - device.told_ms >= SPEAKS_ON_MS) device.online = true;
    if (!retained && device.online !== false) device.heard_ms = now_ms;
    return device;
  }

  #begin(message, now_ms) {
    if (message.kind === "cleared" || this.devices.size >= DEVICES) return null;
    const device = {
      name: message.device,
      online: null, // what the broker says of it
      told_ms: 0, // and when
      first_ms: now_ms, // when this page first heard of it
      heard_ms: 0, // last sign of life as far as known
      interval_s: 0, // between its reports, as seen
      run: "",
      seq: 0,
      daemon: "",
      bundle: "",
      foreign: false, // it speaks a version of the format that this page does not know
      health: null,
      state: null,
      summary: null,
      last: null, // {amount, currency, at_ms}: the latest amount, where amounts are shared
      faults: [], // that stand, {part, reason, detail, since_ms}
      events: [], // newest last
    };
    this.devices.set(device.name, device);
    return device;
  }

  // Somebody has cleaned up on the broker: what is cleared is forgotten.
  #clear(device, part) {
    if (part === "availability") {
      this.devices.delete(device.name);
      return { ...device, removed: true };
    }
    if (part in { health: 1, state: 1, summary: 1 }) device[part] = null;
    return device;
  }

  #ignore() {
    this.ignored += 1;
    return null;
  }
}

// Whether the message was news: neither of an earlier run nor a duplicate.
function take(device, message, retained, now_ms) {
  if (retained && message.run !== device.run && message.seq < device.seq) return false;
  if (message.run !== device.run) beginRun(device, message);
  const repeated = message.kind in NEWS && device.events.some(({ run, seq }) => run === message.run && seq === message.seq);
  if (repeated) return false;
  const said_ms = message.wall_s === null ? null : Math.min(message.wall_s * 1000, now_ms);
  if (retained) device.heard_ms = Math.max(device.heard_ms, said_ms ?? 0);
  (KEEP[message.kind] ?? note)(device, message, { at_ms: said_ms ?? now_ms, now_ms, retained });
  device.seq = Math.max(device.seq, message.seq ?? 0);
  device.daemon = message.daemon || device.daemon;
  device.bundle = message.bundle || device.bundle;
  return true;
}

// A new run of the daemon: what failed in the one before is not known to fail in this one.
function beginRun(device, message) {
  if (device.run !== "") device.faults = [];
  device.run = message.run;
  device.seq = message.seq ?? 0;
}

// A part has one failure at a time; what is measured stands by itself (edge/core/stands.py).
const CONDITIONS = ["too hot", "under-voltage", "full", "not set"];
const apart = (reason) => (CONDITIONS.includes(reason) ? reason : "");

const NEWS = { detection: 1, unsure: 1, fault: 1, recovered: 1, hint: 1, bundle: 1 };

const KEEP = {
  health(device, message) {
    const before = device.health;
    const gap_s = before?.run === message.run ? message.t_s - before.t_s : 0;
    if (gap_s >= 1) device.interval_s = Math.min(gap_s, 86_400);
    device.health = message;
  },
  state(device, message, { at_ms }) {
    device.state = message;
    const began_ms = message.t_s === null ? null : at_ms - message.t_s * 1000;
    const since = (t_s) => (t_s === null || began_ms === null ? null : began_ms + t_s * 1000);
    device.faults = message.faults.map((one) => ({ ...one, since_ms: since(one.since_t_s) }));
    const { last, currency } = message;
    device.last = last === null ? null : { amount: last.amount, currency, at_ms: last.wall_s && last.wall_s * 1000 };
  },
  summary(device, message) {
    device.summary = message;
  },
};

function note(device, message, { at_ms, retained }) {
  if (retained) return; // nobody keeps these: it would be old news as new
  device.events.push({ ...message, at_ms });
  if (device.events.length > EVENTS) device.events.shift();
  if (message.kind === "detection" && message.amount !== null) {
    device.last = { amount: message.amount, currency: message.currency, at_ms };
  }
  if (message.kind === "fault" || message.kind === "recovered") {
    const { part, reason, detail } = message;
    const others = device.faults.filter((one) => one.part !== part || apart(one.reason) !== apart(reason));
    device.faults = message.kind === "fault" ? [...others, { part, reason, detail, since_ms: at_ms }].slice(-32) : others;
  }
}

/** "alive", "late" (connected, and silent for longer than it should be) or "gone" (the broker says so). */
export function standing(device, now_ms) {
  if (device.online === false) return "gone";
  const patience_s = Math.max(LATE_AFTER_S, REPORTS_MISSED * device.interval_s);
  return now_ms - (device.heard_ms || device.first_ms) > patience_s * 1000 ? "late" : "alive";
}

/** The one word for it: "gone", "fault", "late" or "well". */
export function need(device, now_ms) {
  const stands = standing(device, now_ms);
  if (stands === "gone") return "gone";
  if (device.faults.length > 0) return "fault";
  return stands === "late" ? "late" : "well";
}

/** Whether the faults of a device are all that stand, or only those that this page has heard begin. */
export const knowsFaults = (device) => device.state !== null && device.state.run === device.run;

/** How many devices there are of each need, and how many with a fault; "fault" counts devices that are gone, too. */
export function tally(devices, now_ms) {
  const counts = { all: 0, well: 0, fault: 0, late: 0, gone: 0, attention: 0 };
  for (const device of devices) {
    const found = need(device, now_ms);
    counts.all += 1;
    if (found !== "well") counts.attention += 1;
    if (found !== "fault") counts[found] += 1;
    if (device.faults.length > 0) counts.fault += 1;
  }
  return counts;
}
