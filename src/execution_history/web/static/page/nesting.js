// Runs within a run of a list: fetched and shown under it when they are asked for.
import { localise } from "./times.js";
import { fetchPiece, tell, words } from "./words.js";

const STEP = 24;
const DEEPEST = 8;

export function startNesting() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-within]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.getAttribute("aria-expanded") === "true") fold(link);
    else unfold(link);
  });
}

/** Puts a row into the runs around it, named as in `data-row`, the outermost first. */
export function nest(row, around) {
  const depth = Math.min(DEEPEST, around.trim().split(" ").length);
  row.dataset.inside = around;
  row.querySelector("td:nth-child(2)")?.style.setProperty("padding-left", `${depth * STEP}px`);
}

async function unfold(link) {
  const row = link.closest("tr");
  let piece;
  try {
    piece = await fetchPiece(link.dataset.within);
  } catch {
    tell(words.notLoaded);
    return;
  }
  if (!row.isConnected || link.getAttribute("aria-expanded") === "true") return;
  const around = `${row.dataset.inside ?? ""} ${row.dataset.row}`;
  const rows = [...piece.querySelectorAll("tr")];
  for (const each of rows) {
    nest(each, around);
    // A run that stands on the page already must not be there twice: its box would be sent twice.
    if (each.dataset.row && document.querySelector(`tr[data-row="${CSS.escape(each.dataset.row)}"]`)) each.remove();
  }
  const kept = rows.filter((each) => each.closest("table"));
  for (const each of kept) localise(each);
  row.after(...kept);
  link.setAttribute("aria-expanded", "true");
}

function fold(link) {
  const row = link.closest("tr");
  const inside = `${row.dataset.inside ?? ""} ${row.dataset.row}`;
  for (const each of document.querySelectorAll("tr[data-inside]")) {
    if (each.dataset.inside === inside || each.dataset.inside.startsWith(`${inside} `)) each.remove();
  }
  link.setAttribute("aria-expanded", "false");
}
