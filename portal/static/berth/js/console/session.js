/* What the console page tells besides the picture: countdowns, questions, who looks on, links, messages.
 *
 * The server says what there is and what time it has; this counts between its answers. */

import { fill, icon } from "../texts.js";
import { toast } from "../toasts.js";

const usual = 15000; // ms between two questions without news
const often = 3000; // while somebody waits for an answer, or a count runs out
const settle = 100;

export function sessionStrip(data, { toldToEnd, helpAnswered }) {
  if (!data.stateUrl) return;
  const { texts } = data;
  const strip = document.getElementById("strip");
  const shareMenu = document.getElementById("share");
  let ahead = 0; // ms by which the server's clock is ahead of ours
  let counts = [];
  let timer;
  let asking = false;
  let again = false; // news came while a question was under way: its answer may be too old

  async function post(url, body = {}) {
    const answer = await fetch(url, {
      method: "POST",
      credentials: "same-origin",
      headers: { "X-CSRFToken": data.csrf, Accept: "application/json", "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) toast({ level: "bad", text: told.message || texts.unreachable, fix: told.fix });
    return answer.ok ? told : null;
  }

  function later(wait) {
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
  }

  async function ask() {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    clearTimeout(timer);
    let wait = usual;
    try {
      const answer = await fetch(data.stateUrl, {
        credentials: "same-origin",
        signal: AbortSignal.timeout(10000),
        headers: { Accept: "application/json" },
      });
      if (answer.ok) wait = show(await answer.json());
      else if (data.help && answer.status === 404) helpAnswered({ state: "ended", text: texts.refused });
    } catch {
      wait = often; // the line is down; the console itself tells so
    } finally {
      asking = false;
      later(again ? settle : wait);
      again = false;
    }
  }

  /** Returns how soon to ask again. */
  function show(state) {
    ahead = Date.parse(state.now) - Date.now();
    if (state.help) {
      helpAnswered(state.help);
      return state.help.state === "asked" ? often : usual;
    }
    if (state.ending) toldToEnd(state.ending);
    counts = state.countdowns;
    // Built anew only when it says something else: a button must not go while a finger is on it.
    const key = JSON.stringify([state.helps, state.guests, state.messages, state.countdowns]);
    if (strip.dataset.key !== key) {
      strip.dataset.key = key;
      strip.replaceChildren(
        ...state.helps.map(question),
        ...state.guests.map(guest),
        ...state.messages.map(message),
        ...state.countdowns.map(countdown),
      );
    }
    document.body.dataset.watched = state.guests.length ? "yes" : "no";
    const rules = document.querySelector("[data-rules]");
    if (rules) {
      rules.textContent = state.rules;
      rules.hidden = !state.rules;
    }
    links(state.shares);
    tick();
    return counts.some(({ at }) => left(at) < 60000) ? often : usual;
  }

  const left = (at) => Math.max(0, Date.parse(at) - Date.now() - ahead);

  function clock(ms) {
    const seconds = Math.ceil(ms / 1000);
    const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    if (!parts[0]) parts.shift();
    return parts.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
  }

  function note(tone, name, kind) {
    const line = document.createElement("div");
    line.className = `strip-note ${tone}`;
    line.dataset.kind = kind;
    const text = document.createElement("span");
    line.append(icon(name), text);
    return [line, text];
  }

  function button(label, act, primary = false) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = primary ? "btn btn-sm btn-primary" : "btn btn-sm";
    made.textContent = label;
    made.addEventListener("click", async () => {
      made.disabled = true;
      await act();
      made.disabled = false;
      ask();
    });
    return made;
  }

  function question({ text, allow, refuse }) {
    const [line, words] = note("ask", "eye", "help");
    line.setAttribute("role", "alert");
    words.textContent = text;
    line.append(
      button(texts.allow, () => post(allow), true),
      button(texts.refuse, () => post(refuse)),
    );
    return line;
  }

  function guest({ text, end }) {
    const [line, words] = note("watched", "eye", "guest");
    words.textContent = text;
    if (end) line.append(button(texts.stop, () => post(end)));
    return line;
  }

  function message({ by, text, read }) {
    const [line, words] = note("told", "info-circle", "message");
    line.setAttribute("role", "alert");
    words.textContent = fill(texts.from, { by, text });
    line.append(button(texts.read, () => post(read)));
    return line;
  }

  function countdown({ at, text, extend, kind }) {
    const [line, words] = note("counting", "clock", kind);
    // Read out when it appears, not every second.
    line.setAttribute("aria-live", "off");
    if (at) words.dataset.at = at;
    words.dataset.text = text;
    words.textContent = text;
    if (extend) line.append(button(texts.extend, () => post(extend), true));
    return line;
  }

  function tick() {
    for (const words of strip.querySelectorAll("[data-at]")) {
      words.textContent = fill(words.dataset.text, { time: clock(left(words.dataset.at)) });
    }
  }

  function links(shares) {
    if (!shareMenu) return;
    const list = shareMenu.querySelector("[data-share-list]");
    list.replaceChildren(
      ...shares.map(({ text, until, end }) => {
        const line = document.createElement("li");
        const words = document.createElement("span");
        const time = new Date(until).toLocaleTimeString(document.documentElement.lang || [], { hour: "2-digit", minute: "2-digit" });
        words.textContent = `${text}, ${fill(texts.until, { time })}`;
        line.append(words, button(texts.stop, () => post(end)));
        return line;
      }),
    );
  }

  shareMenu?.querySelector("[data-share-make]").addEventListener("click", async () => {
    const level = shareMenu.querySelector("[name=share-level]:checked").value;
    const minutes = Number(shareMenu.querySelector("#share-minutes").value);
    const everybody = Boolean(shareMenu.querySelector("#share-everybody")?.checked);
    const made = await post(data.shareUrl, { level, minutes, everybody });
    if (!made) return;
    const field = shareMenu.querySelector("#share-link");
    shareMenu.querySelector("[data-share-made]").hidden = false;
    field.value = made.link;
    field.focus();
    field.select();
    ask();
  });

  document.addEventListener("berth:news", ({ detail: { kind } }) => {
    if (["vm", "session", "desktop"].includes(kind)) later(settle);
  });
  document.addEventListener("berth:ask-state", () => later(settle));
  setInterval(tick, 500);
  ask();
}
