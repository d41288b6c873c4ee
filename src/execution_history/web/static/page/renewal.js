// Pages that are shown anew as a whole when something happens: the overview, and the charts of a workflow.
import { reveal } from "./copying.js";
import { follow } from "./feed.js";
import { current } from "./keys.js";
import { localise } from "./times.js";
import { fetchPiece } from "./words.js";

const PAUSE = 3000;

export function startRenewal() {
  const main = document.querySelector("main[data-follows]");
  if (!main) return;
  const workflow = main.dataset.follows;
  follow((event) => !workflow || event.workflow_id === workflow, refresh, PAUSE);
}

async function refresh() {
  if (isBusy()) return undefined;
  const before = document.querySelector("main").textContent;
  await showWholePage();
  return document.querySelector("main").textContent !== before;
}

/** Whether the reader types something there, or has selected it: then it stays as it is. */
export function isBusy() {
  const main = document.querySelector("main");
  const selection = getSelection();
  return (
    document.activeElement.closest("main :is(input:not([type=checkbox]), textarea, select)") !== null ||
    (!selection.isCollapsed && main.contains(selection.anchorNode))
  );
}

/** Shows the page as it is now, with what was unfolded and focused. */
export async function showWholePage() {
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
