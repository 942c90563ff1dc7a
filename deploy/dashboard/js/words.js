// Owns the words and numbers that people read. Pure: times come in as milliseconds since 1970.

const WHOLE = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
export const NONE = "–";

export const STANDINGS = { alive: "Alive", late: "Late", gone: "Gone" };
export const NEEDS = { well: "Well", fault: "Fault", late: "Late", gone: "Gone" };

export const whole = (value) => (value === null || value === undefined ? NONE : WHOLE.format(value));
export const celsius = (value) => (value === null || value === undefined ? NONE : `${value.toFixed(0)} °C`);
export const seconds = (ms) => (ms === null || ms === undefined ? NONE : `${(ms / 1000).toFixed(2)}\u00a0s`);
export const time = (at_ms) => TIME.format(at_ms);
export const moment = (at_ms) => MOMENT.format(at_ms);

/** "1 device", "1,000 devices". */
export const counted = (count, one, many) => `${WHOLE.format(count)} ${count === 1 ? one : many}`;

/** A span of time in its two largest units. */
export function span(seconds_) {
  if (seconds_ === null || seconds_ === undefined) return NONE;
  const s = Math.max(0, Math.floor(seconds_));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${counted(Math.floor(s / 86_400), "day", "days")} ${Math.floor((s % 86_400) / 3600)} h`;
}

/** How long ago, coarsely, so that it seldom changes. */
export function ago(at_ms, now_ms) {
  const s = (now_ms - at_ms) / 1000;
  if (s < 90) return "just now";
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129_600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86_400)} days ago`;
}

/** Bytes in the unit that fits. */
export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  return value < 1e9 ? `${(value / 1e6).toFixed(0)} MB` : `${(value / 1e9).toFixed(1)} GB`;
}

const MONEY = new Map(); // a formatter takes long to make, and the currencies of a fleet are few

/** An amount in its currency. */
export function money(amount, currency) {
  if (amount === null || amount === undefined) return NONE;
  if (currency === "") return amount;
  if (!MONEY.has(currency) && MONEY.size < 200) {
    MONEY.set(currency, new Intl.NumberFormat("en", { style: "currency", currency, trailingZeroDisplay: "stripIfInteger" }));
  }
  return MONEY.get(currency)?.format(amount) ?? `${amount} ${currency}`;
}

/** Is all well? In one sentence. */
export function headline(counts, phase) {
  if (phase === "connecting" || (phase === "reading" && counts.all === 0)) return "Connecting…";
  if (phase !== "connected" && phase !== "reading") return "Not connected: how the devices are is not known";
  if (counts.all === 0) return "No device has been heard yet";
  if (counts.attention === 0) return counts.all === 1 ? "The device is well" : `All ${whole(counts.all)} devices are well`;
  if (counts.all === 1) return "The device needs attention";
  return `${whole(counts.attention)} of ${whole(counts.all)} devices ${counts.attention === 1 ? "needs" : "need"} attention`;
}

/** What needs attention, in a few words. */
export function troubles({ gone, fault, late }) {
  const parts = [gone && `${whole(gone)} gone`, fault && `${whole(fault)} with a fault`, late && `${whole(late)} late`];
  return parts.filter(Boolean).join(", ");
}

/** One line about a fault. */
export const faultLine = ({ part, reason }) => (reason ? `${part}: ${reason}` : part);

/** Which bundle of a currency is used, which is to be had, and what became of the one that came last. */
export function bundleLine({ version, newest, arrived }) {
  const compared = arrived && arrived.alike !== null
    ? ` (${counted(arrived.alike, "note", "notes")} alike, ${whole(arrived.otherwise)} otherwise)` : "";
  const came = arrived && `${arrived.entry} ${arrived.what}${arrived.why ? `: ${arrived.why}` : ""}${compared}`;
  return [version || NONE, newest && `${newest} is to be had`, came].filter(Boolean).join("; ");
}

/** What happened, in words; `detail` apart. */
export function happened(event) {
  switch (event.kind) {
    case "detection": {
      const today = event.today === null ? "" : `${ordinal(event.today)} today`;
      return { what: "Amount", words: money(event.amount, event.currency), detail: today };
    }
    case "unsure": {
      const words = event.reason === "several" ? "several notes in view" : "a note that was not safe to say";
      return { what: "Not sure", words, detail: "" };
    }
    case "fault": return { what: "Fault", words: faultLine(event), detail: event.detail };
    case "recovered": return { what: event.reason ? "Over" : "Works again", words: faultLine(event), detail: "" };
    case "bundle": return { what: "Bundle", words: `${event.entry} ${event.what}`, detail: event.why };
    default: return { what: "Hint", words: event.hint, detail: "" };
  }
}

function ordinal(count) {
  const suffix = { one: "st", two: "nd", few: "rd", other: "th" }[ORDINALS.select(count)];
  return `${whole(count)}${suffix}`;
}

const ORDINALS = new Intl.PluralRules("en", { type: "ordinal" });

/** What is to be spoken about changes, [{name, from, to}], so that many do not drown the one who listens. */
export function changes(found) {
  const words = { gone: "is gone", fault: "has a fault", late: "is late", well: "is well again" };
  if (found.length <= 3) return found.map(({ name, to }) => `${name} ${words[to]}.`).join(" ");
  const of = (to) => found.filter((one) => one.to === to).length;
  const many = { gone: "are gone", fault: "have a fault", late: "are late", well: "are well again" };
  const parts = Object.keys(many).filter((to) => of(to) > 0).map((to) => `${whole(of(to))} ${of(to) === 1 ? words[to] : many[to]}`);
  return `Of the devices, ${parts.join(", ")}.`;
}
