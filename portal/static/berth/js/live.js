/* Keeps the page true without a reload.
 *
 * The server sends {kind, id} over /live/ when something the user may see has changed. A page says what it
 * shows in <… id="live" data-live="vm job">: kinds, or kind:id for one object. News that fits makes the page
 * fetch its own address again; htmx morphs the answer in, so that focus, menus and pictures stay. */

import { pageData } from "./texts.js";

const region = () => document.getElementById("live");
// A page that says of nothing that it shows it, such as a form, is not fetched again: that would take away the refusal
// it shows, and what was unfolded or added by hand.
const follows = () => Boolean(region()?.dataset.live || document.body.dataset.live !== undefined);
const settle = 120; // ms in which further news joins the same fetch
const retry = { first: 500, most: 15000 };
const patience = 10000; // ms to wait for the fragment
const repair = 20000; // ms after which a page that is looked at asks by itself: news may get lost

let socket;
let failures = 0;
let pending = 0;
let running = false;
let again = false;

/** Fetch the page's fragment once more; calls during a fetch lead to one more after it. */
export async function refresh() {
  if (!region() || !window.htmx) return;
  if (running) {
    again = true;
    return;
  }
  running = true;
  try {
    const asked = window.htmx.ajax("GET", location.pathname + location.search, {
      target: "#live",
      swap: "outerMorph",
      live: true,
    });
    // An answer that never comes must not keep the next question from being asked.
    await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, patience))]);
    document.dispatchEvent(new CustomEvent("berth:refreshed"));
  } finally {
    running = false;
    if (again) {
      again = false;
      soon();
    }
  }
}

/* Counted from the first news, not the last: where something changes all the time the page still moves. */
function soon() {
  pending ||= setTimeout(() => {
    pending = 0;
    refresh();
  }, settle);
}

function concerns({ kind, id }) {
  const wanted = (region()?.dataset.live || "").split(" ");
  return wanted.includes(kind) || wanted.includes(`${kind}:${id}`);
}

function offline(shown) {
  const bar = document.getElementById("offline");
  if (bar) bar.hidden = !shown;
}

function connect() {
  const address = new URL("/live/", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address);
  socket.addEventListener("open", () => {
    offline(false);
    document.documentElement.dataset.liveSocket = "open";
    if (follows()) soon(); // what happened since the page was made, or the line was lost, was not told
    failures = 0;
  });
  socket.addEventListener("message", (event) => {
    const news = JSON.parse(event.data);
    document.dispatchEvent(new CustomEvent("berth:news", { detail: news }));
    if (concerns(news)) soon();
  });
  socket.addEventListener("close", (event) => {
    document.documentElement.dataset.liveSocket = "closed";
    if (event.code === pageData("texts").signedOutCode) {
      location.reload(); // the session is over: the server sends the browser to the sign-in page
      return;
    }
    failures += 1;
    if (failures > 2) offline(true);
    const wait = Math.min(retry.most, retry.first * 2 ** (failures - 1));
    setTimeout(connect, wait * (0.75 + Math.random() / 2));
  });
}

// What the page shows was removed, or is no longer the user's to see: the whole page says so. The console says it
// itself, with the reason it was given.
document.addEventListener("htmx:response:error", (event) => {
  const { ctx } = event.detail;
  const console = document.body.classList.contains("console-page");
  if (ctx.live && ctx.response.status === 404 && !console) location.reload();
});

// Whoever acts sees the effect at once, before the news comes round.
document.addEventListener("berth:refresh", soon);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && socket?.readyState !== WebSocket.OPEN && follows()) soon();
});

if (region() || document.body.dataset.live !== undefined) {
  connect();
  setInterval(() => document.visibilityState === "visible" && follows() && soon(), repair);
}
