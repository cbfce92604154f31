/** A region that is painted on the picture with a brush. */

import { roundShares } from "./mixer.js";
import { encode, fitSize } from "./photo.js";

const LONGEST = 1024; // pixels of the canvas: a brush has no finer edge
const STEP = 0.02; // of the longer side, for a press of an arrow key

export class Brush {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} cursor shows where the brush is, and how large
   * @param {() => void} changed is called when the region has changed
   */
  constructor(canvas, cursor, changed) {
    Object.assign(this, { canvas, cursor, changed, size: 0.12, erasing: false });
    this.pen = canvas.getContext("2d");
    this.strokes = [];
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.begin(this.locate(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      const held = canvas.hasPointerCapture(event.pointerId);
      for (const each of held ? (event.getCoalescedEvents?.() ?? [event]) : []) this.extend(this.locate(each));
      this.moveCursor(this.locate(event));
    });
    canvas.addEventListener("lostpointercapture", () => this.changed());
    canvas.addEventListener("pointerleave", () => { cursor.hidden = true; });
    canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) this.moveCursor(this.at); });
    canvas.addEventListener("blur", () => { cursor.hidden = true; });
    canvas.addEventListener("keydown", (event) => this.press(event));
  }

  /** Begin with an empty region on a picture of a size. */
  load(width, height) {
    Object.assign(this.canvas, fitSize(width, height, LONGEST));
    this.at = [this.canvas.width / 2, this.canvas.height / 2];
    this.strokes = [];
  }

  get isEmpty() {
    return !this.strokes.some((stroke) => !stroke.erasing);
  }

  undo() {
    this.strokes.pop();
    this.redraw();
  }

  clear() {
    this.strokes = [];
    this.redraw();
  }

  redraw() {
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.strokes.forEach((stroke) => this.draw(stroke));
    this.changed();
  }

  begin(point) {
    this.strokes.push({ points: [point], width: this.size * Math.min(this.canvas.width, this.canvas.height), erasing: this.erasing });
    this.draw(this.strokes.at(-1));
  }

  extend(point) {
    const { points, ...stroke } = this.strokes.at(-1);
    points.push(point);
    this.draw({ ...stroke, points: points.slice(-2) });
  }

  draw({ points, width, erasing }) {
    const { pen } = this;
    pen.globalCompositeOperation = erasing ? "destination-out" : "source-over";
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = width;
    pen.strokeStyle = "#ff4fa3"; // stands out on photos; only the opacity counts
    pen.beginPath();
    pen.moveTo(...points[0]);
    for (const point of points) pen.lineTo(...point);
    pen.stroke();
  }

  locate(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [((event.clientX - left) / width) * this.canvas.width, ((event.clientY - top) / height) * this.canvas.height];
  }

  press(event) {
    const [x, y] = this.at;
    const step = STEP * Math.max(this.canvas.width, this.canvas.height);
    const places = { ArrowLeft: [x - step, y], ArrowRight: [x + step, y], ArrowUp: [x, y - step], ArrowDown: [x, y + step], " ": [x, y] };
    if (!(event.key in places)) return;
    event.preventDefault();
    const [newX, newY] = places[event.key];
    const point = [Math.min(this.canvas.width, Math.max(0, newX)), Math.min(this.canvas.height, Math.max(0, newY))];
    if (event.key === " " || event.shiftKey) {
      this.begin([x, y]);
      this.extend(point);
      this.changed();
    }
    this.moveCursor(point);
  }

  moveCursor(point) {
    this.at = point;
    const share = (this.size * Math.min(this.canvas.width, this.canvas.height)) / this.canvas.width;
    Object.assign(this.cursor.style, {
      left: `${(point[0] / this.canvas.width) * 100}%`, top: `${(point[1] / this.canvas.height) * 100}%`,
      width: `${share * 100}%`, aspectRatio: "1",
    });
    this.cursor.hidden = false;
  }

  /**
   * Return masks of a size, as PNG files: one for each share outside the region, and one for the inside if it is asked
   * for. A share is the grey of its mask: where masks overlap, their styles mix.
   */
  async makeMasks(shares, inside, size) {
    const greys = roundShares(shares, 255).map((grey) => [`rgb(${grey} ${grey} ${grey})`, "#000"]);
    const masks = [];
    for (const [outside, region] of inside ? [...greys, ["#000", "#fff"]] : greys) {
      masks.push(await this.makeMask(outside, region, size)); // one after another: a mask as large as a photo takes memory
    }
    return masks;
  }

  makeMask(outside, region, { width, height }) {
    const tinted = newCanvas(this.canvas.width, this.canvas.height);
    const tint = tinted.getContext("2d");
    tint.drawImage(this.canvas, 0, 0);
    tint.globalCompositeOperation = "source-in";
    tint.fillStyle = region;
    tint.fillRect(0, 0, tinted.width, tinted.height);
    const mask = newCanvas(width, height);
    const pen = mask.getContext("2d");
    pen.fillStyle = outside;
    pen.fillRect(0, 0, width, height);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(tinted, 0, 0, width, height);
    return encode(mask, true);
  }
}

function newCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}
