/** The server's routes, one function each. All throw `ApiError`. */

const PATIENCE = 20_000; // milliseconds until a request counts as lost
const LONG = 600_000; // milliseconds until an upload counts as lost
const BRIEF = 8_000; // milliseconds until a heartbeat counts as lost

/** Error of a request: the server's sentence, and the HTTP status, or 0 if no answer came. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether the error is temporary: the same request may succeed later. */
  get passes() {
    return this.status === 0 || this.status >= 500 || [401, 403, 408, 429].includes(this.status);
  }
}

/** Events of the connection: "answered" after an answer of the server, "lost" when none came. */
export const wire = new EventTarget();

/** A new idempotency key: the server runs a repeated request with the same key once. */
export const newKey = () => `${Date.now()}-${Math.random().toString(36).slice(2)}`;

async function call(method, path, { json, raw, key, patience = PATIENCE, keepalive = false } = {}) {
  const body = json === undefined ? raw : JSON.stringify(json);
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  if (key !== undefined) headers["Idempotency-Key"] = key;
  const response = await answered(path, { method, body, headers, keepalive, signal: AbortSignal.timeout(patience) });
  const answer = await response.json().catch(() => null);
  wire.dispatchEvent(new Event(answer === null ? "lost" : "answered"));
  if (response.ok && answer !== null) return answer;
  // An answer that is not JSON comes from a proxy, not from the server: count it as no answer.
  throw new ApiError(answer?.error ?? refusal(response.status), response.ok ? 0 : response.status);
}

async function answered(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    wire.dispatchEvent(new Event("lost"));
    throw new ApiError("The server cannot be reached", 0);
  }
}

function refusal(status) {
  if (status === 401) return "This page's token is not valid now: open the address with the token again";
  return `The server answered with status ${status}`;
}

/** Sends a GET request. */
export const get = (path) => call("GET", path);
/** Sends a POST request with a JSON body. */
export const post = (path, json, options) => call("POST", path, { json, ...options });

/** Sends a GET request for binary content; returns the response. */
export async function getBinary(path) {
  const response = await answered(path, { signal: AbortSignal.timeout(LONG) });
  if (!response.ok) throw new ApiError((await response.json().catch(() => null))?.error ?? refusal(response.status), response.status);
  return response;
}

/** Name, task, classes, strategies and formats, which do not change while the page is open. */
export const getCampaign = () => get("api/campaign");
/** Progress, model, curve, advice and the job. */
export const getStatus = () => get("api/status");
/** State of live labelling, and suggestions for all waiting images; short, and cached by its tag. */
export const getLive = () => get("api/live");
/** Leases images to an annotator in this browser for some seconds: first those already leased, then free ones. */
export const lease = (author, session, count, seconds) => post("api/lease", { author, session, count, seconds });
/** Ends all leases of an annotator in this browser; works while the page is being closed. */
export const release = (author, session) => post("api/release", { author, session }, { keepalive: true });
/** Labels images with one class; with `ifWaiting`, only those that no other annotator has answered meanwhile. */
export const label = (author, items, className, { key, ifWaiting, origin, classId }) =>
  post("api/label", { author, items, class_name: className, class_id: classId, if_waiting: ifWaiting, ...(origin ? { origin } : {}) }, { key });
/** Skips images: a later round may choose them again. */
export const skip = (author, items, key) => post("api/skip", { author, items }, { key });
/** Answers "unsure": no later round chooses these images again. */
export const unsure = (author, items, { key, ifWaiting }) => post("api/unsure", { author, items, if_waiting: ifWaiting }, { key });
/** Undoes an annotator's last answer; `of`: { item, kind, class_name, class_id } that the answer must match. */
export const undo = (author, key, of = {}) => post("api/undo", { author, ...of }, { key });
/** Asks whether the server is there. */
export const beat = () => call("GET", "api/job", { patience: BRIEF });
/** The likeliest classes of images by the last model: [{ item, classes: [{ class_name, probability }] }]. */
export const getLikeliest = (items) => get(`api/likeliest?${new URLSearchParams(items.map((item) => ["item", item]))}`);
/** The images about which two annotators disagree. */
export const getConflicts = () => get("api/conflicts");
/** Decides conflicts; the class null is "unsure". Status 409 if another manager has decided one, unless it is to `replace` that. */
export const decide = (author, items, className, { key, replace = false, classId }) =>
  post("api/decide", { author, items, class_name: className, class_id: classId, replace }, { key });
