/** Colours of a map's points: by label, prediction, uncertainty or round, on light and dark ground. */

const HUES = 12; // classes with a colour of their own; further ones repeat the hues in another lightness
const GOLDEN = 137.508; // degrees between successive hues: far apart, whatever their number

/** Colours that stay apart for colour-blind eyes, for few classes (Okabe and Ito 2008, without black). */
const FEW = [[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [213, 94, 0], [165, 155, 20], [150, 100, 60]];

const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

/** The colour of a point without a value. */
export const blank = () => (isDark() ? [88, 96, 106] : [184, 189, 195]);

/** One colour per class, [red, green, blue] from 0 to 255. */
export function classColours(number) {
  if (number <= FEW.length) return FEW.slice(0, number);
  return Array.from({ length: number }, (_, index) => {
    const light = (isDark() ? 64 : 46) + 9 * (Math.floor(index / HUES) % 3) - 9;
    return fromHsl((index * GOLDEN) % 360, 70, light);
  });
}

/** A colour from few (0) to much (1), of equal steps in lightness. */
export function ramp(share) {
  const [from, to] = isDark() ? [[62, 74, 137], [253, 231, 37]] : [[170, 205, 220], [122, 4, 60]];
  return from.map((low, channel) => Math.round(low + share * (to[channel] - low)));
}

/** A colour as text for a style. */
export const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

function fromHsl(hue, saturation, lightness) {
  const [s, l] = [saturation / 100, lightness / 100];
  const channel = (shift) => {
    const k = (shift + hue / 30) % 12;
    return Math.round(255 * (l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

/**
 * Colours of all points: { rgb: Uint8Array of 4 bytes per point, legend: [{ name, colour, count, value }] }.
 * `by`: "label", "predicted", "uncertainty" or "picked"; `only`: a class index that alone keeps its colour, or null.
 */
export function colourPoints(columns, by, classes, only = null) {
  const values = columns[by];
  const rgb = new Uint8Array(4 * values.length);
  const none = blank();
  const table = by === "label" || by === "predicted" ? classColours(classes.length) : null;
  const counts = new Map();
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    let colour = none;
    if (table !== null) {
      counts.set(value, (counts.get(value) ?? 0) + 1);
      if (value >= 0 && (only === null || only === value)) colour = table[value];
      else if (value === -2) colour = FEW[0];
    } else if (by === "uncertainty") {
      if (value >= 0) colour = ramp(value / 1000);
    } else if (value > 0) {
      colour = FEW[0];
      counts.set(1, (counts.get(1) ?? 0) + 1);
    }
    rgb[4 * index] = colour[0];
    rgb[4 * index + 1] = colour[1];
    rgb[4 * index + 2] = colour[2];
    rgb[4 * index + 3] = colour === none ? 0 : 255; // the order of drawing: points without a value lie below
  }
  return { rgb, legend: legendOf(by, table, counts, classes, none, values.length) };
}

function legendOf(by, table, counts, classes, none, total) {
  if (by === "uncertainty") return [{ name: "certain", colour: ramp(0) }, { name: "half", colour: ramp(0.5) }, { name: "uncertain", colour: ramp(1) }, { name: "not predicted", colour: none }];
  if (by === "picked") {
    const picked = counts.get(1) ?? 0;
    return [{ name: "in a round", colour: FEW[0], count: picked }, { name: "in none", colour: none, count: total - picked }];
  }
  const listed = [...counts].filter(([value]) => value >= 0).sort(([, one], [, other]) => other - one);
  const without = (counts.get(-1) ?? 0);
  return [
    ...listed.map(([value, number]) => ({ name: classes[value], colour: table[value], count: number, value })),
    ...(counts.get(-2) ? [{ name: "labelled", colour: FEW[0], count: counts.get(-2) }] : []),
    ...(without ? [{ name: by === "label" ? "no label" : "not predicted", colour: none, count: without }] : []),
  ];
}
