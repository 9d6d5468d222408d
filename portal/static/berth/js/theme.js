/* Sets light or dark before the first paint; loaded without `defer`, so that no page flashes.
 *
 * The choice is "light", "dark" or "auto" (follow the system) and lives in this browser only. */
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try {
      return localStorage.getItem("berth.theme") || "auto";
    } catch {
      return "auto"; // storage is refused in some private windows
    }
  };

  function apply() {
    const choice = stored();
    const theme = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
    if (root.dataset.bsTheme === theme) return;
    root.dataset.bsTheme = theme;
    document.dispatchEvent(new CustomEvent("berth:theme", { detail: theme }));
  }

  apply();
  system.addEventListener("change", apply);
  addEventListener("storage", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    try {
      localStorage.setItem("berth.theme", root.dataset.bsTheme === "dark" ? "light" : "dark");
    } catch {
      root.dataset.bsTheme = root.dataset.bsTheme === "dark" ? "light" : "dark";
    }
    apply();
  });
})();
