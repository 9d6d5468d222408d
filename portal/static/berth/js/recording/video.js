/* A video is made while it is sent: how far it is, and a button that ends it.
 *
 * What is there so far lies in blobs, which browsers keep on the disk when they are large. Who has no script downloads by
 * the link alone. */

import { fill } from "../texts.js";

const cluster = [0x1f, 0x43, 0xb6, 0x75]; // begins a stretch of a WebM file …
const clock = 0xe7; // … which says at what time of the video it begins
const longest = 4 + 8 + 2 + 8; // bytes from the one to the end of the other
const batch = 4 * 1024 * 1024; // bytes that become one blob
const kept = 60000; // ms that the browser has to take the file

/** The time (ms) of the last stretch that begins in these bytes; -1 when none does. */
export function timeIn(bytes) {
  for (let at = bytes.lastIndexOf(cluster[0]); at >= 0; at = at ? bytes.lastIndexOf(cluster[0], at - 1) : -1) {
    if (!cluster.every((byte, place) => bytes[at + place] === byte)) continue;
    const place = at + 4 + Math.clz32(bytes[at + 4]) - 23; // after the size, whose first byte tells how long it is
    const count = bytes[place + 1] & 0x7f;
    if (bytes[place] !== clock || count > 8 || place + 2 + count > bytes.length) continue;
    return bytes.subarray(place + 2, place + 2 + count).reduce((time, byte) => time * 256 + byte, 0);
  }
  return -1;
}

/** `length` of the recording in ms. */
export function offerVideo(link, panel, length, texts) {
  const [says, bar, cancel] = ["video-says", "video-bar", "video-cancel"].map((name) => panel.querySelector(`[data-${name}]`));
  let stop = null;

  const tell = (text, share) => {
    says.textContent = text;
    if (share === undefined) bar.removeAttribute("value");
    else bar.value = share;
  };

  function save(parts, answer) {
    const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") || "")?.[1] ?? "recording.webm";
    const made = document.createElement("a");
    made.href = URL.createObjectURL(new Blob(parts, { type: answer.headers.get("content-type") }));
    made.download = name;
    made.click();
    setTimeout(() => URL.revokeObjectURL(made.href), kept);
  }

  async function take(answer) {
    const parts = [];
    let waiting = [];
    let size = 0;
    let taken = 0;
    let time = 0;
    let tail = new Uint8Array();
    for (const reader = answer.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done || size > batch) {
        parts.push(new Blob(waiting));
        waiting = [];
        size = 0;
      }
      if (done) return parts;
      waiting.push(value);
      size += value.length;
      taken += value.length;
      const seen = new Uint8Array(tail.length + value.length);
      seen.set(tail);
      seen.set(value, tail.length);
      time = Math.max(time, timeIn(seen));
      tail = seen.slice(-longest);
      const share = Math.min(99, Math.round((100 * time) / Math.max(1, length)));
      tell(fill(texts.making, { share, size: (taken / 1048576).toFixed(1) }), share);
    }
  }

  link.addEventListener("click", async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (stop) return;
    stop = new AbortController();
    link.setAttribute("aria-disabled", "true");
    panel.hidden = cancel.hidden = bar.hidden = false;
    tell(texts.reading);
    let over = texts.made;
    try {
      const answer = await fetch(link.href, { credentials: "same-origin", signal: stop.signal });
      if (!answer.ok || !(answer.headers.get("content-type") || "").startsWith("video/")) {
        location.assign(link.href); // the server says why not
        return;
      }
      save(await take(answer), answer);
    } catch {
      over = stop.signal.aborted ? texts.cancelled : texts.brokenOff;
    }
    stop = null;
    link.removeAttribute("aria-disabled");
    cancel.hidden = bar.hidden = true;
    tell(over, 100);
  });
  cancel.addEventListener("click", () => {
    stop?.abort();
    link.focus();
  });
}
