// Changes of many runs: everything on the page at one click, and how far a change has come.
import { showAgain } from "./list.js";
import { fetchPiece } from "./words.js";

const PAUSE = 1000;

export function startBulk() {
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-every]")) {
      for (const box of boxes()) box.checked = event.target.checked;
    }
    if (event.target.matches("[data-every], input[name=run]")) tell();
  });
  document.addEventListener("shown", tell);
  tell();
  setInterval(look, PAUSE);
}

const boxes = () => [...document.querySelectorAll("tr[data-row] input[name=run]")];

/** Shows in the head whether all, some or none are selected; whoever unticks one run does not mean all that match. */
function tell() {
  const chosen = boxes().filter((box) => box.checked).length;
  const head = document.querySelector("[data-every]");
  if (head) {
    head.checked = chosen > 0 && chosen === boxes().length;
    head.indeterminate = chosen > 0 && !head.checked;
  }
  const count = document.querySelector("[data-chosen]");
  if (count) {
    count.textContent = count.dataset.chosen.replace("#", chosen);
    const compare = document.querySelector("[data-most]");
    compare.disabled = chosen > Number(compare.dataset.most);
    document.querySelector(".unable").hidden = !compare.disabled;
  }
  const every = document.querySelector(".act input[name=all]");
  if (every && !head?.checked) every.checked = false;
}

let isLooking = false;

async function look() {
  const line = document.querySelector("[data-change]");
  if (!line || isLooking || document.hidden) return;
  isLooking = true;
  try {
    const piece = await fetchPiece(line.dataset.change);
    const changed = piece.querySelector(".change");
    if (changed && line.isConnected) line.replaceWith(changed);
    if (!changed?.dataset.change) {
      const address = new URL(location.href);
      address.searchParams.set("change", new URL(line.dataset.change, location.href).searchParams.get("change"));
      history.replaceState(null, "", address);
      if (document.querySelector("[data-list]")) await showAgain();
      else location.reload();
    }
  } catch {
    // The server may be away; the next look tells.
  } finally {
    isLooking = false;
  }
}