/** Decides a conflict by the "first" or the "second" mask; `replace` as for `decide`. */
export const decideMask = (author, item, mask, { key, replace = false }) =>
  post("api/decide-mask", { author, item, mask, replace }, { key });
/** The classes, each with its number of labels. */
export const getClasses = () => get("api/classes");
/** Edits of the classes; each resolves to { classes, labels }: the new list, and the number of labels that changed. */
export const addClasses = (names) => post("api/classes/add", { names });
export const renameClass = (old, name) => post("api/classes/rename", { old, new: name });
export const mergeClasses = (names, into) => post("api/classes/merge", { names, into });
export const removeClass = (name) => post("api/classes/remove", { name });
/** Progress of the job. */
export const getJob = () => get("api/job");
/** Starts training, or choosing the next round. */
export const startJob = (wish) => post("api/jobs", wish);
/** Closes this round, even if images wait in it. */
export const closeRound = (round) => post("api/close-round", { round });
/** Makes the images of this round that were sent to Label Studio available on this page again. */
export const recall = (round) => post("api/recall", { round });

/** Imports the labels of a file. */
export const importLabels = (file) =>
  call("POST", `api/import?filename=${encodeURIComponent(file.name)}`, { raw: file, patience: LONG });

const withClasses = (fields, classIds = []) => new URLSearchParams([...Object.entries(fields), ...classIds.map((one) => ["class_id", one])]);

/** Stores a mask for an image; `ifWaiting` as for `label`; `classIds`: the classes of its numbers; status 409 if one of them has left, or if the image has another answer than `replaces`. Unless `sure`, status 409 means that the file is named after another image. */
export const putMask = (author, item, file, { key, ifWaiting, replaces, decides = false, sure, classIds }) =>
  call("PUT", `api/masks/${item}?${withClasses({ author, if_waiting: ifWaiting, decides, ...(replaces === undefined ? {} : { replaces }), ...(sure ? {} : { filename: file.name }) }, classIds)}`, { raw: file, key, patience: LONG });

/** Size, content and layers of an image to draw on, for an annotator. */
export const getDrawing = (item, author) => get(`api/drawing/${item}?${new URLSearchParams({ author })}`);
/** A map of an image's pixels: { width, height, pixels, classIds }, the ids in the order of the numbers, or null; kind "label", "prediction", "entropy", "draft" or "superpixels-…". */
export async function getPixels(item, kind, author) {
  const query = author === undefined ? "" : `?${new URLSearchParams({ author })}`;
  return asMap(await getBinary(`api/pixels/${item}/${kind}${query}`));
}

/** One of the two masks of a conflict, "first" or "second": { width, height, pixels, classIds }. */
export const getOpinion = async (item, which) => asMap(await getBinary(`api/opinions/${item}/${which}`));

async function asMap(response) {
  const [width, height] = response.headers.get("Pixels-Size").split("x").map(Number);
  const bytes = await response.arrayBuffer();
  const classIds = response.headers.get("Class-Ids")?.split(",").map(Number) ?? null;
  return { width, height, classIds, pixels: bytes.byteLength === width * height ? new Uint8Array(bytes) : new Uint16Array(bytes) };
}
/** Keeps a draft of an annotator's mask on the server; `at`: time of its last change in milliseconds; `classIds` as for `putMask`. */
export const putDraft = (author, item, png, at, classIds) => call("PUT", `api/drafts/${item}?${withClasses({ author, at }, classIds)}`, { raw: new Blob([png], { type: "image/png" }), patience: LONG });

export const imageUrl = (item) => `images/${item}`;
export const previewUrl = (item) => `previews/${item}`;
export const thumbnailUrl = (item) => `thumbnails/${item}`;
/** The mask of an image in the colours of the classes; `only`: the number of the only class to show, or "". */
export const labelUrl = (item, author, version, only = "") => `views/${item}/label.png?${new URLSearchParams({ author, version, ...(only === "" ? {} : { only }) })}`;
export const opinionUrl = (item, layer) => `opinions/${item}/${layer}.png`;
export const exportUrl = (format) => `api/export/${format}`;
