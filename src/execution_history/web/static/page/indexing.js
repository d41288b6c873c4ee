// What the index still lacks stands above what one reads: the line goes on by itself, and then comes what was missing.
import { showAgain } from "./list.js";
import { localise } from "./times.js";
import { isBusy, showWholePage } from "./renewal.js";
import { fetchPiece, tell } from "./words.js";

const PAUSE = 2000;
const LONGEST = 30000;

export function startIndexing() {
  // On a list the line may come later, with another run that is opened.
  if (document.querySelector("[data-indexing], [data-list]")) look(PAUSE);
}

function look(pause) {
  setTimeout(async () => {
    let next = PAUSE;
    try {
      if (!document.hidden) await renew();
    } catch {
      next = Math.min(LONGEST, pause * 2);
    }
    look(next);
  }, pause);
}

async function renew() {
  const line = document.querySelector("[data-indexing]");
  if (!line) return;
  const piece = await fetchPiece(line.dataset.indexing);
  const changed = piece.querySelector("[data-indexing]");
  if (!line.isConnected) return;
  if (changed) {
    localise(changed);
    line.querySelector("[aria-live]").replaceChildren(...changed.querySelector("[aria-live]").childNodes);
    return;
  }
  if (isBusy()) return;
  const isShown = (await showAgain()) || (await showWholePage());
  if (isShown && !document.querySelector("[data-indexing]")) tell(piece.textContent.trim());
}
