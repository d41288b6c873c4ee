// The workflow switcher: a dialog in which one types a part of an id.
import { fetchPiece, tell, words } from "./words.js";

export function startSwitcher() {
  const link = document.querySelector("[data-switcher]");
  const dialog = document.querySelector("#switch");
  if (!link || !dialog) return;
  const field = dialog.querySelector("input");
  const found = dialog.querySelector(".found");
  let asked = 0;

  async function refresh() {
    const number = ++asked;
    try {
      const piece = await fetchPiece(`${link.dataset.switcher}?q=${encodeURIComponent(field.value)}`);
      if (number === asked) found.replaceChildren(piece);
    } catch {
      tell(words.notLoaded);
    }
  }

  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    field.value = "";
    dialog.showModal();
    refresh();
  });
  field.addEventListener("input", refresh);
  dialog.addEventListener("keydown", (event) => {
    const links = [...found.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Enter" && document.activeElement === field && links[0]) links[0].click();
    else if (event.key === "ArrowDown" && links[at + 1]) links[at + 1].focus();
    else if (event.key === "ArrowUp") (links[at - 1] ?? field).focus();
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
