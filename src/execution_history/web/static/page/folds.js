// What the reader has folded and unfolded, kept while the page around it changes.
function nameOf(details) {
  // The rest of a long text has no name, but the value that it is the rest of.
  return details.matches(".long") ? `long ${details.closest("[data-at]")?.dataset.at}` : (details.dataset.at ?? details.id);
}

/** Folds and unfolds in `changed` what is folded and unfolded in `old`; each is known by its name, not by its place. */
export function keepOpen(old, changed) {
  const before = new Map([...old.querySelectorAll("details")].map((each) => [nameOf(each), each.open]));
  before.delete("");
  for (const details of changed.querySelectorAll("details")) details.open = before.get(nameOf(details)) ?? details.open;
}
