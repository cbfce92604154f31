/** What the page says, in the reader's language. */

import en from "./texts/en.js";
import works from "./texts/works-zh.js";
import zh from "./texts/zh.js";

const LANGUAGES = { en, zh };
const KEPT = "adain-rt.language";

const wished = localStorage.getItem(KEPT) ?? navigator.language.slice(0, 2);
let language = wished in LANGUAGES ? wished : "en";

/** Return a text, with `{name}` replaced by `values.name`. */
export function say(key, values = {}) {
  return LANGUAGES[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Put the texts into the page: `data-text` into an element, `data-label` and the like into its attributes. */
export function showTexts() {
  document.documentElement.lang = say("languageCode");
  document.title = say("title");
  const places = { text: "textContent", label: "ariaLabel", alt: "alt", lang: "lang", roleText: "ariaRoleDescription" };
  for (const [place, property] of Object.entries(places)) {
    const attribute = place === "roleText" ? "role-text" : place;
    for (const element of document.querySelectorAll(`[data-${attribute}]`)) {
      element[property] = say(element.dataset[place]);
    }
  }
}

/** Change to the other language, and remember it. */
export function switchLanguage() {
  language = say("otherLanguageCode");
  localStorage.setItem(KEPT, language);
  showTexts();
}

/** Return a style's title and artist. A picture that was added has a name alone. */
export function nameStyle(style) {
  if (style.file) return { title: say("ownTitle", { name: style.file.name }), artist: "" };
  const [title, artist] = (language === "zh" && works[style.id]) || [style.title, style.artist];
  return { title, artist };
}

/** Return a style's title and artist in one line. */
export function nameStyleFully(style) {
  const { title, artist } = nameStyle(style);
  return artist ? say("styleBy", { title, artist }) : title;
}
