/** The ways by which files come to the page: buttons, the clipboard, and the mouse. */

const find = (id) => document.getElementById(id);

/**
 * Listen for files.
 *
 * @param {(file: File) => void} takePhoto gets what is chosen, pasted or dropped on the picture
 * @param {(file: File) => void} takeStyle gets what is chosen as a style, or dropped on the settings
 */
export function takeFiles(takePhoto, takeStyle) {
  for (const id of ["open", "choose"]) find(id).addEventListener("click", () => find("photo-file").click());
  find("own").addEventListener("click", () => find("style-file").click());
  find("try").addEventListener("click", async () => takePhoto(await fetchSamplePhoto()));
  listenToInput(find("photo-file"), takePhoto);
  listenToInput(find("style-file"), takeStyle);
  document.addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData.files.length) takePhoto(clipboardData.files[0]);
  });
  listenToDrops(takePhoto, takeStyle);
}

function listenToInput(input, take) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = ""; // so that the same file can be chosen again
    if (file) take(file);
  });
}

function listenToDrops(takePhoto, takeStyle) {
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    if (event.dataTransfer.types.includes("Files")) showTarget(event.target);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) showTarget(null);
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    showTarget(null);
    const take = find("panel").contains(event.target) ? takeStyle : takePhoto;
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
}

/** Show where a file would go: to the styles, or to the photo. */
function showTarget(target) {
  const onPanel = find("panel").contains(target);
  find("panel").classList.toggle("dropping", onPanel);
  find("stage").classList.toggle("dropping", target !== null && !onPanel);
}

async function fetchSamplePhoto() {
  const blob = await (await fetch("sample.jpg")).blob();
  return new File([blob], "sample.jpg", { type: blob.type });
}
