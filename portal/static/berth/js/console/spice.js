/* The remote screen by SPICE: spice-html5 with the face of noVNC's screen, so that the page need not know which it has.
 *
 * spice-html5 opens a websocket for each channel by itself and keeps their end to itself; both are taken in hand here.
 * Keys go by position, straight to the inputs channel: its own table lacks keys and stops the page with a question. */

import scancodes from "../../../vendor/novnc/core/input/xtscancodes.js";
import { Constants } from "../../../vendor/spice-html5/enums.js";
import { SpiceMainConn } from "../../../vendor/spice-html5/main.js";
import { SpiceMiniData, SpiceMsgcKeyDown } from "../../../vendor/spice-html5/spicemsg.js";
import { watchLine } from "./pulse.js";
import { pictureOf } from "./still.js";
import { addressOf, protocolsOf } from "./ticket.js";

const patience = 20000; // ms from the click to the first picture
const lost = 1006; // what a browser says of a line that broke
const drawing = 1500; // ms within which a new surface is drawn on; a black screen is one that stays black
const settle = 250; // ms a window keeps its size before the desktop is asked for it
const inputKeys = { true: Constants.SPICE_MSGC_INPUTS_KEY_DOWN, false: Constants.SPICE_MSGC_INPUTS_KEY_UP };

/** Channels without which there is no screen; each may end for a reason of its own. */
const needed = new Set([Constants.SPICE_CHANNEL_MAIN, Constants.SPICE_CHANNEL_DISPLAY, Constants.SPICE_CHANNEL_INPUTS]);

/** Where a character sits on a US keyboard, for text that is typed and not pasted. */
const places = new Map([[" ", "Space"]]);
const row = (characters, codes) => [...characters].forEach((character, at) => places.set(character, codes[at]));
for (const letter of "abcdefghijklmnopqrstuvwxyz") row(letter + letter.toUpperCase(), Array(2).fill(`Key${letter.toUpperCase()}`));
const digits = [..."1234567890"].map((digit) => `Digit${digit}`);
const signs = ["Minus", "Equal", "BracketLeft", "BracketRight", "Backslash", "Semicolon", "Quote", "Backquote", "Comma", "Period", "Slash"];
row("1234567890", digits);
row("!@#$%^&*()", digits);
row("-=[]\\;'`,./", signs);
row("_+{}|:\"~<>?", signs);
const named = { 0xff0d: "Enter", 0xff09: "Tab", 0xff08: "Backspace", 0xff1b: "Escape" };

const nativeSocket = globalThis.WebSocket;

export class SpiceScreen extends EventTarget {
  byCharacter = false;
  viewOnly = false;
  hasClipboard = false; // spice-html5 has none

