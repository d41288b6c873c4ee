// Pages that are shown anew as a whole when something happens: the overview, and the charts and nodes of a workflow.
import { reveal } from "./copying.js";
import { follow } from "./feed.js";
import { keepOpen } from "./folds.js";
import { current } from "./keys.js";
import { localise } from "./times.js";
import { fetchPiece } from "./words.js";

const PAUSE = 5000;
const UNSEEN_PAUSE = 30000;

let isPressed = false;
let shown;

export function startRenewal() {
  const main = document.querySelector("main[data-follows]");
  if (!main) return;
  addEventListener("pointerdown", () => (isPressed = true), true);
  // A click follows its pointerup at once, and needs the element that was pressed.
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(() => (isPressed = false)), true);
  const workflow = main.dataset.follows;
  follow((event) => !workflow || event.workflow_id === workflow, refresh, PAUSE, PAUSE);
  // A tab in the background follows nothing, but its title tells how many runs have failed.
  if (!workflow) setInterval(() => document.hidden && fetchPiece(location.href).then(retitle, () => {}), UNSEEN_PAUSE);
}

function retitle(page) {
  document.title = page.querySelector("title").textContent;
}

async function refresh() {
  if (isBusy()) return undefined;
  const before = document.querySelector("main").textContent;
  if (!(await showWholePage())) return undefined;
  const main = document.querySelector("main");
  // A kept answer lacks what has happened since; the page that is read next has it.
  return "behind" in main.dataset ? undefined : main.textContent !== before;
}

/** Whether the reader presses or types something there, has typed or selected it, or points at a chart: then it stays. */
export function isBusy() {
  const main = document.querySelector("main");
  const selection = getSelection();
  const fields = [...main.querySelectorAll("input:not([type=checkbox], [type=hidden]), textarea, select")];
  return (
    isPressed ||
    fields.some((each) => each === document.activeElement || (!each.options && each.value !== each.defaultValue)) ||
    (!selection.isCollapsed && main.contains(selection.anchorNode)) ||
    main.querySelector(".chart .readout:not([hidden])") !== null
  );
}

/** Shows the page as it is now, with what was unfolded and focused; returns whether it could, as nobody was busy there. */
export async function showWholePage() {
  const page = await fetchPiece(location.href);
  const changed = page.querySelector("main");
  if (isBusy()) return false;
  retitle(page);
  const main = document.querySelector("main");
  main.toggleAttribute("data-behind", "behind" in changed.dataset);
  const answer = changed.innerHTML;
  if (answer === shown) return true;
  shown = answer;
  const focused = main.contains(document.activeElement) && document.activeElement.getAttribute("href");
  const row = current()?.dataset.row;
  keepOpen(main, changed);
  reveal(changed);
  localise(changed);
  main.replaceChildren(...changed.childNodes);
  if (row) main.querySelector(`tr[data-row="${CSS.escape(row)}"]`)?.classList.add("current");
  document.dispatchEvent(new Event("renewed"));
  if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  return true;
}
