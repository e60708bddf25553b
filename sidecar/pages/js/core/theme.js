/* Before the first paint: the theme that was chosen here, else the system's. No module, so that nothing flashes.
 *
 * <script src="static/js/core/theme.js"></script> in the head, before the style sheets. Buttons: [data-theme-toggle].
 */
(() => {
  const KEPT = "giliran-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  const kept = () => {
    try {
      return localStorage.getItem(KEPT);
    } catch {
      return null; // storage may be forbidden: then the system's
    }
  };
  const shown = () => root.dataset.theme ?? (system.matches ? "dark" : "light");

  const put = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
    for (const button of document.querySelectorAll("[data-theme-toggle]")) button.dataset.shows = shown();
  };

  const toggle = () => {
    const wanted = shown() === "dark" ? "light" : "dark";
    const matchesSystem = (wanted === "dark") === system.matches;
    try {
      if (matchesSystem) localStorage.removeItem(KEPT);
      else localStorage.setItem(KEPT, wanted);
    } catch {
      /* chosen for this page only */
    }
    put(matchesSystem ? null : wanted);
  };

  put(kept());
  system.addEventListener("change", () => put(root.dataset.theme));
  addEventListener("storage", (event) => event.key === KEPT && put(event.newValue));
  addEventListener("DOMContentLoaded", () => put(root.dataset.theme));
  addEventListener("click", (event) => event.target.closest?.("[data-theme-toggle]") && toggle());
})();
