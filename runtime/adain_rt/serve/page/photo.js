/** Photos and style pictures, as the browser reads them. */

import { PageError } from "./api.js";
import { say } from "./texts.js";

const PREVIEW = 512;
const THUMBNAIL = 160;

/**
 * Read a picture's file.
 *
 * @returns its width and height in pixels, upright; `url` to show it; `format` to save its result in; and two small
 *   copies: `preview` for what follows a finger, `thumbnail` for the gallery.
 */
export async function readPhoto(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new PageError(say("notPicture", { name: file.name }), say("notPictureHint"));
  }
  const { width, height } = bitmap;
  const small = shrink(bitmap, PREVIEW);
  const transparent = hasTransparency(small);
  const [preview, thumbnail] = await Promise.all([small, shrink(bitmap, THUMBNAIL)].map((each) => encode(each, transparent)));
  bitmap.close();
  const format = { "image/png": "png", "image/webp": "webp" }[file.type] ?? (transparent ? "png" : "jpeg");
  const size = { width: small.width, height: small.height };
  return { file, name: file.name, width, height, format, url: URL.createObjectURL(file), preview, previewSize: size,
    previewFormat: transparent ? "png" : "jpeg", thumbnail };
}

/**
 * Return what to send of a photo of which a result of at most `longest` pixels on its longer side is wanted: the file
 * itself, with all that it says of the picture, unless the server would refuse it for its size.
 */
export async function shrinkFile(photo, longest) {
  if (!photo.tooLarge) return photo.file;
  const bitmap = await createImageBitmap(photo.file);
  const blob = await encode(shrink(bitmap, longest), photo.format === "png");
  bitmap.close();
  return blob;
}

/** Return the frame of a video that is on show, as in a mirror, in a canvas. */
export function grabFrame(video, longest = Infinity) {
  return shrink(video, longest, video.videoWidth, video.videoHeight, true);
}

/** Return a canvas as a file. */
export function encode(canvas, lossless = false) {
  return new Promise((resolve) => canvas.toBlob(resolve, lossless ? "image/png" : "image/jpeg", 0.92));
}

/** Return the size of a picture whose longer side has at most `longest` pixels. */
export function fitSize(width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

function shrink(source, longest, width = source.width, height = source.height, mirrored = false) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, fitSize(width, height, longest));
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingQuality = "high";
  if (mirrored) pen.setTransform(-1, 0, 0, 1, canvas.width, 0);
  pen.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function hasTransparency(canvas) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 3; i < data.length; i += 4) if (data[i] < 255) return true;
  return false;
}
