/* Short messages in the corner. The server sends them in the HX-Trigger header as
 * {"berth:toast": {level, text, fix}}; refusals stay until they are closed. */

import { icon, pageData } from "./texts.js";

const icons = { good: "circle-check", info: "info-circle", warn: "alert-triangle", bad: "circle-x" };
const lifetime = 6000;
const texts = pageData("texts");

/** Show a message. level: good, info, warn or bad; `fix` says what would help. */
export function toast({ level = "info", text, fix = "" }) {
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
