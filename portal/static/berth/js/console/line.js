/* How good the line to Berth is, in words; and a picture of the screen as a file. */

import { fill } from "../texts.js";

const usual = 10000; // ms between two measurements
const patience = 5000;
const good = 150; // ms there and back
const slow = 400;

/** Tell how long Berth takes to answer, in the places marked for it; asked only while a screen is open and looked at. */
export function tellLine(texts, address, screen) {
  const measure = async () => {
    if (document.hidden || !screen()) return;
    const began = performance.now();
    let word = "bad";
    let took = patience;
    try {
      await fetch(address, { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(patience) });
      took = Math.round(performance.now() - began);
      if (took < good) word = "good";
      else if (took < slow) word = "slow";
    } catch {
      // no answer is a bad line
    }
    document.body.dataset.line = word;
    for (const place of document.querySelectorAll("[data-line-word]")) place.textContent = texts.lineWords[word];
    for (const place of document.querySelectorAll("[data-line-told]")) {
      place.textContent = fill(texts.lineTold[word], { ms: took });
    }
  };
  setInterval(measure, usual);
  return measure;
}

/** Save what the screen shows, named by machine and time. */
export function savePicture(screen, name) {
  const canvas = document.querySelector("#stage canvas");
  if (!screen || !canvas) return;
  canvas.toBlob((blob) => {
    const now = new Date();
    const local = new Date(now - now.getTimezoneOffset() * 60000).toISOString().slice(0, 19).replaceAll(":", "-");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name.replace(/[^\p{L}\p{N}_-]+/gu, "-")}-${local}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  screen.focus();
}
