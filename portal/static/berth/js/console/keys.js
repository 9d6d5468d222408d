/* Keys that a browser cannot or must not send by itself: combinations, held modifiers, text as key strokes. */

import KeyTable from "../../../vendor/novnc/core/input/keysym.js";
import keysyms from "../../../vendor/novnc/core/input/keysymdef.js";

const keys = {
  Ctrl: [KeyTable.XK_Control_L, "ControlLeft"],
  Alt: [KeyTable.XK_Alt_L, "AltLeft"],
  Shift: [KeyTable.XK_Shift_L, "ShiftLeft"],
  Super: [KeyTable.XK_Super_L, "MetaLeft"],
  Del: [KeyTable.XK_Delete, "Delete"],
  Esc: [KeyTable.XK_Escape, "Escape"],
  Tab: [KeyTable.XK_Tab, "Tab"],
  Print: [KeyTable.XK_Print, "PrintScreen"],
  Space: [KeyTable.XK_space, "Space"],
  Backspace: [KeyTable.XK_BackSpace, "Backspace"],
  Enter: [KeyTable.XK_Return, "Enter"],
  L: [KeyTable.XK_l, "KeyL"],
};
for (let number = 1; number <= 12; number += 1) keys[`F${number}`] = [KeyTable[`XK_F${number}`], `F${number}`];

const shifted = /[A-Z~!@#$%^&*()_+{}|:"<>?]/;
const strokePause = 12; // ms; a guest under load loses faster strokes

/** Press the named keys together, e.g. "Ctrl+Alt+Del". */
export function pressTogether(screen, combination) {
  const pressed = combination.split("+").map((name) => keys[name]);
  pressed.forEach(([keysym, code]) => screen.sendKey(keysym, code, true));
  pressed.reverse().forEach(([keysym, code]) => screen.sendKey(keysym, code, false));
}

/** Hold or let go of one modifier; for touch screens, where nobody can hold a key. */
export function hold(screen, name, down) {
  screen.sendKey(...keys[name], down);
}

/** Let go of the modifiers of the shortcut that leads out of the screen. */
export function releaseModifiers(screen) {
  ["Ctrl", "Alt", "Shift"].forEach((name) => hold(screen, name, false));
}

/** Type `text` as key strokes, for guests that share no clipboard. */
export async function typeText(screen, text) {
  for (const character of text.replace(/\r\n?/g, "\n")) {
    const keysym = character === "\n" ? KeyTable.XK_Return
      : character === "\t" ? KeyTable.XK_Tab : keysyms.lookup(character.codePointAt(0));
    const shift = shifted.test(character);
    if (shift) hold(screen, "Shift", true);
    screen.sendKey(keysym, null);
    if (shift) hold(screen, "Shift", false);
    await new Promise((resolve) => setTimeout(resolve, strokePause));
  }
}

/** Turn what an on-screen keyboard writes into `field` into key strokes.
 *
 * Many of them compose words: each letter then comes as the whole word so far, and a suggestion replaces it. So what
 * counts is how the field's text changed, not what the browser says was put in. */
export function watchTouchKeyboard(field, screen) {
  const filler = "_".repeat(50); // something for the backspace key to delete
  let known = filler;
  let strokes = Promise.resolve(); // one change after the other: a pause lies between two strokes
  const reset = () => {
    field.value = filler;
    known = filler;
    field.setSelectionRange(filler.length, filler.length);
  };
  const send = async (removed, added) => {
    const target = screen();
    if (!target) return;
    for (let count = 0; count < removed; count += 1) pressTogether(target, "Backspace");
    await typeText(target, added);
  };
  field.addEventListener("focus", reset);
  field.addEventListener("compositionend", reset);
  field.addEventListener("input", (event) => {
    const [before, now] = [[...known], [...field.value]];
    let same = 0;
    while (same < before.length && before[same] === now[same]) same += 1;
    known = field.value;
    strokes = strokes.then(() => send(before.length - same, now.slice(same).join("")));
    if (!event.isComposing) reset();
  });
}
