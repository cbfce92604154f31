/** The gallery's pictures: the server's samples at first, then the reader's own photo in every style. */

import { fetchSample, stylize } from "./api.js";

const AT_ONCE = 2;

/** Fetch the samples of the styles that have no picture yet; `shown` is called after each. */
export function loadSamples(styles, shown) {
  const missing = styles.filter((style) => !style.image);
  return forEach(missing, async (style) => setImage(style, await fetchSample(style.id), shown));
}

/** Paint a photo's thumbnail in every style; `shown` is called after each. */
export function paintThumbnails(photo, styles, shown, signal) {
  return forEach(styles, async (style) => {
    const order = { content: photo.thumbnail, shares: [{ id: style.id, weight: 1 }], strength: 1, strokes: "0",
      format: photo.previewFormat };
    const painted = await stylize(order, signal);
    signal.throwIfAborted();
    setImage(style, painted, shown);
  });
}

/** Do something for each style, a few at once. What fails is left as it is: a tile without its picture still works. */
async function forEach(styles, act) {
  const queue = [...styles];
  const work = async () => {
    while (queue.length) {
      try {
        await act(queue.shift());
      } catch (error) {
        if (error.name === "AbortError") return;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

function setImage(style, blob, shown) {
  if (style.image) URL.revokeObjectURL(style.image);
  style.image = URL.createObjectURL(blob);
  shown();
}
