/* The console page: gets a ticket, shows the screen, says why it ended, and comes back by itself. */

import { applyChoices, choices, toolbar } from "./console/toolbar.js";
import { clipboardPanel } from "./console/clipboard.js";
import { sendAsTheMachineHasIt } from "./console/cut_text.js";
import { openScreen } from "./console/screen.js";
import { applyPolicy } from "./console/policy.js";
import { savePicture, tellLine } from "./console/line.js";
import { dropPicture, keepPicture, pictureOf } from "./console/still.js";
import { sessionStrip } from "./console/session.js";
import { KeptTicket, Patience, askTicket } from "./console/ticket.js";
import { forgetLogin, rdpLogin } from "./console/rdp.js";
import { fill, pageData } from "./texts.js";
import "./why.js";

const data = pageData("console-data");
const { texts, closing, lineUrl } = pageData("console-words");
const stage = document.getElementById("stage");
const curtain = document.getElementById("curtain");
const patience = new Patience();
const kept = new KeptTicket();

let screen = null;
let phase = "idle"; // idle, asking, opening, open, waiting (for a retry), ended
let timer;
let leaving = false;
let takeOver = false; // the next ticket closes this screen on the person's other devices; only a press asks for it
const replaced = 4409;
const rdpEnded = 4420;
let wanted = data.wanted; // the address asks for this kind, until another is chosen
if (data.ticket) kept.keep({ status: 200, came: 0, ...data.ticket });

const shown = () => (phase === "open" ? screen : null);
const showBar = toolbar(document.getElementById("toolbar"), shown);
for (const choice of document.querySelectorAll(`[name=kind][value="${wanted}"]`)) choice.checked = true;
const watchClipboard = clipboardPanel(document.getElementById("clipboard"), shown, data.policy, texts);
sendAsTheMachineHasIt(data.windows);
const limit = applyPolicy(data.policy, shown);
const measureLine = tellLine(texts, lineUrl, shown);
const ready = () => document.getElementById("live").dataset.ready === "yes";

function setPhase(next) {
  phase = next;
  document.body.dataset.phase = next;
}

/** The sheet over the screen. `busy` turns the wheel; `again` offers the button that connects. */
function say(title, { text = "", why = [], busy = false, again = false, label = texts.connectNow } = {}) {
  curtain.hidden = false;
  curtain.querySelector("[data-title]").textContent = title;
  curtain.querySelector("[data-text]").textContent = text;
  curtain.querySelector("[data-why]").replaceChildren(
    ...why.map((line) => Object.assign(document.createElement("li"), { textContent: line })),
  );
  curtain.querySelector("[data-busy]").hidden = !busy;
  curtain.querySelector("[data-again]").hidden = !again;
  curtain.querySelector("[data-again-label]").textContent = label;
}

/** What the person chose last, if the machine offers it. */
const wantedKind = () => wanted || (data.kinds.includes(choices.kind) ? choices.kind : data.kinds[0]);

/** A ticket, or why there is none. The page brings the first along: good once, and for half a minute. */
async function nextTicket() {
  const ticket = kept.take(wantedKind());
  if (ticket) return ticket;
  const wishes = { kind: wantedKind(), view_only: data.viewOnly, take_over: takeOver, help: data.help };
  if (wishes.kind === "rdp") {
    wishes.login = await rdpLogin(stage);
    if (!wishes.login) return { code: "given-up" };
  }
  return askTicket(data, wishes);
}

async function connect() {
  clearTimeout(timer);
  if (["asking", "opening", "open"].includes(phase)) return;
  if (!ready()) {
    dropPicture(curtain);
    setPhase("idle");
    curtain.hidden = true; // the page's own panel tells what the machine is doing
    return;
  }
  setPhase("asking");
  say(patience.tried ? texts.reconnecting : texts.connecting, { busy: true });
  let answer;
  try {
    answer = await nextTicket();
  } catch {
    again(texts.unreachable);
    return;
  }
  answer.came ??= performance.now();
  if (answer.status === 401) {
    location.reload(); // the session is over: the server sends the browser to the sign-in page
  } else if (answer.code === "given-up") {
    end(texts.closed);
  } else if (answer.ticket) {
    takeOver = false;
    open(answer);
  } else if (answer.code === "open-elsewhere") {
    const since = new Date(answer.since).toLocaleTimeString(document.documentElement.lang || [], { hour: "2-digit", minute: "2-digit" });
    end(fill(texts.elsewhere, { since }), texts.elsewhereFix, texts.takeOver);
    takeOver = true;
  } else if (answer.retry || answer.status === 409 || answer.status >= 500) {
    // 409: the machine is between two states, e.g. just started and its screen not seen yet.
    again(answer.message || texts.unreachable, answer.fix, answer.why);
  } else {
    end(answer.message || texts.refused, answer.fix, texts.connectNow, answer.why);
  }
}

