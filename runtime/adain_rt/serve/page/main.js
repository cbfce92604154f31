/** The page: what the reader sets, and what follows from it. */

import { addStyle, fetchLimits, listStyles, PageError, stylize } from "./api.js";
import { Brush } from "./brush.js";
import { Camera } from "./camera.js";
import { takeFiles } from "./files.js";
import { Gallery, PHOTO } from "./gallery.js";
import { Mixer, roundShares, shareOut } from "./mixer.js";
import { Painter } from "./painter.js";
import { fitSize, readPhoto, shrinkFile } from "./photo.js";
import { Stage } from "./stage.js";
import { nameStyle, nameStyleFully, say, showTexts, switchLanguage } from "./texts.js";
import { loadSamples, paintThumbnails } from "./thumbnails.js";

const MOST_STYLES = 4;
const SIZES = [4096, 2048, 1024];
const FIRST_STYLE = "starry-night";

const find = (id) => document.getElementById(id);

const stage = new Stage();
const camera = new Camera(find("video"));
const gallery = new Gallery(find("gallery"), chooseStyle);
const inside = new Gallery(find("inside"), chooseInside);
const mixer = new Mixer(find("pad"), () => { showMixture(); change(); });
const brush = new Brush(find("mask"), find("cursor"), () => { showTools(); change(); });
const painter = new Painter({ paint, show: showPainted, fail: (error) => stage.showError(error), tell: tellPainting });

let styles = [];
let photo = null;
let newest = null; // the file that was chosen last
let limits = { pixels: Infinity, bytes: Infinity };
let chosen = []; // the ids of the styles, in the order of the square's corners
let insideId = PHOTO;
const wholePhoto = { id: PHOTO };
let thumbnails = new AbortController();

/* What is painted */

function shares() {
  const parts = shareOut(chosen.length, mixer.place);
  return chosen.map((id, index) => ({ id, weight: parts[index] })).filter(({ weight }) => weight > 0);
}

async function paint(full, signal) {
  const longest = full ? Number(find("size").value) : 0;
  const order = {
    content: full ? await shrinkFile(photo, longest) : photo.preview,
    shares: shares(),
    strength: find("strength").value / 100,
    keepColors: find("keep-colors").checked,
    strokes: find("strokes").value,
    longest,
    format: full ? find("format").value : photo.previewFormat,
  };
  if (!brush.isEmpty) {
    const size = full ? { width: photo.width, height: photo.height } : photo.previewSize;
    const sent = order.content === photo.file || !full ? size : fitSize(size.width, size.height, longest);
    order.masks = await brush.makeMasks(order.shares.map(({ weight }) => weight), insideId !== PHOTO, sent);
    if (insideId !== PHOTO) order.shares = [...order.shares, { id: insideId }];
  }
  return stylize(order, signal);
}

function change() {
  if (!photo || !chosen.length || camera.isOn) return;
  stage.clearError();
  painter.change();
}

async function showPainted(blob, full, seconds) {
  await stage.showPainted(blob);
  if (!full) return;
  const { width, height } = fitSize(photo.width, photo.height, Number(find("size").value) || Infinity);
  stage.tell(say("statusDone", { width, height, seconds: seconds.toFixed(1) }));
}

function tellPainting(what) {
  stage.setWorking(what !== null);
  const texts = { preview: "statusPreview", full: "statusPreview", busy: "statusBusy" };
  stage.tell(what ? say(texts[what]) : "");
}

/* The photo */

async function choosePhoto(file) {
  stopCamera();
  stage.clearError();
  stage.setWorking(true);
  stage.tell(say("statusReading", { name: file.name }));
  newest = file;
  let read;
  try {
    read = await readPhoto(file);
    if (newest !== file) return; // another has been chosen meanwhile
  } catch (error) {
    tellPainting(null);
    stage.showError(error);
    return;
  }
  painter.reset();
  if (photo) [photo.url, wholePhoto.image].forEach((url) => URL.revokeObjectURL(url));
  photo = read;
  photo.tooLarge = photo.width * photo.height > limits.pixels || file.size > limits.bytes;
  brush.load(photo.width, photo.height);
  find("format").value = photo.format;
  setPainting(false);
  allow(true);
  wholePhoto.image = URL.createObjectURL(photo.thumbnail);
  showSizes();
  showTools();
  stage.showPhoto(photo);
  change();
  thumbnails.abort();
  thumbnails = new AbortController();
  paintThumbnails(photo, styles, showGalleries, thumbnails.signal);
}

