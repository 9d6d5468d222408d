/* Short messages in the corner. The server sends them in the HX-Trigger header as
 * {"berth:toast": {level, text, fix, why}}; refusals stay until they are closed. */

import { icon, pageData } from "./texts.js";

const icons = { good: "circle-check", info: "info-circle", warn: "alert-triangle", bad: "circle-x" };
const lifetime = 6000;
const texts = pageData("texts");

/** A block that unfolds to the lines of why something was refused. */
function unfolding(why) {
  const details = document.createElement("details");
  details.className = "why";
  const summary = document.createElement("summary");
  summary.textContent = texts.why || "?";
  const list = document.createElement("ul");
  for (const line of why) {
    const item = document.createElement("li");
    item.textContent = line;
    list.append(item);
  }
  details.append(summary, list);
  return details;
}

/** Show a message. level: good, info, warn or bad; `fix` says what would help, `why` what was looked at. */
export function toast({ level = "info", text, fix = "", why = [] }) {
  const region = document.getElementById("toasts");
  if (!region || !text) return;
  const note = document.createElement("div");
  note.className = `toast-note ${level}`;
  const body = document.createElement("div");
  body.className = "grow";
  for (const [line, quiet] of [[text, false], [fix, true]]) {
    if (!line) continue;
    const paragraph = document.createElement("p");
    paragraph.textContent = line;
    if (quiet) paragraph.className = "quiet";
    body.append(paragraph);
  }
  if (why.length) body.append(unfolding(why));
  const close = document.createElement("button");
  close.type = "button";
  close.className = "icon-button";
  close.setAttribute("aria-label", texts.close || "×");
  close.append(icon("x"));
  close.addEventListener("click", () => note.remove());
  note.append(icon(icons[level] || icons.info), body, close);
  region.append(note);
  if (level === "good" || level === "info") setTimeout(() => note.remove(), lifetime);
}

document.addEventListener("berth:toast", (event) => toast(event.detail));

// A request that never reached the server has no message of its own.
document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx?.live) return;
  toast({ level: "bad", text: texts.unreachable, fix: texts.unreachableFix });
});
