// The values of a chart's bucket, in the place of those of the whole time: while one points at it, after a tap, and by
// the arrow keys. Without this script they are the titles of the buckets, and stand in the table.

const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

export function startCharts() {
  document.addEventListener("pointerover", (event) => show(spotAt(event)));
  document.addEventListener("pointerdown", (event) => show(spotAt(event)));
  document.addEventListener("pointerout", (event) => {
    const field = event.target.closest?.(".chart .field");
    if (field && event.pointerType === "mouse" && !field.contains(event.relatedTarget)) clear(field);
  });
  document.addEventListener("focusout", (event) => clear(event.target.closest?.(".chart .field")));
  document.addEventListener("keydown", walk);
}

function spotAt(event) {
  return event.target.closest?.(".chart .spot");
}

function show(spot) {
  if (!spot) return;
  const figure = spot.closest(".chart");
  const title = spot.querySelector("title");
  if (title) {
    spot.dataset.said = title.textContent;
    title.remove();
  }
  figure.querySelector(".spot.on")?.classList.remove("on");
  spot.classList.add("on");
  const readout = figure.querySelector(".readout");
  readout.textContent = spot.dataset.said;
  readout.hidden = false;
  figure.querySelector(".values").hidden = true;
}

function clear(field) {
  const figure = field?.closest(".chart");
  if (!figure) return;
  figure.querySelector(".spot.on")?.classList.remove("on");
  figure.querySelector(".readout").hidden = true;
  figure.querySelector(".values").hidden = false;
}

function walk(event) {
  const field = event.target.closest?.(".chart .field");
  if (!field || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") clear(field);
  const step = STEPS[event.key];
  if (step === undefined) return;
  const spots = [...field.querySelectorAll(".spot")];
  const at = spots.findIndex((each) => each.classList.contains("on"));
  const from = at >= 0 ? at : step < 0 ? spots.length : -1;
  show(spots[Math.min(spots.length - 1, Math.max(0, from + step))]);
  event.preventDefault();
}