function showSizes() {
  if (!photo) return;
  const select = find("size");
  const { width, height } = photo;
  const smaller = SIZES.filter((size) => size < Math.max(width, height));
  const kept = select.value;
  const texts = [[0, say("sizeFull", { width, height })], ...smaller.map((size) => [size, say("sizeOf", fitSize(width, height, size))])];
  select.replaceChildren(...texts.filter(([size]) => size || !photo.tooLarge).map(([size, text]) => new Option(text, size)));
  if ([...select.options].some((option) => option.value === kept)) select.value = kept;
}

async function download() {
  const button = find("download");
  button.ariaBusy = button.disabled = true;
  const blob = await finish();
  button.ariaBusy = false;
  button.disabled = camera.isOn;
  if (!blob) return;
  const labels = new Map(styles.map(({ id, file: own }) => [id, own ? stem(own.name) : id]));
  const names = brush.isEmpty ? shares().map(({ id }) => labels.get(id)).join("+") : "regions";
  const suffix = { jpeg: "jpg", png: "png", webp: "webp" }[find("format").value];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${stem(photo.name)}_stylized_${names}.${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  stage.tell(say("statusSaved", { name: link.download }));
}

function stem(name) {
  return name.replace(/\.\w+$/, "");
}

/** Return the full picture of what is set, even if that changes while it is painted; null if it cannot be painted. */
async function finish() {
  for (;;) {
    const { full } = painter;
    try {
      return await painter.finish();
    } catch (error) {
      if (error.name !== "AbortError" || painter.full === full) return null;
    }
  }
}

/* Styles */

function chooseStyle(id) {
  const mixing = find("mix").checked;
  if (!mixing) chosen = [id];
  else if (!chosen.includes(id) && chosen.length === MOST_STYLES) {
    stage.showError(new PageError(say("mixFull")));
    return;
  } else if (!chosen.includes(id)) chosen = [...chosen, id];
  else if (chosen.length > 1) chosen = chosen.filter((each) => each !== id);
  showStyles();
  change();
}

function chooseInside(id) {
  insideId = id;
  showInside();
  if (!brush.isEmpty) change();
}

async function addOwn(file) {
  stage.clearError();
  try {
    const picture = await readPhoto(file);
    const style = { id: await addStyle(file), file, image: URL.createObjectURL(picture.thumbnail) };
    styles = [style, ...styles.filter(({ id }) => id !== style.id)];
    gallery.setStyles(styles);
    inside.setStyles([wholePhoto, ...styles]);
    chooseStyle(style.id);
    if (photo) paintThumbnails(photo, [style], showGalleries, thumbnails.signal);
  } catch (error) {
    stage.showError(error);
  }
}

function showStyles() {
  const mixing = find("mix").checked;
  gallery.setChosen(chosen, mixing);
  find("mix-help").hidden = !mixing;
  find("mixer").hidden = !mixing;
  find("caption").hidden = mixing;
  showMixture();
}

function showMixture() {
  const byId = new Map(styles.map((style) => [style.id, style]));
  const used = chosen.map((id) => byId.get(id)).filter(Boolean);
  if (!used.length) return;
  const { title, artist } = nameStyle(used[0]);
  find("caption").replaceChildren(Object.assign(document.createElement("b"), { textContent: title }), artist && ` · ${artist}`);
  const parts = roundShares(shareOut(used.length, mixer.place), 100);
  find("shares").replaceChildren(...used.map((style, index) => {
    const item = document.createElement("li");
    item.append(Object.assign(document.createElement("b"), { textContent: say("percent", { percent: parts[index] }) }), nameStyle(style).title);
    return item;
  }));
  const words = used.map((style, index) => say("share", { percent: parts[index], title: nameStyleFully(style) }));
  mixer.show(used.map(({ image }) => image), words.join(", "));
}

function showGalleries() {
  for (const sample of document.querySelectorAll("[data-sample]:not([src])")) {
    const { image } = styles.find(({ id }) => id === sample.dataset.sample) ?? {};
    if (image) sample.src = image;
  }
  gallery.update();
  inside.update();
  showMixture();
}

/* The region */

function showInside() {
  inside.setChosen([insideId]);
  const style = styles.find(({ id }) => id === insideId);
  find("inside-name").textContent = style ? nameStyle(style).title : say("thePhoto");
}

/** Allow what needs a photo, or forbid it. */
function allow(has) {
  find("paint").disabled = find("download").disabled = !has;
}

function setPainting(on) {
  find("paint").checked = on;
  find("region").hidden = find("mask").hidden = !on;
  find("region-help").hidden = on;
  find("compare").hidden = on;
  document.body.classList.toggle("brushing", on);
}

function showTools() {
  find("undo").disabled = find("clear").disabled = !brush.strokes.length;
}

/* The camera */

async function toggleCamera() {
  if (camera.isOn) {
    leaveCamera();
    return;
  }
  stage.clearError();
  try {
    await camera.start();
    painter.reset();
    setPainting(false);
    allow(false);
    stage.tell("");
    find("live").ariaPressed = true;
    find("camera-picture").style.setProperty("--ratio", find("video").videoWidth / find("video").videoHeight);
    stage.show("camera-frame");
    await camera.run(paintFrame, (blob, rate) => stage.showFrame(blob, rate));
  } catch (error) {
    leaveCamera();
    stage.showError(error);
  }
}

/** Go back from the camera to the photo, if there is one. */
function leaveCamera() {
  stopCamera();
  change();
}

function stopCamera() {
  if (!camera.isOn) return;
  camera.stop();
  find("live").ariaPressed = false;
  allow(photo !== null);
  stage.show(photo ? "frame" : "empty");
}

function paintFrame(content) {
  const strength = find("strength").value / 100;
  const keepColors = find("keep-colors").checked;
  return stylize({ content, shares: shares(), strength, keepColors, strokes: "0", clip: camera.clip, format: "jpeg" });
}

/* Words, and what the reader does */

function showWords() {
  showTexts();
  find("privacy").textContent = say("privacy", { host: location.host });
  showSliders();
  showSizes();
  showGalleries();
  showInside();
  stage.describe();
}

function showSliders() {
  const sliders = { strength: "strength-value", "brush-size": "brush-value" };
  for (const [id, output] of Object.entries(sliders)) {
    const { value, min, max } = find(id);
    find(id).style.setProperty("--fill", `${((value - min) / (max - min)) * 100}%`);
    find(output).textContent = find(id).ariaValueText = say("percent", { percent: value });
  }
  brush.size = find("brush-size").value / 100;
}

function listenToPanel() {
  find("strength").addEventListener("input", () => { showSliders(); change(); });
  for (const id of ["keep-colors", "strokes", "size", "format"]) find(id).addEventListener("change", change);
  find("mix").addEventListener("change", () => {
    chosen = chosen.slice(0, 1);
    showStyles();
    change();
  });
  find("paint").addEventListener("change", () => setPainting(find("paint").checked));
  find("brush-size").addEventListener("input", showSliders);
  for (const tool of document.getElementsByName("tool")) tool.addEventListener("change", () => { brush.erasing = tool.value === "erase"; });
  find("undo").addEventListener("click", () => brush.undo());
  find("clear").addEventListener("click", () => brush.clear());
  find("panel").addEventListener("submit", (event) => {
    event.preventDefault();
    download();
  });
}

function listenToCamera() {
  for (const id of ["live", "stop"]) find(id).addEventListener("click", toggleCamera);
  find("snap").addEventListener("click", async () => choosePhoto(await camera.snap()));
}

async function begin() {
  showWords();
  listenToPanel();
  takeFiles(choosePhoto, addOwn);
  listenToCamera();
  find("language").addEventListener("click", () => {
    switchLanguage();
    showWords();
  });
  try {
    [styles, limits] = await Promise.all([listStyles(), fetchLimits()]);
  } catch (error) {
    stage.showError(error);
    return;
  }
  chosen = [(styles.find(({ id }) => id === FIRST_STYLE) ?? styles[0])?.id].filter(Boolean);
  gallery.setStyles(styles);
  inside.setStyles([wholePhoto, ...styles]);
  showInside();
  showStyles();
  await loadSamples(styles, showGalleries);
}

begin();
