// What a list tells beside its runs when it is asked: numbers of its tabs, facets with counts; and menus.
import { fetchPiece } from "./words.js";

export function startFacets() {
  count();
  document.addEventListener("shown", count);
  document.addEventListener("toggle", opened, true);
  document.addEventListener("click", clicked);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && close()) event.preventDefault();
  });
}

/** Fills in the numbers of the tabs that the server did not have at hand. */
async function count() {
  const tabs = document.querySelector("[data-tabs]");
  if (!tabs) return;
  try {
    const piece = await fetchPiece(tabs.dataset.tabs);
    if (!tabs.isConnected) return;
    // The headline and the tab of the list are one number, counted better here than where the first page was found.
    const total = piece.querySelector("[data-count]")?.innerHTML;
    const headline = document.querySelector("[data-list] .count");
    if (total && headline) headline.innerHTML = total;
    tabs.replaceWith(piece);
  } catch {
    // Tabs without numbers lead to the same lists.
  }
}

async function opened(event) {
  if (!event.target.open) return;
  for (const other of document.querySelectorAll("details.menu[open]")) {
    if (other !== event.target && !other.contains(event.target)) other.open = false;
  }
  const line = event.target.querySelector?.("[data-facets]");
  if (!line) return;
  try {
    line.replaceWith(await fetchPiece(line.dataset.facets));
  } catch {
    // The link in its place leads to a page with the same values.
  }
}

/** Opens a menu of the top bar below its link; a click elsewhere closes whatever is open. */
async function clicked(event) {
  const link = event.target.closest("a[data-menu]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) {
    if (!event.target.closest(".panel")) close(event.target.closest("details.menu"));
    return;
  }
  event.preventDefault();
  if (close()) return;
  try {
    const piece = await fetchPiece(link.dataset.menu);
    const panel = document.createElement("div");
    panel.className = "panel from-bar";
    panel.append(piece);
    link.after(panel);
    link.setAttribute("aria-expanded", "true");
    panel.style.left = `${link.offsetLeft}px`;
    panel.querySelector("a")?.focus({ preventScroll: true });
  } catch {
    location.href = link.href;
  }
}

/** Closes all menus but one; returns whether the one of the top bar was open. */
function close(but) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== but) menu.open = false;
  const panel = document.querySelector(".panel.from-bar");
  if (!panel) return false;
  const link = panel.previousElementSibling;
  link.removeAttribute("aria-expanded");
  if (panel.contains(document.activeElement)) link.focus({ preventScroll: true });
  panel.remove();
  return true;
}
