// Times in the reader's zone: now by the browser, from the next page on by the server, which learns the zone.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function startTimes() {
  if (!zone) return;
  const known = document.cookie.split("; ").includes(`zone=${zone}`);
  document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;
  if (!known) localise(document);
}

/** Writes the exact times below `place` in the reader's zone, as the server does when it knows it. */
export function localise(place) {
  for (const time of place.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.title = exact(moment);
    if (time.dataset.exact !== undefined) time.textContent = time.title;
    if (time.dataset.clock !== undefined) time.textContent = time.title.slice(0, 19);
  }
}

function exact(moment) {
  const two = (number) => String(Math.abs(number)).padStart(2, "0");
  const minutes = -moment.getTimezoneOffset();
  const offset = `${minutes < 0 ? "-" : "+"}${two(Math.trunc(minutes / 60))}:${two(minutes % 60)}`;
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  const clock = `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
  return `${day} ${clock}.${String(moment.getMilliseconds()).padStart(3, "0")} ${offset}`;
}
