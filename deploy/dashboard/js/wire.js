// Owns what a message on the broker says: nothing of it is trusted, everything is bounded. It knows no page.
// Who speaks stands in the topic alone: that is what a broker's access rules guard; `device` in a payload is ignored.

export const MAX_BYTES = 128 * 1024; // a month of `summary` takes about 20 KB
export const VERSION = 1;
const DEVICE = /^[A-Za-z0-9._-]{1,64}$/;
const PREFIX = /^(?![$/])[^+#\u0000-\u001f]{1,128}(?<!\/)$/;
const DAY = /^20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;
const AMOUNT = /^\d{1,12}(\.\d{1,6})?$/;
const CURRENCY = /^[A-Z]{3}$/;
// Control characters, and the marks that turn the direction of the text around them.
const UNSHOWN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const EARLIEST_S = 1735689600; // 2025: a clock that shows less was never set
const LATEST_S = 4102444800; // 2100
const MANY = 1e12;
const LISTED = 32; // entries of a list or an object that are looked at

const KINDS = {
  detection: ["detection"],
  event: ["unsure", "fault", "recovered", "hint", "bundle"],
  health: ["health"],
  state: ["state"],
  summary: ["summary"],
};

/** Whether a name can be a device's: one level of a topic without anything special in it. */
export const isDevice = (name) => typeof name === "string" && DEVICE.test(name);

/** Whether a text can begin a topic. */
export const isPrefix = (text) => typeof text === "string" && PREFIX.test(text) && !text.includes("//");

/** What a message says, with `device` and `kind`; null where it is not one of ours. */
export function read(topic, bytes, prefix) {
  const place = placeOf(topic, prefix);
  if (place === null || bytes.length > MAX_BYTES) return null;
  const { device, part } = place;
  if (bytes.length === 0) return { device, kind: "cleared", part };
  const text = new TextDecoder().decode(bytes);
  if (part === "availability") {
    return text === "online" || text === "offline" ? { device, kind: part, online: text === "online" } : null;
  }
  const raw = parsed(text);
  if (raw === null || !KINDS[part].includes(raw.kind)) return null;
  if (raw.version !== VERSION) return Number.isInteger(raw.version) ? { device, kind: "foreign", part } : null;
  return { device, kind: raw.kind, ...head(raw), ...BODIES[raw.kind](raw) };
}

function placeOf(topic, prefix) {
  if (!topic.startsWith(`${prefix}/`)) return null;
  const [device, part, ...more] = topic.slice(prefix.length + 1).split("/");
  const known = part === "availability" || Object.hasOwn(KINDS, part ?? "");
  return known && more.length === 0 && isDevice(device) ? { device, part } : null;
}

function parsed(text) {
  try {
    const raw = JSON.parse(text);
    return raw !== null && typeof raw === "object" && !Array.isArray(raw) ? raw : null;
  } catch {
    return null;
  }
}

const head = (raw) => ({
  run: words(raw.run, 32),
  seq: count(raw.seq),
  t_s: number(raw.t_s, 0, MANY),
  wall_s: number(raw.wall_s, EARLIEST_S, LATEST_S),
  daemon: words(raw.daemon, 32),
  bundle: words(raw.bundle, 48),
});

const fault = (raw) => ({
  part: words(raw.part, 32) || "unnamed part",
  reason: words(raw.reason, 48),
  detail: words(raw.detail, 200),
});

const BODIES = {
  detection: (raw) => ({ amount: amount(raw.amount), currency: currency(raw.currency), today: count(raw.today) }),
  unsure: (raw) => ({ reason: raw.reason === "several" ? "several" : "unsure" }),
  fault,
  recovered: (raw) => ({ part: words(raw.part, 32) || "unnamed part", reason: words(raw.reason, 48) }),
  hint: (raw) => ({ hint: words(raw.hint, 32) }),
  bundle: (raw) => ({ entry: words(raw.entry, 64), what: words(raw.what, 32), why: words(raw.why, 200) }),
  health: (raw) => ({
    uptime_s: number(raw.uptime_s, 0, MANY),
    frames: count(raw.frames),
    inferences: count(raw.inferences),
    announced: count(raw.announced),
    ms: each(raw.ms, (value) => number(value, 0, 1e6)),
    stages: each(raw.stages, percentiles),
    speech_ms: percentiles(raw.speech_ms),
    temperature_c: number(raw.temperature_c, -60, 200),
    throttled: typeof raw.throttled === "boolean" ? raw.throttled : null,
    waiting: count(raw.waiting),
    lost: count(raw.lost),
    memory_bytes: count(raw.memory_bytes),
    disk_free_bytes: number(raw.disk_free_bytes, 0, 1e16),
    frames_per_s: number(raw.frames_per_s, 0, 1000),
    dropped: count(raw.dropped),
    taken_over: count(raw.taken_over),
  }),
  state: (raw) => ({
    currency: currency(raw.currency),
    last: lastOf(raw.last),
    total: amount(raw.total),
    count: count(raw.count),
    uptime_s: number(raw.uptime_s, 0, MANY),
    faults: list(raw.faults).map((one) => ({ ...fault(one), since_t_s: number(one.since_t_s, 0, MANY) })),
    share: ["health", "counts", "amounts"].includes(raw.share) ? raw.share : "",
    bundles: list(raw.bundles).map(bundle),
  }),
  summary: (raw) => ({ days: list(raw.days).filter((one) => DAY.test(one.day)).map(day) }),
};

const object = (raw) => (raw !== null && typeof raw === "object" ? raw : null);

const bundle = (raw) => ({
  currency: currency(raw.currency),
  version: words(raw.version, 64),
  newest: words(object(raw.newest)?.version, 64),
  arrived: arrived(object(raw.arrived)),
});

const arrived = (raw) => raw && {
  entry: words(raw.entry, 64),
  what: words(raw.what, 32),
  why: words(raw.why, 200),
  alike: count(raw.alike),
  otherwise: count(raw.otherwise),
};

function lastOf(raw) {
  const found = raw !== null && typeof raw === "object" ? amount(raw.amount) : null;
  return found === null ? null : { amount: found, wall_s: number(raw.wall_s, EARLIEST_S, LATEST_S) };
}

const day = (raw) => ({
  day: raw.day,
  uptime_s: number(raw.uptime_s, 0, 90_000),
  detections: count(raw.detections),
  unsure: count(raw.unsure),
  several: count(raw.several),
  hints: count(raw.hints),
  faults: count(raw.faults),
  lost: count(raw.lost),
  temperature_max_c: number(raw.temperature_max_c, -60, 200),
  speech_ms: percentiles(raw.speech_ms),
});

function percentiles(raw) {
  if (raw === null || typeof raw !== "object") return null;
  const [p50, p95] = [number(raw.p50, 0, 1e6), number(raw.p95, 0, 1e6)];
  return p50 === null || p95 === null ? null : { p50, p95 };
}

const number = (value, low, high) => (typeof value === "number" && value >= low && value <= high ? value : null);
const count = (value) => (Number.isInteger(value) ? number(value, 0, MANY) : null);
const amount = (value) => (typeof value === "string" && AMOUNT.test(value) ? value : null);
const currency = (value) => (typeof value === "string" && CURRENCY.test(value) ? value : "");

function words(value, longest) {
  if (typeof value !== "string") return "";
  const kept = [...value.slice(0, 2 * longest).replace(UNSHOWN, "").trim()]; // by characters: no half of a pair
  return kept.length > longest ? `${kept.slice(0, longest - 1).join("")}…` : kept.join("");
}

function list(raw) {
  return Array.isArray(raw) ? raw.slice(-LISTED).filter((one) => one !== null && typeof one === "object") : [];
}

// A list of pairs, so that no key of the wire becomes the name of a property.
function each(raw, clean) {
  if (raw === null || typeof raw !== "object" || Array.isArray(raw)) return [];
  const pairs = Object.entries(raw).slice(0, LISTED).map(([key, value]) => [words(key, 24), clean(value)]);
  return pairs.filter(([key, value]) => key !== "" && value !== null);
}
