/** The server's routes, one function each. All throw `ApiError`. */

const PATIENCE = 20_000; // milliseconds until a request counts as lost
const LONG = 600_000; // likewise for uploads

/** What went wrong: the server's sentence, and its status; 0 where no answer came. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether the same request may do better later: nothing is wrong with the request itself. */
  get passes() {
    return this.status === 0 || this.status >= 500 || [401, 403, 408, 429].includes(this.status);
  }
}

/** A word for a request: the server does once what comes again with the same. */
export const newKey = () => `${Date.now()}-${Math.random().toString(36).slice(2)}`;

async function call(method, path, { json, raw, key, patience = PATIENCE, keepalive = false } = {}) {
  const body = json === undefined ? raw : JSON.stringify(json);
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  if (key !== undefined) headers["Idempotency-Key"] = key;
  let response;
  try {
    response = await fetch(path, { method, body, headers, keepalive, signal: AbortSignal.timeout(patience) });
  } catch {
    throw new ApiError("The server cannot be reached", 0);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  // An answer that is no JSON comes from something in between: as good as none.
  throw new ApiError(answer?.error ?? refusal(response.status), response.ok ? 0 : response.status);
}

function refusal(status) {
  if (status === 401) return "This page's token is not valid now: open the address with the token again";
  return `The server answered ${status}`;
}

const get = (path) => call("GET", path);
const post = (path, json, options) => call("POST", path, { json, ...options });

/** Name, task, classes, strategies and formats: what does not change while the page is open. */
export const getCampaign = () => get("api/campaign");
/** Progress, model, curve, advice and the job. */
export const getStatus = () => get("api/status");
/** Images for a person in this browser: first those already held, then free ones; for some seconds. */
export const lease = (author, session, count, seconds) => post("api/lease", { author, session, count, seconds });
/** Returns all images that a person holds in this browser to the queue; works while the page is being left. */
export const release = (author, session) => post("api/release", { author, session }, { keepalive: true });
/** One class for some images; `ifWaiting`: for those only that nobody has answered meanwhile. */
export const label = (author, items, className, { key, ifWaiting }) =>
  post("api/label", { author, items, class_name: className, if_waiting: ifWaiting }, { key });
/** Not now. */
export const skip = (author, items, key) => post("api/skip", { author, items }, { key });
/** Nobody can tell. */
export const unsure = (author, items, { key, ifWaiting }) => post("api/unsure", { author, items, if_waiting: ifWaiting }, { key });
/** Takes back what a person said last; `of`: { item, kind, class_name }, what that has to be. */
export const undo = (author, key, of = {}) => post("api/undo", { author, ...of }, { key });
/** How far the job is. */
export const getJob = () => get("api/job");
/** Starts training, or choosing the next round. */
export const startJob = (wish) => post("api/jobs", wish);
/** Closes this round, whatever waits in it. */
export const closeRound = (round) => post("api/close-round", { round });
/** Hands out here, too, what of this round lies in Label Studio. */
export const recall = (round) => post("api/recall", { round });

/** Images of a round: { round, answer, class_name, offset, limit }. */
export function getPicks(wanted) {
  const given = Object.entries(wanted).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return get(`api/picks?${new URLSearchParams(given)}`);
}

/** Labels out of a file. */
export const importLabels = (file) =>
  call("POST", `api/import?filename=${encodeURIComponent(file.name)}`, { raw: file, patience: LONG });

/** A mask for an image; `ifWaiting` as for `label`. With `sure` false, 409 says that it is named after another image. */
export const putMask = (author, item, file, { key, ifWaiting, sure }) =>
  call("PUT", `api/masks/${item}?${new URLSearchParams({ author, if_waiting: ifWaiting, ...(sure ? {} : { filename: file.name }) })}`, { raw: file, key, patience: LONG });

export const imageUrl = (item) => `images/${item}`;
export const thumbnailUrl = (item) => `thumbnails/${item}`;
export const viewUrl = (item, kind) => `views/${item}/${kind}.png`;
export const exportUrl = (format) => `api/export/${format}`;