  constructor(element, address, ticketed, onclose) {
    super();
    this.element = element;
    this.onclose = onclose;
    this.holder = document.createElement("div");
    this.holder.id = "spice-screen";
    this.holder.className = "spice-screen";
    element.append(this.holder);
    this.ended = false;
    this.limit = setTimeout(() => this.disconnect(), patience);
    const screen = this;
    globalThis.WebSocket = class extends nativeSocket {
      constructor(url, protocols) {
        const ours = String(url) === String(address);
        super(url, ours ? ticketed : protocols);
        if (!ours) return;
        this.binaryType = "arraybuffer";
        this.addEventListener("open", () => { screen.opened = true; });
        watchLine(this, () => screen.finish(lost, ""));
        // Before spice-html5 hears of it, which takes the surfaces away; the channels close one after the other.
        this.addEventListener("close", () => screen.remember());
        screen.socket ??= this;
        this.addEventListener("close", ({ code, reason }) => needed.has(this.parent?.type) && screen.finish(code, reason));
      }
    };
    this.resized = () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.fitWindow(), settle);
    };
    this.pressed = (event) => this.key(event);
    this.observer = new MutationObserver(() => this.picture());
    this.observer.observe(this.holder, { childList: true });
    this.connection = new SpiceMainConn({
      uri: String(address),
      screen_id: this.holder.id,
      password: "",
      onerror: () => this.disconnect(),
      onagent: () => this.resized(),
    });
    addEventListener("resize", this.resized);
    for (const name of ["keydown", "keyup"]) element.addEventListener(name, this.pressed, true);
    // spice-html5 keeps the browser from doing so: after a menu the keys would stay with its button.
    element.addEventListener("pointerdown", this.pointed = () => this.focus(), true);
    addEventListener("blur", this.letGo = () => this.releaseAll());
    this.held = new Set();
  }

  get canvas() {
    return this.holder.querySelector("canvas");
  }

  /** The desktop's surface came, or came anew after its size changed. */
  picture() {
    if (!this.canvas) return;
    this.scale();
    if (this.shown) {
      this.canvas.focus({ preventScroll: true });
      return;
    }
    this.shown = true;
    clearTimeout(this.limit);
    this.dispatchEvent(new Event("connect"));
    this.tellPicture(performance.now() + drawing);
  }

  /** Tells ("picture") when the new surface, which is black, was drawn on. */
  tellPicture(until) {
    if (this.ended) return;
    if (performance.now() < until && !drawn(this.canvas)) requestAnimationFrame(() => this.tellPicture(until));
    else this.dispatchEvent(new Event("picture"));
  }

  /** Keeps what was seen last: when the end is told, spice-html5 has removed it. */
  remember() {
    if (!this.ended) this.lastPicture = pictureOf(this.canvas) ?? this.lastPicture;
  }

  key(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
    this.sendKey(0, event.code, event.type === "keydown");
  }

  /** `code` is the place of a key; without one the character's place on a US keyboard is taken. */
  sendKey(keysym, code, down) {
    if (!code) {
      const place = named[keysym] ?? places.get(String.fromCodePoint(keysym));
      if (!place) return;
      code = place;
      if (down === undefined) {
        this.sendKey(0, code, true);
        down = false;
      }
    }
    const scan = scancodes[code];
    const inputs = this.connection.inputs;
    if (!scan || this.viewOnly || inputs?.state !== "ready") return;
    if (down) this.held.add(code);
    else this.held.delete(code);
    const last = (scan & 0x7f) | (down ? 0 : 0x80);
    const stroke = new SpiceMsgcKeyDown();
    stroke.code = scan > 0xff ? 0xe0 | (last << 8) : last;
    const message = new SpiceMiniData();
    message.build_msg(inputKeys[Boolean(down)], stroke);
    inputs.send_msg(message);
  }

  /** A key whose end the window did not see would be held for ever. */
  releaseAll() {
    for (const code of [...this.held]) this.sendKey(0, code, false);
  }

  setFit(fit) {
    this.fit = fit;
    this.scale();
    this.fitWindow();
  }

  setQuality() {
    // SPICE finds the quality by itself.
  }

  clipboardPasteFrom() {
    // see hasClipboard; the page says so
  }

  /** By CSS alone: spice-html5 takes the pointer's place in the canvas' own pixels, which only an unscaled one has. */
  scale() {
    const canvas = this.canvas;
    if (!canvas) return;
    this.holder.dataset.fit = this.fit === "resize" ? "resize" : "actual";
  }

  /** Ask the desktop for the window's size; X wants widths that eight divides. */
  fitWindow() {
    if (this.fit !== "resize" || this.viewOnly || !this.connection.agent_connected) return;
    const down = (length) => Math.max(320, length - (length % 8));
    this.connection.resize_window(0, down(this.element.clientWidth), down(this.element.clientHeight), 32, 0, 0);
  }

  focus() {
    this.canvas?.focus({ preventScroll: true });
  }

  /** Keys go to the page; what was held is let go, for nobody will see its end. */
  blur() {
    this.releaseAll();
    this.canvas?.blur();
  }

  disconnect() {
    try {
      this.connection.stop();
    } catch {
      // a channel that never came up cannot be stopped in order
    }
    this.socket?.close();
  }

  finish(code, reason) {
    if (this.ended) return;
    this.remember();
    this.ended = true;
    clearTimeout(this.limit);
    clearTimeout(this.timer);
    this.observer.disconnect();
    removeEventListener("resize", this.resized);
    removeEventListener("blur", this.letGo);
    for (const name of ["keydown", "keyup"]) this.element.removeEventListener(name, this.pressed, true);
    this.element.removeEventListener("pointerdown", this.pointed, true);
    globalThis.WebSocket = nativeSocket;
    this.disconnect();
    this.holder.remove();
    this.onclose(code, reason, !this.opened);
  }
}

/** Whether anything but black is on it, seen from afar. */
function drawn(canvas) {
  if (!canvas?.width) return false;
  const small = document.createElement("canvas");
  small.width = small.height = 32;
  const context = small.getContext("2d");
  context.drawImage(canvas, 0, 0, 32, 32);
  return context.getImageData(0, 0, 32, 32).data.some((value, at) => at % 4 !== 3 && value);
}

/** Open a SPICE console with a fresh ticket. */
export function openSpice(element, answer, onclose) {
  return new SpiceScreen(element, addressOf(answer), protocolsOf(answer), onclose);
}
