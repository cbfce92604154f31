/** When the server paints: a small preview at once, the full picture when nothing has changed for a while. */

const QUIET = { least: 400, most: 3000 }; // milliseconds without a change before the full picture is begun
const BUSY = 1000; // milliseconds before a busy server is asked again

export class Painter {
  /**
   * @param {object} does what the page does:
   * @param {(full: boolean, signal: AbortSignal) => Promise<Blob>} does.paint asks the server for a picture
   * @param {(blob: Blob, full: boolean, seconds: number) => void} does.show shows it
   * @param {(error: Error) => void} does.fail shows an error
   * @param {(what: "preview" | "full" | "busy" | null) => void} does.tell says what is going on
   */
  constructor(does) {
    this.does = does;
    this.wanted = 0; // counts what has been asked for: the newest is the largest
    this.previewed = 0;
    this.previewing = false;
    this.stop = new AbortController();
    this.full = null;
    this.quiet = QUIET.least;
  }

  /** Begin anew: what is under way belongs to another photo. */
  reset() {
    this.stop.abort();
    this.stop = new AbortController();
    this.previewing = false;
  }

  /**
   * Paint what is set now.
   *
   * The full picture under way is aborted. A preview under way is not, since its answer is newer than what is on show:
   * were it aborted by each movement of a finger, nothing would appear until the finger rests. Of the previews that
   * wait, only the newest is asked for.
   */
  change() {
    this.wanted += 1;
    this.full?.stop.abort();
    clearTimeout(this.timer);
    this.begin();
    this.timer = setTimeout(() => this.full.start(), this.quiet);
    this.preview();
  }

  /** Return the full picture of what is set now; start it at once if that has not been done, or has failed. */
  finish() {
    clearTimeout(this.timer);
    this.full.start();
    return this.full.done;
  }

  /** Set up the full picture of what is set now, to be started later. */
  begin() {
    const full = { stop: new AbortController() };
    full.done = new Promise((resolve, reject) => Object.assign(full, { resolve, reject }));
    full.done.catch(() => {}); // `fail` has shown it
    full.start = () => {
      full.start = () => {};
      this.paintFull(full).then(full.resolve, full.reject);
    };
    this.full = full;
  }

  async preview() {
    if (this.previewing) return;
    this.previewing = true;
    const { signal } = this.stop;
    try {
      while (this.previewed < this.wanted && !signal.aborted) {
        const version = this.wanted;
        this.does.tell("preview");
        const blob = await this.does.paint(false, signal);
        this.previewed = version;
        if (signal.aborted) return;
        if (!this.full.shown) await this.does.show(blob, false);
      }
    } catch (error) {
      if (!signal.aborted && !error.retry) this.fail(error);
    } finally {
      if (!signal.aborted) this.previewing = false;
    }
  }

  async paintFull(full) {
    const { signal } = full.stop;
    const begun = performance.now();
    try {
      this.does.tell("full");
      const blob = await this.paintPatiently(signal);
      signal.throwIfAborted();
      full.shown = true;
      this.does.tell(null);
      const took = performance.now() - begun;
      this.quiet = Math.min(QUIET.most, Math.max(QUIET.least, took / 2)); // a server goes on painting what is aborted
      await this.does.show(blob, true, took / 1000);
      return blob;
    } catch (error) {
      if (!signal.aborted) {
        this.begin(); // to be tried again when it is asked for
        this.fail(error);
      }
      throw error;
    }
  }

  async paintPatiently(signal) {
    for (;;) {
      try {
        return await this.does.paint(true, signal);
      } catch (error) {
        if (!error.retry || signal.aborted) throw error;
      }
      this.does.tell("busy");
      await new Promise((resolve) => setTimeout(resolve, BUSY));
      signal.throwIfAborted();
    }
  }

  fail(error) {
    this.does.tell(null);
    this.does.fail(error);
  }
}
