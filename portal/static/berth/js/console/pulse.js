/* Whether a console's line still lives. Packets can be lost without a word, and nothing of the browser tells for minutes.
 *
 * The gateway sends a certain text back to who sends it. It is sent in doubt only: when somebody types or points and
 * nothing comes, when the network came back, when the page is looked at again; and now and then while nothing comes. */

const word = "echo"; // see broker/gateway/admission.py
const doubt = 2000; // ms without a byte after a key or a move
const grace = 500; // ms more, for what has come and was not looked at yet
const quiet = 15000; // ms without a byte at a page that is looked at
const most = 24000;
const stir = ["keydown", "pointerdown", "pointermove", "wheel", "touchstart"];
const usual = { good: 2500, slow: 5000, bad: 8000 }; // ms for an answer, by the line's last measure
let mistrust = 1; // doubled by each line given up, until an answer came: a slow line must not be dropped again and again

/** Watch an opening `socket`; `lost` is called, once, when its line does not answer. Ends with the socket. */
export function watchLine(socket, lost) {
  const over = new AbortController();
  let heard = performance.now();
  let stirred = 0;
  let timer = null; // until the next doubt
  let waiting = null; // for an answer

  function ask() {
    if (waiting || socket.readyState !== WebSocket.OPEN) return;
    socket.send(word);
    const patience = Math.min(most, (usual[document.body.dataset.line] ?? usual.slow) * mistrust);
    waiting = setTimeout(() => {
      waiting = setTimeout(giveUp, grace);
    }, patience);
  }

  function giveUp() {
    end();
    mistrust *= 2;
    lost();
  }

  function end() {
    over.abort();
    clearTimeout(timer);
    clearTimeout(waiting);
    clearInterval(still);
  }

  function doubted() {
    timer = null;
    if (heard < stirred) ask();
  }

  const listen = (target, name, act, options = {}) => target.addEventListener(name, act, { ...options, signal: over.signal });
  const look = () => document.visibilityState === "visible" && ask();
  // Registered before those who read the picture, who know no text.
  listen(socket, "message", (event) => {
    heard = performance.now();
    clearTimeout(waiting);
    waiting = null;
    if (typeof event.data !== "string") return;
    event.stopImmediatePropagation();
    mistrust = 1;
  });
  listen(socket, "close", end);
  for (const name of stir) {
    listen(window, name, () => {
      if (timer) return;
      stirred = performance.now();
      timer = setTimeout(doubted, doubt);
    }, { capture: true, passive: true });
  }
  listen(window, "online", ask);
  listen(document, "visibilitychange", look);
  const still = setInterval(() => performance.now() - heard > quiet && look(), quiet);
}
