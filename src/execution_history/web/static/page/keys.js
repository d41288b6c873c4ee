// Keys: / searches, w switches, j and k walk the list, Enter opens, x selects, Escape closes, ? shows them all.
const EDITABLE = "input, textarea, select, [contenteditable]";

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape") {
      leave(event);
    } else if (!event.target.closest(EDITABLE) && !document.querySelector("dialog[open]")) {
      const act = ACTIONS[event.key];
      if (act && act(event) !== false) event.preventDefault();
    }
  });
}

const ACTIONS = {
  // Whoever has not signed in has neither.
  "/": () => document.querySelector(".search input")?.select(),
  "?": () => document.querySelector("#keys")?.showModal(),
  w: () => document.querySelector("[data-switcher]")?.click(),
  j: () => step(1),
  k: () => step(-1),
  x: () => {
    const box = current()?.querySelector("input[type=checkbox]");
    if (!box) return false;
    box.click();
  },
  Enter: (event) => {
    if (event.target.closest("a, button, summary, .open-run")) return false;
    const link = current()?.querySelector("a[data-open]");
    if (!link) return false;
    link.click();
  },
};

/** The row that the keys stand on. */
export function current() {
  return document.querySelector("tr.current");
}

function step(by) {
  const rows = [...document.querySelectorAll("tr[data-row]")];
  if (!rows.length) return false;
  const at = rows.indexOf(current());
  const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
  current()?.classList.remove("current");
  next.classList.add("current");
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("a[data-open]")?.focus({ preventScroll: true });
  next.dispatchEvent(new CustomEvent("walked", { bubbles: true }));
}

function leave(event) {
  if (document.querySelector("dialog[open]")) return;
  if (event.target.closest(EDITABLE)) {
    event.target.blur();
    return;
  }
  const back = document.querySelector("[data-escape]");
  if (back) {
    event.preventDefault();
    back.click();
  }
}
