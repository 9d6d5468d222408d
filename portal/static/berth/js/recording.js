/* The page of a recording: plays it at any speed, jumps in it, and tells what happened when. */

import { offerVideo } from "./recording/video.js";
import { fill, icon, pageData } from "./texts.js";

const data = pageData("recording-data");
const { texts } = data;
const one = (name) => document.querySelector(`[data-${name}]`);
const [stage, play, speed, bar, clock, says, marks] = ["stage", "play", "speed", "bar", "clock", "says", "marks"].map(one);
const step = 5000; // ms that an arrow key goes
const { Film, Tape } = data.kind === "serial"
  ? await import("./recording/line.js")
  : { ...(await import("./recording/film.js")), ...(await import("./recording/tape.js")) };
const tape = new Tape();
const film = new Film(stage, tape);
const told = new Set(); // times of clipboard marks

let playing = false;
let winding = false;
let wanted = 0; // the place the person chose, or that the clock has reached
let since = 0;

const length = () => Math.max(tape.length, tape.whole ? 0 : data.length);
const pad = (number) => String(number).padStart(2, "0");

function spoken(time) {
  const seconds = Math.floor(time / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${hours ? `${hours}:` : ""}${pad(minutes % 60)}:${pad(seconds % 60)}`;
}

function show() {
  const now = Math.min(wanted, length());
  bar.max = Math.max(1, length());
  bar.value = now;
  const place = fill(texts.place, { now: spoken(now), all: spoken(length()) });
  bar.setAttribute("aria-valuetext", place);
  clock.textContent = place;
  document.body.dataset.film = winding ? "winding" : playing ? "playing" : "still";
}

function say(text = "") {
  says.textContent = text;
}

function setPlaying(on) {
  playing = on;
  since = performance.now();
  play.querySelector("[data-label]").textContent = on ? texts.pause : texts.play;
  play.querySelector("svg").replaceWith(icon(on ? "player-pause" : "player-play"));
  if (on) {
    say();
    requestAnimationFrame(tick);
  }
  show();
}

async function tick(now) {
  if (!playing) return;
  if (!winding) {
    const loaded = tape.whole ? length() : tape.length;
    wanted = Math.min(loaded, wanted + Math.max(0, now - since) * Number(speed.value));
    since = now;
    await film.go(wanted);
    show();
    if (tape.whole && wanted >= length()) {
      setPlaying(false);
      say(texts.over);
    }
  }
  if (playing) requestAnimationFrame(tick);
}

/** Go to a place, forwards or back; the picture stays until the new one is there. */
async function jump(time) {
  wanted = Math.max(0, Math.min(time, length()));
  winding = true;
  say(texts.winding);
  show();
  const there = await film.go(wanted);
  if (!there) return; // another jump took over
  winding = false;
  since = performance.now();
  say();
  show();
}

play.addEventListener("click", async () => {
  if (!playing && tape.whole && wanted >= length()) await jump(0);
  setPlaying(!playing);
});
speed.addEventListener("change", () => {
  since = performance.now();
});
bar.addEventListener("input", () => jump(Number(bar.value)));
marks.addEventListener("click", (event) => {
  const mark = event.target.closest("[data-at]");
  if (mark) jump(Number(mark.dataset.at));
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select, dialog, .dropdown-menu")) return;
  const ways = { ArrowLeft: -step, ArrowRight: step };
  if (ways[event.key]) {
    event.preventDefault();
    jump(wanted + ways[event.key]);
  } else if (event.key === " " && !event.target.closest("button, a, summary")) {
    event.preventDefault();
    play.click();
  }
});

/** A mark in the list, at its place in time. The bar shows it too, for those who see it. */
function addMark(at, text) {
  const entry = marks.querySelector("template").content.cloneNode(true).firstElementChild;
  entry.querySelector("[data-at]").dataset.at = at;
  entry.querySelector("[data-time]").textContent = spoken(at);
  entry.querySelector("[data-what]").textContent = text;
  const later = [...marks.querySelectorAll("li")].find((other) => Number(other.querySelector("[data-at]").dataset.at) > at);
  marks.insertBefore(entry, later ?? null);
  one("no-marks").hidden = true;
  ticks();
}

function ticks() {
  const places = [...marks.querySelectorAll("[data-at]")].map((mark) => Number(mark.dataset.at) / Math.max(1, length()));
  one("ticks").replaceChildren(...places.map((place) => {
    const tickMark = document.createElement("i");
    tickMark.style.left = `${Math.min(100, 100 * place)}%`;
    return tickMark;
  }));
}

film.addEventListener("clipboard", ({ detail: { at } }) => {
  if (told.has(at)) return;
  told.add(at);
  addMark(at, texts.clipboard);
});
film.addEventListener("broken", () => {
  setPlaying(false);
  say(texts.unreadable);
});

async function load() {
  say(texts.loading);
  try {
    await tape.load(data.file, () => {
      show();
      if (wanted === 0 && !playing) film.go(0);
    });
    say(tape.length ? "" : texts.empty);
  } catch (error) {
    say(error.status ? texts.refused : texts.broken);
  }
  document.body.dataset.tape = tape.whole ? "whole" : "broken";
  tape.whole = true; // what came is all there will be
  ticks();
  show();
  play.disabled = !tape.pieces.length;
}

for (const mark of marks.querySelectorAll("[data-time]")) mark.textContent = spoken(Number(mark.dataset.time));
if (one("video")) offerVideo(one("video"), one("video-panel"), data.length, texts);
document.documentElement.dataset.recordingReady = "yes";
show();
load();
