// JSON trees: branches that are fetched when they are opened, tools to copy, keys to walk.
import { copy } from "./copying.js";
import { fetchPiece, tell, words } from "./words.js";

const ROW = ".leaf, .branch > summary";
let tools;

export function startTrees() {
  document.addEventListener("toggle", (event) => {
    const branch = event.target;
    if (branch.open && branch.dataset?.lazy !== undefined) fill(branch);
  }, true);
  document.addEventListener("click", (event) => {
    const more = event.target.closest("a[data-more]");
    if (more && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      extend(more);
    }
  });
  for (const tree of document.querySelectorAll("[data-json]")) tree.querySelector(ROW)?.setAttribute("tabindex", "0");
  for (const kind of ["mouseover", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const row = event.target.closest?.(ROW);
      if (row?.closest(".json")) showTools(row);
    });
  }
  document.addEventListener("keydown", walk);
}

async function fill(branch) {
  delete branch.dataset.lazy;
  const link = branch.querySelector(":scope > a.more");
  try {
    const piece = await fetchPiece(`${link.getAttribute("href")}&fragment=1`);
    link.replaceWith(piece);
  } catch {
    branch.dataset.lazy = "";
    tell(words.notLoaded);
  }
}

async function extend(link) {
  try {
    link.replaceWith(await fetchPiece(`${link.getAttribute("href")}&fragment=1`));
  } catch {
    tell(words.notLoaded);
  }
}

function showTools(row) {
  const place = row.closest("[data-at]");
  if (!place) return;
  tools ??= makeTools();
  tools.at = place.dataset.at;
  tools.path = place.dataset.path;
  if (tools.parentElement !== row) row.append(tools);
}

function makeTools() {
  const box = document.createElement("span");
  box.className = "tools";
  const run = document.querySelector("[data-run]")?.dataset.run ?? location.pathname.replace(/\/value$/, "");
  const add = (label, content) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", (event) => {
      event.preventDefault();
      event.stopPropagation();
      copy(content());
    });
    box.append(button);
  };
  // The value as it is stored: what is shown may be cut, and has its control characters made visible.
  add(words.copyValue, () => fetch(`${run}/raw?at=${encodeURIComponent(box.at)}`).then((answer) => answer.text()));
  add(words.copyPath, () => box.path);
  return box;
}

function walk(event) {
  const row = document.activeElement?.closest?.(ROW);
  if (!row || document.activeElement !== row || event.ctrlKey || event.metaKey || event.altKey) return;
  const tree = row.closest(".json");
  if (!tree) return;
  const rows = [...tree.querySelectorAll(ROW)].filter((each) => each.checkVisibility());
  const at = rows.indexOf(row);
  const branch = row.matches("summary") ? row.parentElement : null;
  let next;
  if (event.key === "ArrowDown") next = rows[at + 1];
  else if (event.key === "ArrowUp") next = rows[at - 1];
  else if (event.key === "ArrowRight" && branch && !branch.open) branch.open = true;
  else if (event.key === "ArrowLeft" && branch?.open) branch.open = false;
  else if (event.key === "ArrowLeft") next = row.parentElement.closest(".branch:not(:has(> summary:focus))")?.querySelector(":scope > summary");
  else return;
  event.preventDefault();
  if (next) {
    row.removeAttribute("tabindex");
    next.setAttribute("tabindex", "0");
    next.focus();
  }
}
