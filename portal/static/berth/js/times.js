/* Keeps "2 minutes ago" true: <time data-ago datetime=…> counts in the page's language, without a request. */

const language = document.documentElement.lang || "en";
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const units = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

function write(element) {
  const moment = new Date(element.dateTime);
  const age = (moment - Date.now()) / 1000;
  const [unit, size] = units.find(([, seconds]) => Math.abs(age) >= seconds) || units.at(-1);
  const text = relative.format(Math.round(age / size), unit);
  if (element.textContent !== text) element.textContent = text;
  if (!element.title) element.title = exact.format(moment);
}

function writeAll() {
  document.querySelectorAll("time[data-ago]").forEach(write);
}

writeAll();
setInterval(writeAll, 1000);
document.addEventListener("htmx:after:swap", writeAll);
