// The few words that scripts say; the server has put them into the page in the reader's language.
export const words = document.documentElement.dataset;

let hiding;

/** Shows a short message for a while; readers of the screen hear it. */
export function tell(message) {
  const toast = document.querySelector(".toast");
  toast.textContent = message;
  toast.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { toast.hidden = true; }, 2500);
}

/** A piece of a page as a fragment of the document; the server escapes what comes from runs. */
export async function fetchPiece(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  // The session has ended: the page leads to where one signs in, and from there back.
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") location.reload();
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  const piece = document.createElement("template");
  piece.innerHTML = await answer.text();
  return piece.content;
}
