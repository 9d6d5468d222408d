/* Signs in with a Kerberos ticket, where the browser holds one, before anybody types: as [data-ticket] forms would.
 *
 * Whoever types is not disturbed, and nobody waits: the form is there all the while. */

const LONGEST = 4000; // ms

const stop = new AbortController();
for (const event of ["input", "submit"]) addEventListener(event, () => stop.abort(), { once: true });
setTimeout(() => stop.abort(), LONGEST);

// Chromium loads its Kerberos library when it is first asked for a ticket, and shows one when it is asked again.
async function shown(form, again = true) {
  const answer = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { Accept: "application/json" },
    signal: stop.signal,
  });
  if (answer.status === 401 && again) return shown(form, false);
  if (!answer.ok) return false;
  const { next } = await answer.json();
  if (!stop.signal.aborted) location.assign(next);
  return true;
}

try {
  for (const form of document.querySelectorAll("form[data-ticket]")) if (await shown(form)) break;
} catch {
  // No ticket, no network, or no time left: the form is there.
}
