/* The clipboard between browser and guest: a box that always works, and the browser's own where it is allowed. */

import { typeText } from "./keys.js";

/** Wire the clipboard panel; `screen()` gives the open screen or nothing. Returns what a new screen needs.
 *
 * What the policy forbids, or the way to the screen cannot do, is said in place of the usual hint. */
export function clipboardPanel(panel, screen, policy, texts) {
  const box = panel.querySelector("textarea");
  const shared = panel.querySelector("[data-clipboard-auto]");
  const hint = panel.querySelector("#clipboard-hint");
  const usual = policy.clipboardTold || hint.textContent;
  const tell = (has) => {
    panel.querySelector("[data-clipboard-send]").disabled = !has || !policy.paste;
    shared.disabled = !has || (!policy.paste && !policy.copy);
    hint.textContent = has ? usual : texts.noClipboard;
  };
  let known = ""; // what both sides have, so that nothing is sent back where it came from

  const send = (text) => {
    known = text;
    screen()?.clipboardPasteFrom(text);
  };
  panel.querySelector("[data-clipboard-send]").addEventListener("click", () => {
    send(box.value);
    screen()?.focus();
  });
  panel.querySelector("[data-clipboard-type]").addEventListener("click", () => {
    const target = screen();
    if (!target) return;
    target.focus();
    typeText(target, box.value);
  });

  // Reading needs the user's permission; without it the box stays the way.
  const readBrowser = async () => {
    if (!shared.checked || !screen() || !navigator.clipboard?.readText) return;
    try {
      const text = await navigator.clipboard.readText();
      if (text && text !== known) {
        box.value = text;
        send(text);
      }
    } catch {
      shared.checked = false;
    }
  };
  window.addEventListener("focus", readBrowser);
  shared.addEventListener("change", readBrowser);

  return (newScreen) => {
    tell(newScreen.hasClipboard);
    newScreen.addEventListener("clipboard", (event) => {
      const text = event.detail.text.replace(/\0+$/, ""); // QEMU ends the text with a NUL
      known = text;
      box.value = text;
      if (shared.checked && document.hasFocus()) navigator.clipboard?.writeText(text).catch(() => {});
    });
  };
}
