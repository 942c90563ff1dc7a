// Owns the charts of the last thirty days and the table of each: whatever a chart shows, its table says.

import uPlot from "../vendor/uPlot.esm.js";
import { element, table } from "./dom.js";
import { NONE } from "./words.js";

const DAYS = 30;
const DAY_S = 86_400;
const HEIGHT_PX = 180;
const whole = (value) => (value === null ? NONE : String(Math.round(value)));
const tenths = (value) => (value === null ? NONE : value.toFixed(1));
const hundredths = (value) => (value === null ? NONE : value.toFixed(2));
const scaled = (value, by) => (value === null || value === undefined ? null : value / by);

export const CHARTS = [
  { title: "Notes a day", unit: "notes", format: whole, series: [
    ["read", (day) => day.detections],
    ["not sure", (day) => added(day.unsure, day.several)],
  ] },
  { title: "Time to speech", unit: "seconds", format: hundredths, series: [
    ["half within", (day) => scaled(day.speech_ms?.p50, 1000)],
    ["19 of 20 within", (day) => scaled(day.speech_ms?.p95, 1000)],
  ] },
  { title: "Highest temperature", unit: "°C", format: tenths, series: [["of the processor", (day) => day.temperature_max_c]] },
  { title: "Faults and losses a day", unit: "count", format: whole, series: [
    ["faults", (day) => day.faults],
    ["messages lost", (day) => day.lost],
  ] },
  { title: "Hours on a day", unit: "hours", format: tenths, series: [["running", (day) => scaled(day.uptime_s, 3600)]] },
];

const added = (one, other) => (one === null && other === null ? null : (one ?? 0) + (other ?? 0));

/** The thirty days that end with the newest one sent: [{day, values}], values null where a day was not sent. */
export function columns(days, { series }) {
  const sent = new Map(days.map((day) => [Date.parse(`${day.day}T00:00:00Z`) / 1000, day]));
  const newest_s = Math.max(...sent.keys());
  return Array.from({ length: DAYS }, (_, n) => {
    const start_s = newest_s - (DAYS - 1 - n) * DAY_S;
    const day = sent.get(start_s);
    return { start_s, day: new Date(start_s * 1000).toISOString().slice(0, 10), values: series.map(([, of]) => (day ? of(day) : null)) };
  });
}

/** What a chart says in one sentence. */
export function sentence({ unit, format, series }, found) {
  const parts = series.map(([name], n) => {
    const known = found.map(({ values }) => values[n]).filter((value) => value !== null);
    if (known.length === 0) return `${name}: not sent`;
    const range = `${format(Math.min(...known))} to ${format(Math.max(...known))}`;
    return `${name}: ${range}, last ${format(known.at(-1))}`;
  });
  return `${parts.join("; ")} (${unit}).`;
}

/** Draws into one element; `draw` again whenever days, width or colours have changed. */
export class Trends {
  #plots = [];

  constructor(place) {
    this.place = place;
  }

  /** Charts and tables of these days; what no day says is left out. */
  draw(days) {
    const open = new Set([...this.place.querySelectorAll("details[open]")].map(({ dataset }) => dataset.chart));
    this.clear();
    const drawn = CHARTS.map((chart) => ({ chart, found: columns(days, chart) })).filter(({ found }) => found.some(isKnown));
    this.place.append(...drawn.map(({ chart, found }) => figure(chart, found, open.has(chart.title))));
    const canvases = [...this.place.querySelectorAll(".canvas")];
    this.#plots = drawn.map(({ chart, found }, n) => plot(chart, found, canvases[n]));
  }

  /** Take the charts away. */
  clear() {
    this.#plots.forEach((plotted) => plotted.destroy());
    this.#plots = [];
    this.place.replaceChildren();
  }
}

const isKnown = ({ values }) => values.some((value) => value !== null);

function figure(chart, found, open) {
  const canvas = element("div", "canvas");
  canvas.setAttribute("aria-hidden", "true");
  const legend = chart.series.map(([name], n) => element("span", `key key-${n}`, name));
  const words = element("p", "quiet", sentence(chart, found));
  const caption = element("figcaption", "", element("h3", "", chart.title), element("p", "keys", ...legend), words);
  return element("figure", "", caption, canvas, numbers(chart, found, open));
}

function numbers({ title, unit, format, series }, found, open) {
  const rows = found.filter(isKnown).map(({ day, values }) => [day, ...values.map(format)]);
  const scroll = element("div", "scroll", table(`${title}, in ${unit}`, ["Day", ...series.map(([name]) => name)], rows));
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", `Table: ${title}`);
  const details = element("details", "", element("summary", "", `${title}: the table`), scroll);
  details.dataset.chart = title;
  details.open = open;
  return details;
}

function plot({ series, format }, found, place) {
  const style = getComputedStyle(place);
  const colour = (name) => style.getPropertyValue(name).trim();
  const lines = series.map(([label], n) => ({
    label,
    stroke: colour(`--series-${n}`),
    width: 2,
    dash: n === 0 ? [] : [6, 4], // told apart without colour
    points: { show: true, size: 5, fill: colour(`--series-${n}`) },
  }));
  // Counts have no halves.
  const steps = format === whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12] } : {};
  const axis = { stroke: colour("--axis"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const options = {
    width: Math.max(200, place.clientWidth),
    height: HEIGHT_PX,
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(high ?? 1, 1e-3) * 1.1] } },
    series: [{}, ...lines],
    axes: [{ ...axis, values: [[DAY_S, "{D} {MMM}"]], space: 64, size: 30 }, { ...axis, ...steps, size: 56, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? String(tick) : format(tick))) }],
  };
  const data = [found.map(({ start_s }) => start_s), ...series.map((_, n) => found.map(({ values }) => values[n]))];
  return new uPlot(options, data, place);
}
