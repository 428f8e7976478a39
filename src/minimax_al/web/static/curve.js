/** Learning curve as SVG: the score by number of labels, its interval if known, and the forecast for the next labels. */

import { draw, percent } from "./dom.js";

const WIDTH = 288;
const HEIGHT = 168;
const EDGE = { left: 34, right: 10, top: 10, bottom: 30 };

/** Round numbers that divide a span in about `parts`. */
export function ticks(low, high, parts) {
  const rough = (high - low) / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

/** Draws the curve. `points`: at least one { labels, score, low, high }, where low and high may be null. `advice`: the status's advice. */
export function drawCurve(points, advice) {
  const last = points.at(-1);
  const next = advice?.gain === null || advice?.gain === undefined ? null : expected(last, advice);
  const all = next === null ? points : [...points, next];
  const x = scale(0, Math.max(...all.map(({ labels }) => labels)) * 1.04, EDGE.left, WIDTH - EDGE.right);
  const low = Math.max(0, Math.min(...all.map((point) => point.low ?? point.score)) - 0.03);
  const high = Math.min(1, Math.max(...all.map((point) => point.high ?? point.score)) + 0.03);
  const y = scale(low, high, HEIGHT - EDGE.bottom, EDGE.top);
  const sure = points.filter((point) => point.low !== null);
  const summary = points.map(inWords);
  const parts = [
    draw("title", {}, `Learning curve. ${summary.join("; ")}`),
    ...yAxis(y, low, high),
    ...xAxis(x),
    draw("polygon", { class: "band", points: outline(sure, x, y) }),
    draw("polyline", { class: "line", points: points.map((point) => `${x(point.labels)},${y(point.score)}`).join(" ") }),
    ...(next === null ? [] : forecast(last, next, x, y)),
    ...points.flatMap((point) => mark(point, x, y)),
  ];
  return draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Learning curve. ${summary.join("; ")}` }, ...parts);
}

const scale = (from, to, start, end) => (value) => Number((start + ((value - from) / (to - from || 1)) * (end - start)).toFixed(1));

function expected({ labels, score }, { next_labels: more, gain, low, high }) {
  const at = (points) => Math.min(1, score + points);
  return { labels: labels + more, score: at(gain), low: at(low), high: at(high) };
}

function outline(points, x, y) {
  const upper = points.map((point) => `${x(point.labels)},${y(point.high)}`);
  const lower = points.map((point) => `${x(point.labels)},${y(point.low)}`).reverse();
  return [...upper, ...lower].join(" ");
}

function yAxis(y, low, high) {
  return ticks(low, high, 6).flatMap((value) => [
    draw("line", { class: "rule", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(value), y2: y(value) }),
    draw("text", { class: "tick", x: EDGE.left - 5, y: y(value) + 3.5, "text-anchor": "end" }, `${Number((100 * value).toFixed(1))} %`),
  ]);
}

function xAxis(x) {
  const values = ticks(0, inverse(x, WIDTH - EDGE.right), 4);
  return [
    draw("line", { class: "axis", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: HEIGHT - EDGE.bottom, y2: HEIGHT - EDGE.bottom }),
    ...values.map((value) => draw("text", { class: "tick", x: x(value), y: HEIGHT - EDGE.bottom + 12, "text-anchor": "middle" }, value.toLocaleString("en"))),
    draw("text", { class: "tick", x: (EDGE.left + WIDTH - EDGE.right) / 2, y: HEIGHT - 5, "text-anchor": "middle" }, "labels trained on"),
  ];
}

const inverse = (x, pixel) => (pixel - x(0)) / ((x(1000) - x(0)) / 1000);

function forecast(last, next, x, y) {
  const [fromX, toX] = [x(last.labels), x(next.labels)];
  return [
    draw("line", { class: "forecast", x1: fromX, y1: y(last.score), x2: toX, y2: y(next.score) }),
    draw("line", { class: "forecast-interval", x1: toX, x2: toX, y1: y(next.low), y2: y(next.high) }),
    draw("circle", { class: "forecast-dot", cx: toX, cy: y(next.score), r: 3 }, draw("title", {}, `Expected at ${next.labels} labels: ${percent(next.score)}`)),
  ];
}

function mark(point, x, y) {
  const at = x(point.labels);
  const dot = draw("circle", { class: "dot", cx: at, cy: y(point.score), r: 3.5 }, draw("title", {}, inWords(point)));
  return point.low === null ? [dot] : [draw("line", { class: "interval", x1: at, x2: at, y1: y(point.low), y2: y(point.high) }), dot];
}

function inWords({ labels, score, low, high }) {
  const interval = low === null ? "" : `, 95 % interval ${percent(low)} to ${percent(high)}`;
  return `${labels.toLocaleString("en")} labels: ${percent(score)}${interval}`;
}
