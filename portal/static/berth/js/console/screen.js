/* The remote screen: noVNC's RFB with what Berth adds around it. */

import RFB from "../../../vendor/novnc/core/rfb.js";
import { watchLine } from "./pulse.js";
import { openSocket } from "./ticket.js";

/** How the picture meets the window: shrink to fit, ask the guest for the window's size, or one to one. */
export const fits = ["scale", "resize", "actual"];

const patience = 20000; // ms from the click to the first picture
const lost = 1006; // what a browser says of a line that broke

export class Screen extends RFB {
  /** By position (false) the guest's own layout decides; by character (true) the typed letter is sent. */
  byCharacter = false;
  hasClipboard = true;

  constructor(...given) {
    super(...given);
    this._cursor._canvas.setAttribute("aria-hidden", "true"); // under fingers noVNC draws the pointer, outside the stage
  }

  /** Without a key position noVNC sends the character alone, and QEMU looks for a key that makes it. */
  sendKey(keysym, code, down) {
    super.sendKey(keysym, this.byCharacter && keysym ? null : code, down);
  }

  /** Tells ("picture") when the first part of the desktop is on the canvas; "connect" comes before. */
  _framebufferUpdate() {
    const done = super._framebufferUpdate();
    if (done && this.painted === "now") {
      this.painted = "told";
      this._display.flush().then(() => this.dispatchEvent(new CustomEvent("picture")));
    }
    return done;
  }

  _handleRect() {
    const pixels = this._FBU.encoding >= 0; // the others tell of sizes and cursors
    const done = super._handleRect();
    if (done && pixels) this.painted ??= "now";
    return done;
  }

  setFit(fit) {
    this.scaleViewport = fit === "scale";
    this.resizeSession = fit === "resize";
    this.clipViewport = fit === "actual";
    this.dragViewport = false;
  }

  /** 0 (least data) to 9 (best picture). */
  setQuality(level) {
    this.qualityLevel = level;
    this.compressionLevel = level > 6 ? 2 : 6;
  }
}

/** Open a console with a fresh ticket.
 *
 * `onclose` gets the websocket's close code and reason, which noVNC keeps to itself, and whether it never was open. */
export function openScreen(element, answer, onclose) {
  const socket = openSocket(answer);
  let opened = false;
  let told = false;
  const tell = (code, reason) => {
    clearTimeout(limit);
    if (told) return;
    told = true;
    onclose(code, reason, !opened);
  };
  // Nothing of the browser ends a handshake that hangs; closing it leads to the next attempt.
  const limit = setTimeout(() => socket.close(), patience);
  socket.addEventListener("open", () => { opened = true; });
  socket.addEventListener("close", (event) => tell(event.code, event.reason));
  watchLine(socket, () => {
    tell(lost, ""); // the socket itself would wait for an answer to its closing
    screen.disconnect();
  });
  const screen = new Screen(element, socket, { shared: true });
  screen.addEventListener("connect", () => clearTimeout(limit));
  return screen;
}
