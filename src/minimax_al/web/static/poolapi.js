/** The server's routes about many images at once. All throw `ApiError`. */

import { get, getBinary, post } from "./api.js";

const query = (wanted) => new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== null && value !== undefined && value !== ""));

/** Images that today's model takes for a class: { class_name, order, author, session, offset, limit }. */
export const getCandidates = (wanted) => get(`api/candidates?${query(wanted)}`);
/** All answers: { kind, search, author, class_name, origin, round, opinion, low, high, order, offset, limit }. */
export const getLabels = (wanted) => get(`api/labels?${query(wanted)}`);
/** Images whose path or label contains words: { text, wanted, offset, limit }. */
export const search = (wanted) => get(`api/search?${query(wanted)}`);
/** Some images by id, in this order. */
export const lookUp = (items) => post("api/look-up", { items });
/** The images that are most similar to examples: { items, wanted, offset, limit }. */
export const getNeighbours = (wanted) => post("api/neighbours", wanted);
/** The images in an order in which similar ones follow one another. */
export const orderByLikeness = (items) => post("api/likeness", { items });
/** Which maps are computed, and the computation that runs. */
export const getMaps = () => get("api/maps");
/** Starts the computation of a map. */
export const startMap = (method) => post("api/maps", { method });

/** Ids and coordinates of a map's points: { items: Int32Array, points: Float32Array }. */
export async function getPoints(method) {
  const content = await binary(`api/maps/${method}/points`);
  const count = content.byteLength / 12;
  return { items: new Int32Array(content, 0, count), points: new Float32Array(content, 4 * count, 2 * count) };
}

/** What a map's points are coloured by: { label, predicted, uncertainty, picked }, an Int16Array each. */
export async function getColours(method) {
  const content = await binary(`api/maps/${method}/colours`);
  const count = content.byteLength / 8;
  const [label, predicted, uncertainty, picked] = [0, 1, 2, 3].map((column) => new Int16Array(content, 2 * count * column, count));
  return { label, predicted, uncertainty, picked };
}

const binary = async (path) => (await getBinary(path)).arrayBuffer();
