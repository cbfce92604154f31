/** The camera, painted live: one picture at a time, as fast as the server answers. */

import { PageError } from "./api.js";
import { encode, grabFrame } from "./photo.js";
import { say } from "./texts.js";

const LONGEST = 448; // pixels of a live picture's longer side
const BUSY = 500; // milliseconds before a busy server gets the next frame
const WINDOW = 12; // pictures that the rate is measured over

export class Camera {
  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
    this.stream = null;
    this.clip = null; // the id by which the server knows what the camera shows until it is stopped
  }

  get isOn() {
    return this.stream !== null;
  }

  async start() {
    if (!navigator.mediaDevices) throw new PageError(say("noCamera", { host: location.host }), say("noCameraHint"));
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 } } });
    } catch {
      throw new PageError(say("cameraRefused"), say("cameraRefusedHint"));
    }
    this.clip = crypto.randomUUID();
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = this.stream = null;
  }

  /** Return the frame of now, in full, as a file. */
  async snap() {
    const blob = await encode(grabFrame(this.video));
    return new File([blob], "camera.jpg", { type: blob.type });
  }

  /**
   * Paint frames until the camera is stopped.
   *
   * @param {(frame: Blob) => Promise<Blob>} paint
   * @param {(painted: Blob, rate: number) => Promise<void>} show gets the pictures a second as well
   */
  async run(paint, show) {
    const { stream } = this;
    const times = [];
    while (this.stream === stream) {
      let painted;
      try {
        painted = await paint(await encode(grabFrame(this.video, LONGEST)));
      } catch (error) {
        if (!error.retry) throw error;
        await new Promise((resolve) => setTimeout(resolve, BUSY));
        continue;
      }
      if (this.stream !== stream) return;
      times.push(performance.now());
      if (times.length > WINDOW) times.shift();
      const rate = times.length > 1 ? ((times.length - 1) * 1000) / (times.at(-1) - times[0]) : 0;
      await show(painted, rate);
    }
  }
}
