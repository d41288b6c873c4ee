// How far costs are that are computed again: the line on the page of prices is renewed until they are done.
import { fetchPiece } from "./words.js";

const PAUSE = 1000;

export function startRecalculation() {
  if (document.querySelector("[data-recalculation]")) setTimeout(look, PAUSE);
}

async function look() {
  const line = document.querySelector("[data-recalculation]");
  if (!line) return;
  try {
    const changed = (await fetchPiece(line.dataset.recalculation)).querySelector(".change");
    if (changed) line.replaceWith(changed);
    else delete line.dataset.recalculation; // the server was started anew and knows nothing of it
  } catch {
    // The server may be away; the next look tells.
  }
  setTimeout(look, PAUSE);
}
