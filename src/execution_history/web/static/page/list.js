// Lists: on a wide screen a run opens beside its list, and new runs are told without moving what one reads.
import { reveal } from "./copying.js";
import { current } from "./keys.js";
import { localise } from "./times.js";
import { fetchPiece } from "./words.js";

const WIDE = window.matchMedia("(min-width: 1200px)");
const PAUSE = 3000;

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
  setTimeout(watch, PAUSE);
}

function beside(row) {
  const address = new URL(location.href);
  address.searchParams.set("open", row);
  return address.href;
}

async function open(address, replace = false) {
  if (await show(address)) history[replace ? "replaceState" : "pushState"](null, "", address);
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
    return true;
  } catch {
    location.href = address;
    return false;
  }
}

/** Asks now and then what is new, tells it in one line, and brings runs that went on up to date in their place. */
async function watch() {
  const line = document.querySelector("[data-news]");
  if (line?.dataset.newest && !document.hidden) {
    const rows = [...document.querySelectorAll("tr[data-status=running]")].map((row) => row.dataset.row);
    const query = new URLSearchParams(line.dataset.query);
    query.set("newest", line.dataset.newest);
    query.set("rows", rows.slice(0, 20).join(" "));
    try {
      const piece = await fetchPiece(`${line.dataset.news}?${query}`);
      const link = piece.querySelector(".news-link");
      if (link?.textContent !== line.textContent.trim()) line.replaceChildren(...(link ? [link] : []));
      for (const row of piece.querySelectorAll("tr[data-row]")) {
        const old = document.querySelector(`tr[data-row="${CSS.escape(row.dataset.row)}"]`);
        if (!old || old.contains(document.activeElement)) continue;
        row.className = `${row.className}${old.classList.contains("current") ? " current" : ""}`;
        row.querySelector("input").checked = old.querySelector("input").checked;
        localise(row);
        old.replaceWith(row);
      }
    } catch {
      // The server is away for a moment: the next time tells.
    }
  }
  setTimeout(watch, PAUSE);
}
