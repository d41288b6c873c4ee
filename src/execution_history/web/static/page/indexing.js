// What the index still lacks stands above what one reads: the line goes on by itself, and then comes what was missing.
import { reveal } from "./copying.js";
import { current } from "./keys.js";
import { showAgain } from "./list.js";
import { localise } from "./times.js";
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
  // Whoever types there is not interrupted.
  if (document.activeElement.closest("main :is(input:not([type=checkbox]), textarea, select)")) return;
  const isShown = (await showAgain()) || (await replaceMain());
  if (isShown && !document.querySelector("[data-indexing]")) tell(piece.textContent.trim());
}

/** Shows the page as it is now, with what was unfolded and focused. */
async function replaceMain() {
  const changed = (await fetchPiece(location.href)).querySelector("main");
  const main = document.querySelector("main");
  const focused = main.contains(document.activeElement) && document.activeElement.getAttribute("href");
  const row = current()?.dataset.row;
  const unfolded = [...main.querySelectorAll("details")];
  for (const [number, details] of [...changed.querySelectorAll("details")].entries()) {
    details.open = unfolded[number]?.open ?? details.open;
  }
  reveal(changed);
  localise(changed);
  main.replaceChildren(...changed.childNodes);
  if (row) main.querySelector(`tr[data-row="${CSS.escape(row)}"]`)?.classList.add("current");
  if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  return true;
}
