// The last runs of a workflow: one picture in the page, and a link for each of them as soon as one points at their row.
import { fetchPiece } from "./words.js";

const loading = new WeakMap();
let pointer;

export function startTicks() {
  document.addEventListener("pointerover", (event) => {
    pointer = event;
    load(event.target.closest?.("tr"));
  });
  // A page that is shown anew has pictures again, also where the pointer rests.
  document.addEventListener("renewed", () => pointer && load(elementAt(pointer)?.closest("tr")));
  document.addEventListener("click", open, true);
}

/** Puts the links in the place of the picture; without them it stays a link to the list that begins with these runs. */
function load(row) {
  const picture = row?.querySelector("[data-ticks]");
  if (!picture) return undefined;
  if (!loading.has(picture)) {
    const links = fetchPiece(picture.dataset.ticks).then((piece) => picture.replaceWith(piece), () => loading.delete(picture));
    loading.set(picture, links);
  }
  return loading.get(picture);
}

/** Opens the run that was tapped also where its link is not there yet: a finger touches and clicks at once. */
async function open(event) {
  const cell = event.target.closest?.(".ticks-cell");
  if (!cell || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest(".ticks a")) return;
  const picture = cell.querySelector("[data-ticks]");
  if (!picture && !runAt(event)) return;
  event.preventDefault();
  // The page may be shown anew while the links come: then the picture that is there now is asked for its own.
  for (let tries = 0; tries < 2 && !runAt(event); tries++) await load(elementAt(event)?.closest("tr"));
  location.assign(runAt(event)?.href.baseVal ?? picture.href);
}

const elementAt = (event) => document.elementFromPoint(event.clientX, event.clientY);

const runAt = (event) => elementAt(event)?.closest(".ticks a");
