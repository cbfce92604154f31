/** The square between up to four styles. */

const STEP = 0.05;

/**
 * Return the share of each of 1 to 4 styles at a place in the square, from 0 to 1 on each side: bilinear weights of its
 * corners. Two styles are its left and right sides, and the third of three is its lower side.
 */
export function shareOut(count, { x, y }) {
  const corners = [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
  const shares = Array(count).fill(0);
  cornersOf(count).forEach((style, corner) => { shares[style] += corners[corner]; });
  return shares;
}

/** Return shares as whole numbers that add up to a total. */
export function roundShares(shares, total) {
  let sum = 0;
  return shares.map((share) => {
    const before = Math.round(sum * total);
    sum += share;
    return Math.round(sum * total) - before;
  });
}

/** Return which style is in each corner: upper left, upper right, lower left, lower right. */
function cornersOf(count) {
  return [[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 2, 2], [0, 1, 2, 3]][count - 1];
}

export class Mixer {
  /**
   * @param {HTMLElement} pad
   * @param {() => void} moved is called when the place has changed
   */
  constructor(pad, moved) {
    this.pad = pad;
    this.moved = moved;
    this.place = { x: 0.5, y: 0.5 };
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      this.follow(event);
    });
    pad.addEventListener("pointermove", (event) => {
      if (pad.hasPointerCapture(event.pointerId)) this.follow(event);
    });
    pad.addEventListener("keydown", (event) => this.press(event));
  }

  /** Show the styles' pictures in the corners, and say the mixture: `words` is what a screen reader says. */
  show(images, words) {
    this.pad.style.setProperty("--x", `${this.place.x * 100}%`);
    this.pad.style.setProperty("--y", `${this.place.y * 100}%`);
    this.pad.ariaValueNow = Math.round(this.place.x * 100);
    this.pad.ariaValueText = words;
    const corners = this.pad.querySelectorAll(".corner");
    cornersOf(images.length).forEach((style, corner) => {
      const image = images[style];
      corners[corner].hidden = !image;
      if (image && corners[corner].src !== image) corners[corner].src = image;
    });
  }

  follow(event) {
    const { left, top, width, height } = this.pad.getBoundingClientRect();
    this.move((event.clientX - left) / width, (event.clientY - top) / height);
  }

  press(event) {
    const { x, y } = this.place;
    const places = { ArrowLeft: [x - STEP, y], ArrowRight: [x + STEP, y], ArrowUp: [x, y - STEP], ArrowDown: [x, y + STEP] };
    if (!(event.key in places)) return;
    event.preventDefault();
    this.move(...places[event.key]);
  }

  move(x, y) {
    const bound = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
    this.place = { x: bound(x), y: bound(y) };
    this.moved();
  }
}
