// Lists: on a wide screen a run opens beside its list, and new runs are told without moving what one reads.
import { reveal } from "./copying.js";
import { follow } from "./feed.js";
import { current } from "./keys.js";
import { localise } from "./times.js";
import { fetchPiece } from "./words.js";

const WIDE = window.matchMedia("(min-width: 1200px)");
const PAUSE = 3000;
const MOST_ROWS = 20;

export function startList() {
  if (!document.querySelector("[data-list]")) return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-list] tr[data-row] a[data-open]");
    if (!link || !WIDE.matches || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(beside(link.closest("tr").dataset.row));
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-escape]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(link.href);
  });
  document.addEventListener("walked", (event) => {
    // Where a run is open already, j and k walk from one open run to the next.
    if (WIDE.matches && document.querySelector(".open-run")) open(beside(event.target.dataset.row), true);
  });
  window.addEventListener("popstate", () => show(location.href));
  current()?.scrollIntoView({ block: "nearest" });
  follow(isListed, refresh, PAUSE);
}

function beside(row) {
  const address = new URL(location.href);
  address.searchParams.set("open", row);
  return address.href;
}

async function open(address, replace = false) {
  if (await show(address)) history[replace ? "replaceState" : "pushState"](null, "", address);
}

/** Shows the list anew, with what has come in since; returns whether there is a list, and it is shown. */
export async function showAgain() {
  return document.querySelector("[data-list]") !== null && show(location.href);
}

let asked = 0;

/** Shows the list as it is at `address`, keeping what is scrolled and selected. */
async function show(address) {
  const number = ++asked;
  try {
    const page = await fetchPiece(address);
    const changed = page.querySelector("[data-list]");
    if (number !== asked || !changed) return false;
    const old = document.querySelector("[data-list]");
    for (const box of old.querySelectorAll("input[name=run]:checked")) {
      const same = changed.querySelector(`input[name=run][value="${CSS.escape(box.value)}"]`);
      if (same) same.checked = true;
    }
    const row = current()?.dataset.row;
    old.replaceWith(changed);
    reveal(changed);
    localise(changed);
    if (!current() && row) changed.querySelector(`tr[data-row="${CSS.escape(row)}"]`)?.classList.add("current");
    current()?.querySelector("a[data-open]")?.focus({ preventScroll: true });
    changed.querySelector(".open-run")?.scrollTo(0, 0);
    document.dispatchEvent(new CustomEvent("shown"));
    return true;
  } catch {
    location.href = address;
    return false;
  }
}

/** The runs on this list that events have told of since the server was asked. */
const told = new Set();

function isListed(event) {
  const list = document.querySelector("[data-list]");
  // A whole workflow that is deleted has no execution; what is read of it stays where it is.
  if (event.kind !== "put" || (list.dataset.workflow && list.dataset.workflow !== event.workflow_id)) return false;
  told.add(`${event.workflow_id}\n${event.execute_id}`);
  return true;
}

/** Asks what is new, tells it in one line, and brings runs that have changed up to date in their place. */
async function refresh() {
  const line = document.querySelector("[data-news]");
  if (!line) return false;
  const query = new URLSearchParams(line.dataset.query);
  if (line.dataset.newest) query.set("newest", line.dataset.newest);
  const rows = changedRows();
  query.set("rows", rows.slice(0, MOST_ROWS).join(" "));
  const heard = [...told];
  told.clear();
  let piece;
  try {
    // The server applies the filters: what does not match the view is neither counted nor shown.
    piece = await fetchPiece(`${line.dataset.news}?${query}`);
  } catch (error) {
    for (const each of heard) told.add(each);
    throw error;
  }
  if (!line.isConnected) return true;
  const link = piece.querySelector(".news-link");
  const isNew = link !== null && link.textContent !== line.textContent.trim();
  if (isNew && !document.querySelector("tr[data-row]")) return show(location.href);
  if (isNew) line.replaceChildren(link);
  for (const row of piece.querySelectorAll("tr[data-row]")) renew(row);
  return isNew || rows.length > 0;
}

/** The rows to ask for: those that were told of, or all that may have gone on unseen. */
function changedRows() {
  const rows = [...document.querySelectorAll("tr[data-row]")];
  const isMeant = told.size
    ? (row) => told.has(row.dataset.row.split("/").map(decodeURIComponent).join("\n"))
    : (row) => row.dataset.status === "running";
  return rows.filter(isMeant).map((row) => row.dataset.row);
}

function renew(row) {
  const old = document.querySelector(`tr[data-row="${CSS.escape(row.dataset.row)}"]`);
  if (!old) return;
  row.classList.toggle("current", old.classList.contains("current"));
  row.querySelector("input").checked = old.querySelector("input").checked;
  const focused = old.contains(document.activeElement) ? document.activeElement.tagName : null;
  localise(row);
  old.replaceWith(row);
  if (focused) row.querySelector(focused)?.focus({ preventScroll: true });
}
