/* A ticket for a console, the socket that it opens, and how long to wait before the next try. */

/** Ask for a ticket with these wishes. `status` is 401 where the sign-in is over. */
export async function askTicket({ ticketUrl, csrf }, wishes) {
  const answer = await fetch(ticketUrl, {
    method: "POST",
    credentials: "same-origin",
    redirect: "manual",
    signal: AbortSignal.timeout(15000),
    headers: { "X-CSRFToken": csrf, Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify(wishes),
  });
  if (answer.type === "opaqueredirect" || answer.status === 401) return { status: 401 };
  const isJson = (answer.headers.get("content-type") || "").includes("json");
  return { status: answer.status, ...(isJson ? await answer.json() : {}) };
}

/** Where a ticket's console is. */
export function addressOf({ path }) {
  const address = new URL(path, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  return address;
}

/** The protocols that a console's socket asks for: the ticket travels among them, never in the address. */
export const protocolsOf = ({ ticket }) => ["binary", `berth.ticket.${ticket}`];

export function openSocket(answer) {
  const socket = new WebSocket(addressOf(answer), protocolsOf(answer));
  socket.binaryType = "arraybuffer";
  return socket;
}

const good = 20000; // ms of a ticket's half minute
const times = 4; // that it is shown; why no socket opens, only asking for another tells

/** A ticket whose socket was never opened opens one still, for no gateway took it: who tries again need not ask. */
export class KeptTicket {
  #answer = null;

  /** `answer.came` is when it came, by the page's clock. */
  keep(answer) {
    answer.shown = (answer.shown ?? 0) + 1;
    this.#answer = answer;
  }

  /** The ticket for a screen of `kind`, if there is one that is good. */
  take(kind) {
    const answer = this.#answer;
    this.#answer = null;
    const fresh = answer && answer.shown <= times && performance.now() - answer.came < good;
    return fresh && answer.kind === kind ? answer : null;
  }
}

/** Tries that follow each other after growing pauses, for a quarter of an hour. */
export class Patience {
  #failures = 0;
  #since = 0;

  /** Whether a try has failed since the last success. */
  get tried() {
    return this.#failures > 0;
  }

  /** Milliseconds until the next try; nothing when it has been long enough. */
  next() {
    if (!this.#failures) this.#since = Date.now();
    this.#failures += 1;
    if (Date.now() - this.#since > 15 * 60 * 1000) return undefined;
    return Math.min(10000, 200 * 1.5 ** (this.#failures - 1)) * (0.8 + Math.random() * 0.4);
  }

  succeeded() {
    this.#failures = 0;
  }
}
