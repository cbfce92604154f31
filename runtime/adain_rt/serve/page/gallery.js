/** Tiles to choose styles from: a list box, with arrow keys. */

import { nameStyleFully, say } from "./texts.js";

/** The id of the tile that stands for the photo as it is. */
export const PHOTO = "photo";

export class Gallery {
  /**
   * @param {HTMLElement} box
   * @param {(id: string) => void} choose is called when a tile is chosen
   */
  constructor(box, choose) {
    this.box = box;
    this.choose = choose;
    this.styles = [];
    this.chosen = [];
    box.addEventListener("click", (event) => this.pick(event.target.closest(".tile")));
    box.addEventListener("keydown", (event) => this.press(event));
  }

  /** Show styles: `{id, title, artist, image}`; the pictures may come later. */
  setStyles(styles) {
    this.styles = styles;
    this.box.replaceChildren(...styles.map((style) => this.makeTile(style)));
    this.update();
  }

  /** Mark the chosen tiles; several are numbered. */
  setChosen(ids, several = false) {
    this.chosen = ids;
    this.several = several;
    this.box.ariaMultiSelectable = several;
    this.update();
  }

  /** Name the tiles in the language of the page, and draw what has changed. */
  update() {
    const focusable = this.box.querySelector(`[data-id="${CSS.escape(this.chosen[0] ?? "")}"]`) ?? this.box.firstElementChild;
    for (const [index, tile] of [...this.box.children].entries()) {
      const style = this.styles[index];
      const place = this.chosen.indexOf(style.id);
      tile.ariaSelected = place >= 0;
      tile.ariaLabel = tile.title = style.id === PHOTO ? say("thePhoto") : nameStyleFully(style);
      tile.tabIndex = tile === focusable ? 0 : -1;
      const number = tile.querySelector(".number");
      number.hidden = !this.several || place < 0;
      number.textContent = place + 1;
      const image = tile.querySelector("img");
      if (style.image && image.src !== style.image) image.src = style.image;
      image.hidden = !style.image;
    }
  }

  makeTile(style) {
    const tile = document.createElement("div");
    tile.className = "tile";
    tile.role = "option";
    tile.dataset.id = style.id;
    const image = document.createElement("img");
    image.alt = "";
    image.draggable = false;
    const number = document.createElement("span");
    number.className = "number";
    number.ariaHidden = true;
    tile.append(image, number);
    return tile;
  }

  pick(tile) {
    if (tile) this.choose(tile.dataset.id);
  }

  press(event) {
    const tiles = [...this.box.children];
    const at = tiles.indexOf(event.target);
    if (at < 0) return;
    if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      this.pick(tiles[at]);
      return;
    }
    const perRow = Math.max(1, tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length);
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perRow, ArrowDown: perRow, Home: -at, End: tiles.length - 1 - at };
    const next = tiles[at + (moves[event.key] ?? NaN)];
    if (!(event.key in moves)) return;
    event.preventDefault();
    if (!next) return;
    tiles[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}
