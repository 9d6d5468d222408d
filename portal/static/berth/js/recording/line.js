/* The recording of a serial line: an asciicast, shown by xterm.js. It has the faces of a tape and of a film. */

import { Terminal } from "../../../vendor/xterm/xterm.mjs";

/** All of it at once: text is small beside pictures. */
export class Tape {
  pieces = [];
  length = 0;
  whole = false;

  async load(address, grown) {
    const answer = await fetch(address, { credentials: "same-origin", cache: "no-store" });
    if (!answer.ok) throw Object.assign(new Error("refused"), { status: answer.status });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let head = null;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const rows = (rest + value).split("\n");
      rest = rows.pop();
      for (const row of rows) {
        if (head) this.pieces.push(piece(row));
        head ??= JSON.parse(row);
      }
      this.length = this.pieces.at(-1)?.at ?? 0;
      grown();
    }
    if (head?.version !== 2 || rest) throw new Error("cut off");
    this.whole = true;
  }
}

function piece(row) {
  const [seconds, , text] = JSON.parse(row);
  return { at: Math.round(seconds * 1000), text };
}

/** Shows on `stage` what is on `tape`, up to a time. */
export class Film extends EventTarget {
  constructor(stage, tape) {
    super();
    this.tape = tape;
    this.next = 0;
    this.position = 0;
    this.terminal = new Terminal({
      disableStdin: true,
      scrollback: 5000,
      minimumContrastRatio: 4.5,
      // What the machine wrote is text for this terminal and nothing else: no links to open.
      linkHandler: { activate: () => {}, allowNonHttpProtocols: false },
      theme: { background: "#0b0e14" },
    });
    stage.classList.add("film-line");
    this.terminal.open(stage);
  }

  async go(time) {
    if (time < this.position) {
      this.terminal.reset();
      this.next = 0;
    }
    this.position = time;
    let text = "";
    while (this.tape.pieces[this.next]?.at <= time) {
      text += this.tape.pieces[this.next].text;
      this.next += 1;
    }
    if (text) this.terminal.write(text);
    return true;
  }
}
