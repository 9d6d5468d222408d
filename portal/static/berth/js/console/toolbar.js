/* The toolbar over the screen: hides itself, and comes back by pointer, touch, focus or Ctrl+Alt+Shift+M. */

import { pressTogether, hold, releaseModifiers, watchTouchKeyboard } from "./keys.js";
import { fits } from "./screen.js";

const linger = 3500; // ms the toolbar stays after it was last used
const edge = 48; // px from the top within which the pointer calls it back

const remembered = (name, fallback) => {
  try {
    return localStorage.getItem(`berth.console.${name}`) ?? fallback;
  } catch {
    return fallback;
  }
};
const remember = (name, value) => {
  try {
    localStorage.setItem(`berth.console.${name}`, value);
  } catch {
    // storage is refused in some private windows; the choice then lasts for this page
  }
};

/** The choices kept in this browser. */
export const choices = {
  fit: fits.includes(remembered("fit")) ? remembered("fit") : "scale",
  kind: remembered("kind", "vnc"),
  quality: Number(remembered("quality", 6)),
  byCharacter: remembered("keyboard") === "character",
};

export function applyChoices(screen) {
  screen.setFit(choices.fit);
  screen.setQuality(choices.quality);
  screen.byCharacter = choices.byCharacter;
}

/** Wire the toolbar; `screen()` gives the open screen or nothing. */
export function toolbar(bar, screen) {
  let timer;
  const open = () => bar.querySelector(".dropdown-menu.show") || bar.contains(document.activeElement);
  const hide = () => {
    if (screen() && !open() && !document.querySelector("dialog[open]")) bar.classList.add("away");
  };
  const show = () => {
    bar.classList.remove("away");
    clearTimeout(timer);
    timer = setTimeout(hide, linger);
  };
  document.addEventListener("pointermove", (event) => event.clientY < edge && show());
  bar.addEventListener("focusin", show);
  bar.addEventListener("focusout", show);
  bar.addEventListener("pointermove", show);
  document.querySelector("[data-toolbar-handle]").addEventListener("click", () => {
    show();
    bar.querySelector("a, button").focus();
  });

  window.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey && event.altKey && event.shiftKey && event.code === "KeyM")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (screen()) releaseModifiers(screen());
    show();
    bar.querySelector("a, button").focus();
  }, true);

  bar.addEventListener("click", (event) => {
    const target = event.target.closest("button, label, input");
    if (!target) return;
    if (target.dataset.keys && screen()) {
      pressTogether(screen(), target.dataset.keys);
      screen().focus();
    } else if (target.dataset.hold && screen()) {
      const down = target.getAttribute("aria-pressed") !== "true";
      target.setAttribute("aria-pressed", String(down));
      hold(screen(), target.dataset.hold, down);
    }
  });

  bar.addEventListener("change", (event) => {
    const { name, value } = event.target;
    if (name === "kind") {
      choices.kind = value;
      remember(name, value);
      document.dispatchEvent(new CustomEvent("berth:kind"));
      return;
    }
    if (name === "fit") choices.fit = value;
    else if (name === "quality") choices.quality = Number(value);
    else if (name === "keyboard") choices.byCharacter = value === "character";
    else return;
    remember(name, value);
    if (screen()) applyChoices(screen());
  });
  for (const [name, value] of [
    ["kind", choices.kind],
    ["fit", choices.fit],
    ["quality", choices.quality],
    ["keyboard", choices.byCharacter ? "character" : "position"],
  ]) {
    const input = bar.querySelector(`input[name="${name}"][value="${value}"]`);
    if (input) input.checked = true;
  }

  fullScreen(bar.querySelector("[data-full-screen]"));
  const field = document.getElementById("touch-keyboard");
  watchTouchKeyboard(field, screen);
  bar.querySelector("[data-touch-keyboard]")?.addEventListener("click", () => field.focus());
  return show;
}

function fullScreen(button) {
  button.addEventListener("click", async () => {
    if (document.fullscreenElement) {
      await document.exitFullscreen();
      return;
    }
    await document.documentElement.requestFullscreen();
    // With the system keys locked, Alt+Tab and the like reach the guest; only some browsers offer it.
    await navigator.keyboard?.lock?.().catch(() => {});
  });
  document.addEventListener("fullscreenchange", () => {
    const on = Boolean(document.fullscreenElement);
    button.setAttribute("aria-pressed", String(on));
    document.documentElement.classList.toggle("full-screen", on);
  });
}
