// Rows: a click anywhere in one that hits nothing of its own opens what the row is about, as its link does.
const OWN = "a, button, input, label, select, textarea, summary";

export function startRows() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("tr[data-row]")?.querySelector("a[data-open]");
    if (!link || event.button || event.defaultPrevented || event.target.closest(OWN) || !getSelection().isCollapsed) return;
    const { ctrlKey, metaKey, shiftKey } = event;
    link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey, metaKey, shiftKey }));
  });
}
