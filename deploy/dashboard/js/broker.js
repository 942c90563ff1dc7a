// Owns the connection to the broker and the words for what is wrong with it. It reads no message.

import mqtt from "../vendor/mqtt.esm.js";
import { isPrefix } from "./wire.js";

const AGAIN_MS = 3000;
// What is asked for, one wave when the retained messages of the one before have come: mosquitto queues 1,000 for a client
// and silently drops the rest.
const WAVES = [["availability", "event", "detection"], ["health"], ["state"]];
const QUIET_MS = 50; // without a retained message: the wave is over
const REFUSED = new Set([1, 4, 5]); // reasons of MQTT 3.1.1 that another try would not mend
const CONNACK = {
  1: "The broker does not speak MQTT 3.1.1, which this page speaks.",
  2: "The broker refused the name that this page gave itself. Trying again…",
  3: "The broker says that it is not available just now. Trying again…",
};

/** What is wrong with what somebody has entered, in one sentence; "" when nothing is. */
export function mistake({ url, prefix }, secure = location.protocol === "https:") {
  let parsed;
  try {
    parsed = new URL(url);
  } catch {
    return "The address of the broker must look like wss://broker.example:8084/mqtt.";
  }
  if (!["ws:", "wss:"].includes(parsed.protocol)) return "The address of the broker must begin with ws:// or wss://.";
  if (parsed.username || parsed.password) return "User and password have fields of their own: leave them out of the address.";
  if (parsed.hash) return "The address of the broker cannot have a part after #.";
  const near = ["localhost", "127.0.0.1", "[::1]"].includes(parsed.hostname);
  if (secure && parsed.protocol === "ws:" && !near) {
    return "This page came encrypted, so browsers only let it use an encrypted broker: an address with wss://.";
  }
  return isPrefix(prefix) ? "" : "The first level of the topics must not contain + # $ and must not begin or end with /.";
}

/**
 * A connection; `take(topic, bytes, retained)` hears what arrives and `tell({phase, words})` how it stands: "connecting",
 * "reading" (what the broker has kept), "connected", "lost" (it tries again) or "refused" (it does not).
 */
export class Link {
  #client;
  #watched = new Set(); // topics of single devices, so that a new connection asks for the same
  #ended = false;
  #connection = 0; // counts them, so that what belongs to an old one can be told
  #retained_ms = 0; // when the last retained message came

  constructor({ url, prefix, user, password }, tell, take) {
    this.prefix = prefix;
    this.tell = (phase, words = "") => this.#ended || tell({ phase, words });
    this.tell("connecting", `Connecting to ${url}…`);
    this.#client = mqtt.connect(url, {
      protocolVersion: 4,
      clientId: `saynote-dashboard-${crypto.getRandomValues(new Uint32Array(2)).join("")}`.slice(0, 40),
      username: user || undefined,
      password: user ? password : undefined,
      clean: true,
      keepalive: 60, // a broker waits half as long again: enough for a hidden page, whose timers may run once a minute
      reconnectPeriod: AGAIN_MS,
      connectTimeout: 10_000,
      resubscribe: false,
      timerVariant: "native", // the other one would need a worker made from text
    });
    this.#listen(url, user, take);
  }

  #listen(url, user, take) {
    let before = false;
    this.#client.on("connect", () => {
      before = true;
      this.#connection += 1;
      this.#subscribe(0, this.#connection);
    });
    this.#client.on("message", (topic, bytes, { retain }) => {
      if (retain) this.#retained_ms = performance.now();
      if (!this.#ended) take(topic, bytes, retain);
    });
    this.#client.on("error", (error) => this.#refused(error, user));
    this.#client.on("close", () => this.tell("lost", before ? GONE : nothing(url)));
  }

  #refused(error, user) {
    if (error.code === 4 || error.code === 5) {
      const who = user ? `the user “${user}” with this password` : "this page without a user and password";
      this.tell("refused", `The broker does not let in ${who}.`);
    } else if (error.code in CONNACK) this.tell(REFUSED.has(error.code) ? "refused" : "lost", CONNACK[error.code]);
    if (REFUSED.has(error.code)) this.end();
  }

  // QoS 0: the page only looks, and a broker keeps less for it.
  #subscribe(wave, connection) {
    const topics = WAVES[wave].map((part) => `${this.prefix}/+/${part}`);
    if (wave === 0) topics.push(...this.#watched);
    this.#client.subscribe(topics, { qos: 0 }, (error, granted = []) => {
      if (this.#ended || connection !== this.#connection || !this.#client.connected) return;
      if (error || granted.every(({ qos }) => qos > 2)) this.#denied();
      else {
        if (wave === 0) this.tell("reading");
        this.#afterThese(() => (wave + 1 < WAVES.length ? this.#subscribe(wave + 1, connection) : this.#complete(connection)));
      }
    });
  }

  #afterThese(go) {
    const began_ms = performance.now();
    const look = () => {
      const quiet_ms = performance.now() - Math.max(began_ms, this.#retained_ms);
      if (quiet_ms >= QUIET_MS) go();
      else setTimeout(look, QUIET_MS - quiet_ms);
    };
    look();
  }

  #complete(connection) {
    if (connection === this.#connection && this.#client.connected) this.tell("connected");
  }

  #denied() {
    this.tell("refused", `The broker let this page in, but does not let it read ${this.prefix}/+/… .`);
    this.end();
  }

  /** Also read a topic below a device's, such as its `summary`. */
  watch(device, part) {
    const topic = `${this.prefix}/${device}/${part}`;
    this.#watched.add(topic);
    if (this.#client.connected) this.#client.subscribe(topic, { qos: 0 });
  }

  /** No longer. */
  unwatch(device, part) {
    const topic = `${this.prefix}/${device}/${part}`;
    if (this.#watched.delete(topic) && this.#client.connected) this.#client.unsubscribe(topic);
  }

  /** Close it; nothing is told after that. */
  end() {
    this.#ended = true;
    this.#client.end(true);
  }
}

const GONE = "The broker has gone, or the network to it. What is shown is as it was then. Trying again…";
const nothing = (url) =>
  `There is no answer from ${url}. Is the address right, is the broker running, does it listen for WebSockets` +
  `${url.startsWith("wss:") ? ", and does this browser trust its certificate" : ""}? Trying again…`;
