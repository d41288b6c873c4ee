// A run that changes: its page follows it, and keeps what the reader has opened, typed and is looking at.
import { reveal } from "./copying.js";
import { follow } from "./feed.js";
import { keepOpen } from "./folds.js";
import { localise } from "./times.js";
import { fetchPiece } from "./words.js";

const PAUSE = 1000;
const FIELDS = "input:not([type=radio]), textarea, select";
const PLACES = "[data-at], section, details, header, tr";

export function startLive() {
  // On a list one run after the other may be opened: there may be one to follow later.
  if (document.querySelector("[data-run], [data-list]")) follow(isShown, refresh, PAUSE);
}

function isShown(event) {
  const article = document.querySelector("[data-run]");
  const address = article?.dataset.run.split("/").map(decodeURIComponent);
  if (event.kind !== "put" || !address) return false;
  // Whatever begins or ends may be within a run of a program that goes on.
  return article.dataset.family !== undefined || (address[2] === event.workflow_id && address[4] === event.execute_id);
}

async function refresh(isTold) {
  const article = document.querySelector("[data-run]");
  if (!article || (!isTold && article.dataset.live === undefined)) return false;
  const piece = await fetchPiece(`${article.dataset.run}/live?since=${article.dataset.family === undefined ? article.dataset.updated : 0}`);
  const changed = piece.querySelector("article");
  if (!changed || !article.isConnected) return false;
  if (article.querySelector(`:is(${FIELDS}):focus`)) return undefined;
  keepOpen(article, changed);
  keepChosen(article, changed);
  keepTyped(article, changed);
  reveal(changed);
  localise(changed);
  const look = placeOf(article);
  const focus = focusOf(article);
  article.replaceWith(changed);
  look(changed);
  focus(changed);
  if (!changed.closest("[data-list]")) document.title = `${changed.dataset.title} · execution-history`;
  return true;
}

/** Keeps in `changed` how the reader has chosen to see the texts of nodes. */
function keepChosen(article, changed) {
  for (const chosen of article.querySelectorAll("input[type=radio]:checked")) {
    const same = changed.querySelector(`input[name="${CSS.escape(chosen.name)}"][value="${CSS.escape(chosen.value)}"]`);
    if (same) same.checked = true;
  }
}

/** Keeps in `changed` what the reader has typed or chosen and not sent yet. */
function keepTyped(article, changed) {
  for (const field of article.querySelectorAll(FIELDS)) {
    const isTyped = field.options
      ? [...field.options].some((option) => option.selected !== option.defaultSelected)
      : field.type !== "hidden" && field.value !== field.defaultValue;
    const same = isTyped && changed.querySelector(`[name="${CSS.escape(field.name)}"]:not([type=hidden])`);
    if (same) same.value = field.value;
  }
}

/** Remembers what stands at the top of what one sees; the result puts its like there again. */
function placeOf(article) {
  const pane = article.closest(".open-run");
  const scroller = pane && getComputedStyle(pane).overflowY === "auto" ? pane : document.scrollingElement;
  // At the very top one reads the headline, which stays.
  if (!scroller.scrollTop) return () => {};
  const line = scroller === pane ? pane.getBoundingClientRect().top : 56;
  const places = [...article.querySelectorAll(PLACES)];
  const found = places.find((each) => each.getBoundingClientRect().top >= line && each.checkVisibility());
  if (!found) return () => {};
  const top = found.getBoundingClientRect().top;
  const same = likeness(places, found);
  return (changed) => {
    const now = same([...changed.querySelectorAll(PLACES)]);
    if (now) scroller.scrollTop += now.getBoundingClientRect().top - top;
  };
}

/** Remembers which element has the keyboard; the result gives it to its like. */
function focusOf(article) {
  const focused = document.activeElement;
  if (!article.contains(focused) || focused === article) return () => {};
  const all = (place) => [...place.querySelectorAll("a, button, summary, input[type=radio], [tabindex]")];
  const same = likeness(all(article), focused);
  return (changed) => same(all(changed))?.focus({ preventScroll: true });
}

/** What finds among other elements the one that is to them what `one` is to `all`. */
function likeness(all, one) {
  const name = (each) =>
    `${each.tagName} ${each.closest("[data-at]")?.dataset.at ?? each.getAttribute("aria-labelledby") ?? ""} ${each.name ?? ""}`;
  const alike = all.filter((each) => name(each) === name(one));
  const at = alike.indexOf(one);
  return (others) => others.filter((each) => name(each) === name(one))[at];
}
