// A run that goes on: its page follows it, and keeps what the reader has opened and typed.
import { reveal } from "./copying.js";
import { localise } from "./times.js";
import { fetchPiece } from "./words.js";

const PAUSE = 1000;
const LONGEST_PAUSE = 15000;

export function startLive() {
  setTimeout(follow, PAUSE, PAUSE);
}

async function follow(pause) {
  // On a list one run after the other may be opened: there may be one to follow later.
  const article = document.querySelector("[data-live]");
  if (!article || document.hidden) {
    setTimeout(follow, PAUSE, PAUSE);
    return;
  }
  let next = Math.min(LONGEST_PAUSE, pause * 1.2);
  try {
    const piece = await fetchPiece(`${article.dataset.live}/live?since=${article.dataset.updated}`);
    const changed = piece.querySelector("article");
    if (changed && !article.querySelector(":is(input, textarea):focus")) {
      keepOpen(article, changed);
      keepTyped(article, changed);
      article.replaceWith(changed);
      reveal(changed);
      localise(changed);
      document.title = `${changed.querySelector("h1").textContent.trim()} · execution-history`;
      next = PAUSE;
    }
  } catch {
    next = LONGEST_PAUSE;
  }
  setTimeout(follow, next, next);
}

/** Folds and unfolds in `changed` what the reader has folded and unfolded. */
function keepOpen(article, changed) {
  const before = [...article.querySelectorAll("details")];
  for (const [number, details] of [...changed.querySelectorAll("details")].entries()) {
    const at = details.dataset.at;
    const old = at === undefined ? before[number] : before.find((each) => each.dataset.at === at);
    if (old) details.open = old.open;
  }
}

/** Keeps in `changed` what the reader has typed and not sent yet. */
function keepTyped(article, changed) {
  for (const field of article.querySelectorAll("textarea, input[type=text], input:not([type])")) {
    if (field.value === field.defaultValue) continue;
    const same = changed.querySelector(`[name="${CSS.escape(field.name)}"]`);
    if (same) same.value = field.value;
  }
}
