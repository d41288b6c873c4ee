// Buttons that copy; without scripts they are not shown.
import { tell, words } from "./words.js";

export function startCopying() {
  reveal(document);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button.dataset.copy);
  });
}

/** Shows the copy buttons below `place`. */
export function reveal(place) {
  for (const button of place.querySelectorAll("button.copy")) button.hidden = false;
}

/** Puts a text, or what a promise of one brings, on the clipboard and says so. */
export async function copy(text) {
  try {
    if (navigator.clipboard?.write && window.ClipboardItem) {
      // A promise of the content keeps the permission that the click gave while the content is fetched.
      const content = Promise.resolve(text).then((found) => new Blob([found], { type: "text/plain" }));
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": content })]);
    } else {
      copyByHand(await text);
    }
    tell(words.copied);
  } catch {
    tell(words.copyFailed);
  }
}

function copyByHand(text) {
  // Browsers keep the clipboard from pages that are served without TLS from elsewhere than this machine.
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("not allowed");
}
