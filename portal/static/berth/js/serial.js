/* The serial line in the page: a terminal fed by frames of a websocket; one reader types, the others read. */

import { FitAddon } from "../../vendor/xterm/addon-fit.mjs";
import { Terminal } from "../../vendor/xterm/xterm.mjs";
import { watchLine } from "./console/pulse.js";
import { Patience, askTicket, openSocket } from "./console/ticket.js";
import { fill, pageData } from "./texts.js";

const data = pageData("console-data");
const { texts, closing } = data;
const state = document.querySelector("[data-state]");
const button = (name) => document.querySelector(`[data-${name}]`);
const patience = new Patience();
const longest = 8 * 1024; // bytes typed in one frame
const kinds = { data: "d", status: "s", take: "t", give: "g" };

const terminal = new Terminal({
  scrollback: 5000,
  convertEol: false,
  minimumContrastRatio: 4.5,
  // What the guest writes is text for this terminal and nothing else: no links to open, no title, no clipboard.
  linkHandler: { activate: () => {}, allowNonHttpProtocols: false },
  theme: { background: "#0b0e14" },
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(document.getElementById("terminal"));
fit.fit();
addEventListener("resize", () => fit.fit());

let socket = null;
let buffer = new Uint8Array(0);
let line = { writer: "", mine: false, may: false, readers: 0 };
let stale = false; // what stands there is of the connection before
let refused = "";
let leaving = false;

function show(phase, text) {
  document.body.dataset.phase = phase;
  if (phase !== "open") terminal.options.disableStdin = true; // what nobody hears must not seem to be typed
  state.textContent = text;
  const open = phase === "open";
  button("take").hidden = !open || line.mine || !line.may;
  button("give").hidden = !open || !line.mine;
  button("again").hidden = phase !== "ended";
}

function send(kind, bytes = new Uint8Array(0)) {
  if (!socket || socket.readyState !== WebSocket.OPEN) return;
  for (let at = 0; at === 0 || at < bytes.length; at += longest) {
    const part = bytes.subarray(at, at + longest);
    const frame = new Uint8Array(4 + part.length);
    frame.set([kind.charCodeAt(0), part.length >> 16, (part.length >> 8) & 255, part.length & 255]);
    frame.set(part, 4);
    socket.send(frame);
  }
}

function told(status) {
  if (status.refused) {
    refused = texts[status.refused] || texts.closed;
    return;
  }
  line = status;
  const who = line.mine ? texts.mine
    : !line.may ? texts.only
      : line.writer ? fill(texts.other, { writer: line.writer }) : texts.nobody;
  show("open", line.readers > 1 ? `${who} ${fill(texts.readers, { count: line.readers })}` : who);
  terminal.options.disableStdin = !line.mine;
}

/** What stood there stays until the scroll-back comes again, so that a break shows no empty page. */
function write(bytes) {
  if (stale) terminal.reset();
  stale = false;
  terminal.write(bytes);
}

function received(bytes) {
  const joined = new Uint8Array(buffer.length + bytes.length);
  joined.set(buffer);
  joined.set(bytes, buffer.length);
  let at = 0;
  while (joined.length - at >= 4) {
    const length = (joined[at + 1] << 16) | (joined[at + 2] << 8) | joined[at + 3];
    if (joined.length - at - 4 < length) break;
    const payload = joined.subarray(at + 4, at + 4 + length);
    if (joined[at] === kinds.data.charCodeAt(0)) write(payload.slice());
    else told(JSON.parse(new TextDecoder().decode(payload)));
    at += 4 + length;
  }
  buffer = joined.slice(at);
}

async function connect() {
  show("opening", patience.tried ? texts.reconnecting : texts.connecting);
  let answer;
  try {
    answer = await askTicket(data, { kind: "serial", view_only: data.viewOnly });
  } catch {
    again(texts.unreachable);
    return;
  }
  if (answer.status === 401) location.reload();
  else if (answer.ticket) {
    button("recorded").hidden = !answer.recorded;
    open(answer);
  }
  else if (answer.retry || answer.status === 409 || answer.status >= 500) again(answer.message || texts.unreachable);
  else show("ended", [answer.message, answer.fix].filter(Boolean).join(" "));
}

function open(answer) {
  refused = "";
  buffer = new Uint8Array(0);
  socket = openSocket(answer);
  stale = true;
  const opened = socket;
  watchLine(opened, () => {
    ended(1006);
    opened.close();
  });
  opened.addEventListener("message", (event) => {
    patience.succeeded();
    received(new Uint8Array(event.data));
  });
  opened.addEventListener("close", ({ code }) => socket === opened && ended(code));
}

function ended(code) {
  socket = null;
  if (leaving) return;
  const known = closing[code];
  if (refused) again(refused);
  else if (known && !known.again) show("ended", known.text);
  else again(known?.text || texts.lost);
}

function again(text) {
  const wait = patience.next();
  if (wait === undefined) {
    show("ended", text);
    return;
  }
  show("waiting", text);
  setTimeout(connect, wait);
}

terminal.onData((text) => line.mine && send(kinds.data, new TextEncoder().encode(text)));
terminal.onBinary((text) => line.mine && send(kinds.data, Uint8Array.from(text, (c) => c.charCodeAt(0))));
terminal.attachCustomKeyEventHandler((event) => {
  if (!(event.ctrlKey && event.altKey && event.shiftKey && event.code === "KeyM")) return true;
  event.preventDefault();
  document.querySelector(".serial-bar a").focus();
  return false;
});
// Off at first: a terminal that speaks takes no text from a phone's keyboard.
button("reader").addEventListener("click", ({ currentTarget }) => {
  const on = currentTarget.getAttribute("aria-pressed") !== "true";
  currentTarget.setAttribute("aria-pressed", String(on));
  terminal.options.screenReaderMode = on;
  terminal.focus();
});
button("again").addEventListener("click", () => {
  patience.succeeded();
  connect();
});
button("give").addEventListener("click", () => send(kinds.give));
const question = document.getElementById("take-over");
button("take").addEventListener("click", () => {
  if (!line.writer) {
    send(kinds.take);
    terminal.focus();
    return;
  }
  question.querySelector("[data-question]").textContent = fill(texts.ask, { writer: line.writer });
  question.returnValue = "no";
  question.showModal();
});
question.addEventListener("close", () => {
  if (question.returnValue === "yes") send(kinds.take);
  terminal.focus();
});
addEventListener("pagehide", () => {
  leaving = true;
  socket?.close();
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  leaving = false;
  connect();
});

terminal.focus();
connect();
