/** The server's API, as far as the page uses it. Addresses are relative, so that a proxy may serve it under a path. */

import { say } from "./texts.js";

const KEPT = "adain-rt.token";

/** What went wrong, and the way out. `retry` is true where the same request may succeed a little later. */
export class PageError extends Error {
  constructor(message, hint = "", { retry = false } = {}) {
    super(message);
    this.hint = hint;
    this.retry = retry;
  }
}

/** Return the styles that the server has: `{id, title, artist}`. */
export async function listStyles() {
  const { styles } = await (await call("v1/styles")).json();
  return styles.map(({ id, name, title = name, artist = "" }) => ({ id, title, artist }));
}

/** Return the most that the server takes: `{pixels, bytes}` of a photo. */
export async function fetchLimits() {
  const { limits } = await (await call("v1/models")).json();
  return { pixels: limits.pixels, bytes: limits.body_bytes - (1 << 20) }; // masks are sent with the photo
}

/** Return a picture, as a blob, that shows a style of the server. */
export async function fetchSample(id, signal) {
  return (await call(`v1/styles/${encodeURIComponent(id)}/sample`, { signal })).blob();
}

/** Send a picture as a style; return its id. */
export async function addStyle(file) {
  const body = new FormData();
  body.append("style", file, file.name);
  return (await (await call("v1/styles", { method: "POST", body })).json()).id;
}

/**
 * Return the painted picture as a blob.
 *
 * @param {object} order
 * @param {Blob} order.content the photo
 * @param {{id: string, weight: number}[]} order.shares the styles; without masks they are mixed by weight
 * @param {Blob[]} [order.masks] one for each style
 * @param {number} order.strength from 0 to 1
 * @param {boolean} order.keepColors whether the photo's colours stay
 * @param {string} order.strokes pixels of the shorter side of a photo with as large strokes; 0 is the photo itself
 * @param {string} [order.clip] the id of the clip of which the photo is the next frame
 * @param {number} order.longest the most pixels of the result's longer side; 0 is the photo's own
 * @param {string} order.format jpeg, png or webp
 * @param {AbortSignal} [signal]
 */
export async function stylize(order, signal) {
  const body = new FormData();
  body.append("content", order.content, order.content.name ?? "photo");
  for (const { id, weight } of order.shares) {
    body.append("style", id);
    if (!order.masks) body.append("weight", weight.toFixed(4));
  }
  for (const mask of order.masks ?? []) body.append("mask", mask, "mask.png");
  body.append("alpha", order.strength);
  body.append("color", order.keepColors ? "luma" : "none");
  body.append("strokes", order.strokes);
  if (order.clip) body.append("clip", order.clip);
  body.append("format", order.format);
  if (order.longest) body.append("max_size", order.longest);
  return (await call("v1/stylize", { method: "POST", body, signal })).blob();
}

async function call(path, options = {}) {
  const token = sessionStorage.getItem(KEPT);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new PageError(say("noServer"), say("noServerHint"));
  }
  if (response.status === 401) {
    await askToken(token);
    return call(path, options);
  }
  if (!response.ok) throw await explain(response);
  return response;
}

async function explain(response) {
  const { error, hint } = await response.json().catch(() => ({}));
  const retry = response.status === 429 || response.status === 503;
  return new PageError(error ?? say("failed", { status: response.status }), hint ?? "", { retry });
}

let asking = null;

/** Let the reader type the token, once for all requests that were refused without it. */
function askToken(refused) {
  if (sessionStorage.getItem(KEPT) !== refused) return Promise.resolve(); // another request has asked meanwhile
  asking ??= new Promise((resolve) => {
    const dialog = document.querySelector("#token-dialog");
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(KEPT, document.querySelector("#token").value);
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}
