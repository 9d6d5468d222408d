/* A tape shown by noVNC: it is fed by a channel with the face of a WebSocket, and what it says goes nowhere. */

import { Screen } from "../console/screen.js";

const first = 500; // ms until a console has a picture; what is before shows nothing
const gulp = 256 * 1024; // bytes after which noVNC may draw what it got

/** What noVNC takes for an open WebSocket. `heard` is kept when noVNC listens. */
class Channel {
  binaryType = "arraybuffer";
  protocol = "";
  readyState = WebSocket.OPEN;
  onopen = null;
  onerror = null;
  onclose = null;

  constructor() {
    this.heard = new Promise((resolve) => {
      this.listens = resolve;
    });
  }

  get onmessage() {
    return this.listener;
  }

  set onmessage(listener) {
    this.listener = listener;
    this.listens();
  }

  send() {
    // nobody listens: what was asked then is answered on the tape
  }

  close() {
    this.readyState = WebSocket.CLOSED;
    queueMicrotask(() => this.onclose?.({ code: 1000, reason: "" }));
  }
}

/** Takes no key and no pointer, but tells of the clipboard, which noVNC keeps from who only looks on. */
class Picture extends Screen {
  _handleServerCutText() {
    this._viewOnly = false;
    try {
      return super._handleServerCutText();
    } finally {
      this._viewOnly = true;
    }
  }
}

/** Plays on `stage` what is on `tape`. `position` is the time, in milliseconds, up to which all was shown. */
export class Film extends EventTarget {
  position = 0;

  constructor(stage, tape) {
    super();
    this.stage = stage;
    this.tape = tape;
    this.turn = 0;
    this.rewind();
  }

  /** To the beginning. A picture is made of all before it, so this is the only way back. */
  rewind() {
    if (this.old) this.drop(this.reel);
    else this.old = this.reel; // is looked at until the new one has a picture
    const place = document.createElement("div");
    place.className = "reel";
    this.stage.append(place);
    const channel = new Channel();
    const screen = new Picture(place, channel, { shared: true });
    screen.viewOnly = true;
    screen.setFit("scale");
    screen.addEventListener("clipboard", () => this.tell("clipboard", this.now));
    screen.addEventListener("disconnect", (event) => event.detail.clean || this.tell("broken", this.now));
    this.reel = { place, channel, screen };
    this.piece = 0;
    this.block = 0;
    this.blocks = null;
    this.position = 0;
    this.now = 0;
  }

  drop(reel) {
    reel?.screen.disconnect();
    reel?.place.remove();
  }

  tell(what, at) {
    this.dispatchEvent(new CustomEvent(what, { detail: { at } }));
  }

  /** Show all up to `time`; at once, without drawing what is between. False when another call came meanwhile. */
  async go(time) {
    const turn = ++this.turn;
    time = Math.max(time, first);
    await this.resting; // one at a time feeds noVNC
    if (turn !== this.turn) return false;
    this.resting = this.wind(time, turn);
    return this.resting;
  }

  async wind(time, turn) {
    if (time < this.position) this.rewind();
    const { channel, screen } = this.reel;
    await channel.heard;
    const far = time - this.position > 1000;
    if (far) screen._display.flip = () => {}; // the canvas keeps its picture
    try {
      await this.feed(time, turn);
    } catch {
      this.tell("broken", this.now);
    }
    if (far) {
      delete screen._display.flip;
      screen._display.flip();
    }
    if (turn !== this.turn) return false;
    this.position = Math.max(this.position, Math.min(time, this.tape.length));
    this.drop(this.old);
    this.old = null;
    return true;
  }

  async feed(time, turn) {
    const { channel, screen } = this.reel;
    let fed = 0;
    while (turn === this.turn) {
      if (!this.blocks) {
        if (this.piece >= this.tape.pieces.length) break;
        this.blocks = await this.tape.read(this.piece);
      }
      const next = this.blocks[this.block];
      if (!next) {
        this.piece += 1;
        this.block = 0;
        this.blocks = null;
        continue;
      }
      if (next.at > time) break;
      this.now = next.at;
      this.block += 1;
      if (next.data.length) channel.onmessage({ data: next.data });
      this.position = next.at;
      fed += next.data.length;
      if (fed >= gulp) {
        await drawn(screen);
        fed = 0;
      }
    }
    await drawn(screen);
  }

  get canvas() {
    return this.reel.place.querySelector("canvas");
  }
}

/** noVNC decodes some pictures beside; it must not be handed more than it can hold. */
async function drawn(screen) {
  do await screen._display.flush();
  while (screen._flushing || screen._display.pending());
}
