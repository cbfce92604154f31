/** The place where the picture is: before and after, what is going on, and what went wrong. */

import { say } from "./texts.js";

const find = (id) => document.getElementById(id);

export class Stage {
  constructor() {
    this.stage = find("stage");
    this.picture = find("picture");
    this.compare = find("compare");
    this.compare.addEventListener("input", () => this.cut());
    for (const leave of ["change", "blur"]) this.compare.addEventListener(leave, () => find("tag-before").classList.remove("shown"));
    find("dismiss").addEventListener("click", () => this.clearError());
  }

  /** Show one of `empty`, `frame` and `camera-frame`. */
  show(id) {
    for (const each of ["empty", "frame", "camera-frame"]) find(each).hidden = each !== id;
  }

  /** Show a photo that has not been painted yet. */
  showPhoto(photo) {
    this.photo = photo;
    this.picture.style.setProperty("--ratio", photo.width / photo.height);
    for (const id of ["before", "after"]) find(id).src = photo.url;
    delete find("after").dataset.painted; // the photo's address is not the painted picture's to give up
    this.compare.value = 0;
    this.cut();
    find("tag-before").classList.remove("shown");
    this.describe();
    this.show("frame");
  }

  /** Show a painted photo. */
  showPainted(blob) {
    return replacePicture(find("after"), blob);
  }

  /** Show a painted frame of the camera, and how many there are a second. */
  async showFrame(blob, rate) {
    await replacePicture(find("camera-view"), blob);
    find("rate").textContent = say("cameraRate", { rate: rate.toFixed(1) });
  }

  /** Name the pictures and the slider in the language of the page. */
  describe() {
    if (!this.photo) return;
    find("before").alt = say("altBefore", { name: this.photo.name });
    find("after").alt = say("altAfter", { name: this.photo.name });
    this.compare.ariaValueText = say("compared", { percent: this.compare.value });
  }

  /** Say whether something is under way. */
  setWorking(working) {
    this.stage.classList.toggle("working", working);
    this.picture.ariaBusy = working;
  }

  /** Say what goes on, or has been done. A screen reader reads it out when it has time. */
  tell(text) {
    find("status").textContent = text;
  }

  showError(error) {
    find("error").hidden = false;
    find("error-text").textContent = error.message;
    find("error-hint").textContent = error.hint ?? "";
  }

  clearError() {
    find("error").hidden = true;
  }

  cut() {
    this.picture.style.setProperty("--cut", `${this.compare.value}%`);
    this.compare.ariaValueText = say("compared", { percent: this.compare.value });
    find("tag-before").classList.toggle("shown", this.compare.value > 8);
  }
}

/** Show a picture in the place of another, once it is decoded: nothing flickers. */
async function replacePicture(image, blob) {
  const next = new Image();
  next.src = URL.createObjectURL(blob);
  await next.decode();
  const before = image.src;
  image.src = next.src;
  if (image.dataset.painted) URL.revokeObjectURL(before);
  image.dataset.painted = true;
}
