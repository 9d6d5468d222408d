/* What the pool's policy does in the page: a name over the picture, a cover after a while, the best quality, the keys.
 *
 * The clipboard and the speed are the gateway's to enforce; here is only said what it does. */

import { choices } from "./toolbar.js";

const stir = ["keydown", "pointerdown", "pointermove", "wheel", "touchstart"];

/** Wire the policy; `screen()` gives the open screen or nothing. Returns what each new screen needs. */
export function applyPolicy(policy, screen) {
  if (policy.watermark) watermark(policy.watermark);
  if (policy.lockAfter) cover(policy.lockAfter * 1000, screen);
  notes(policy.told);
  if (policy.keyboard) {
    choices.byCharacter = policy.keyboard === "character";
    document.querySelectorAll("input[name=keyboard]").forEach((input) => {
      input.checked = input.value === policy.keyboard;
      input.disabled = true;
    });
  }
  document.querySelectorAll("input[name=quality]").forEach((input) => {
    input.disabled = Number(input.value) > policy.quality;
  });
  choices.quality = Math.min(choices.quality, policy.quality);
  return (newScreen) => newScreen.setQuality(Math.min(choices.quality, policy.quality));
}

function watermark(name) {
  const sheet = document.createElement("div");
  sheet.className = "watermark";
  sheet.setAttribute("aria-hidden", "true");
  for (let count = 0; count < 40; count += 1) {
    const mark = document.createElement("span");
    mark.textContent = name;
    sheet.append(mark);
  }
  document.getElementById("main").append(sheet);
}

function cover(after, screen) {
  const sheet = document.getElementById("cover");
  const uncover = sheet.querySelector("button");
  // A screen that comes back, or changes its size, takes the keys: not while nobody sees where they go.
  const stage = document.getElementById("stage");
  let timer;
  const again = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!sheet.hidden) return;
      sheet.hidden = false;
      screen()?.blur();
      stage.inert = true;
      uncover.focus();
    }, after);
  };
  uncover.addEventListener("click", () => {
    sheet.hidden = true;
    stage.inert = false;
    screen()?.focus();
    again();
  });
  stir.forEach((name) => window.addEventListener(name, () => sheet.hidden && again(), { capture: true, passive: true }));
  again();
}

function notes(sentences) {
  const list = document.querySelector("[data-policy]");
  list.hidden = !sentences.length;
  list.replaceChildren(...sentences.map((sentence) => {
    const line = document.createElement("li");
    line.textContent = sentence;
    return line;
  }));
}