async function open(answer) {
  setPhase("opening");
  let opener = openScreen;
  if (answer.kind === "spice") {
    try {
      ({ openSpice: opener } = await import("./console/spice.js"));
    } catch {
      again(texts.unreachable);
      return;
    }
  }
  document.body.dataset.kind = answer.kind;
  screen = opener(stage, answer, (code, reason, unopened) => {
    if (unopened) kept.keep(answer);
    finished({ code, reason });
  });
  const current = screen;
  screen.viewOnly = Boolean(answer.view_only);
  document.getElementById("view-only").hidden = !answer.view_only;
  document.getElementById("recorded").hidden = !answer.recorded;
  applyChoices(screen);
  limit(screen);
  watchClipboard(screen);
  screen.addEventListener("connect", () => {
    setPhase("open");
    patience.succeeded();
    curtain.hidden = true;
    showBar();
    measureLine();
    current.focus();
  });
  screen.addEventListener("picture", () => dropPicture(curtain));
  screen.addEventListener("desktopname", (event) => {
    document.body.dataset.desktop = event.detail.name;
  });
  screen.addEventListener("securityfailure", () => end(texts.refused));
  screen.addEventListener("bell", () => stage.classList.toggle("bell"));
}

function finished({ code, reason }) {
  const known = closing[code];
  if (phase === "open" && !leaving && (known ? known.again : code !== 1000)) {
    keepPicture(screen?.lastPicture ?? pictureOf(stage.querySelector("canvas")), curtain);
  }
  screen = null;
  if (leaving || phase === "ended") return;
  if (data.help) document.dispatchEvent(new CustomEvent("berth:ask-state"));
  if (phase === "switching") {
    setPhase("idle");
    connect();
  } else if (phase === "ended-by-user") {
    end(texts.closed);
  } else if (known) {
    if (code === replaced) {
      end(known.text, "", texts.takeBack);
      takeOver = true;
    } else if (code === rdpEnded) {
      forgetLogin(); // never tried again by itself: the desktop may lock whoever is wrong too often
      end(known.text, "", texts.signInAgain);
    } else if (known.again) again(known.text, known.fix);
    else end(known.text, known.fix);
  } else if (code === 1000) {
    end(texts.closed);
  } else {
    again(texts.lost, reason);
  }
}

/** Try again by itself, after a growing pause; after 15 minutes only by hand. */
function again(text, fix = "", why = []) {
  const wait = patience.next();
  if (wait === undefined) {
    end(text, fix, texts.connectNow, why);
    return;
  }
  setPhase("waiting");
  const seconds = Math.round(wait / 1000);
  say(text, {
    text: [fix, seconds >= 2 ? fill(texts.againIn, { seconds }) : texts.againNow].filter(Boolean).join(" "),
    why,
    busy: true,
    again: seconds >= 2,
  });
  timer = setTimeout(connect, wait);
}

function end(text, fix = "", label = texts.connectNow, why = []) {
  dropPicture(curtain);
  setPhase("ended");
  takeOver = false;
  say(text, { text: fix, why, again: true, label });
  curtain.querySelector("[data-again]").focus();
}

curtain.querySelector("[data-again]").addEventListener("click", () => {
  patience.succeeded();
  setPhase("idle");
  connect();
});
document.querySelector("[data-picture]").addEventListener("click", () => savePicture(shown(), data.name));
document.querySelector("[data-disconnect]").addEventListener("click", () => {
  clearTimeout(timer);
  if (screen) {
    setPhase("ended-by-user");
    screen.disconnect();
  } else {
    end(texts.closed);
  }
});

// Another way to the same screen: this one is closed and the other opened.
document.addEventListener("berth:kind", () => {
  const old = screen;
  screen = null;
  wanted = "";
  clearTimeout(timer);
  patience.succeeded();
  setPhase("switching");
  if (old) old.disconnect();
  else {
    setPhase("idle");
    connect();
  }
});

// The machine came up, or was started again: then the screen comes without a press.
document.addEventListener("berth:refreshed", () => {
  if ((phase === "idle" || phase === "waiting") && ready()) connect();
  else if ((phase === "waiting" || (phase === "ended" && !takeOver)) && !ready()) {
    setPhase("idle");
    connect(); // shows the panel instead
  }
});
addEventListener("online", () => phase === "waiting" && connect());
addEventListener("pagehide", () => {
  leaving = true;
  screen?.disconnect();
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  leaving = false;
  setPhase("idle");
  connect();
});

// The server knows of the end before the gateway does: nobody types on for seconds.
function toldToEnd(code) {
  if (phase !== "open" || !screen) return;
  const old = screen;
  finished({ code, reason: "" });
  old.disconnect();
}

/** Who helps waits for the answer of the person whose screen it is. */
function helpAnswered({ state, text }) {
  if (state === "asked") {
    if (phase !== "asking-person") {
      setPhase("asking-person");
      say(text, { busy: true });
    }
  } else if (state === "allowed") {
    if (phase === "asking-person" || phase === "idle") {
      setPhase("idle");
      connect();
    }
  } else if (phase !== "ended") {
    screen?.disconnect();
    end(text);
    curtain.querySelector("[data-again]").hidden = true;
  }
}

document.documentElement.dataset.consoleReady = "yes";
sessionStrip({ ...data, texts }, { toldToEnd, helpAnswered });
if (!data.help) connect();
