/* Loads the page once more when one of its scripts or style sheets could not be fetched.
 *
 * A browser drops what it is loading when its network changes (another Wi-Fi, a VPN, a network card that appears),
 * and a module that failed to load is not asked for again: the page would stay dead. Loaded before all others. */
(() => {
  const key = `berth.rescue ${location.pathname}`;
  const most = 6; // a file that is really missing must not keep the page loading for ever
  let planned = false;
  let touched = false; // what somebody typed or sent is not taken away from them

  function tries(next) {
    try {
      if (next !== undefined) sessionStorage.setItem(key, next);
      return Number(sessionStorage.getItem(key)) || 0;
    } catch {
      return most; // without a memory there is no counting, and without counting no end
    }
  }

  addEventListener(
    "error",
    (event) => {
      if (!event.target.matches?.("script, link[rel=stylesheet]") || planned || tries() >= most) return;
      planned = true;
      document.documentElement.dataset.rescue = "planned";
      const before = tries();
      tries(before + 1);
      setTimeout(() => touched || location.reload(), 300 * 2 ** before);
    },
    true, // such events do not bubble
  );
  for (const sign of ["input", "submit"]) addEventListener(sign, () => (touched = true), true);
  addEventListener("load", () => planned || tries(0));
})();
