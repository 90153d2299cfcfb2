"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // Light, dark, or as the system has it.
  const button = byId("theme");
  const themes = ["auto", "light", "dark"];
  const dress = (theme) => {
    if (theme === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
    button.textContent = "Theme: " + theme;
  };
  let theme = "auto";
  try { theme = themes.includes(localStorage.theme) ? localStorage.theme : "auto"; } catch { /* a file may have no storage */ }
  dress(theme);
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    dress(theme);
    try { localStorage.theme = theme; } catch { /* then it holds until the page is left */ }
  });

  // Filters: what carries a class that is switched off is not shown.
  const hidden = document.createElement("style");
  document.head.append(hidden);
  const boxes = [...document.querySelectorAll(".filters input")];
  const facets = JSON.parse(byId("facets").textContent);
  const count = byId("count");
  const filter = () => {
    const off = new Set(boxes.filter((b) => !b.checked).map((b) => b.value));
    const hide = [...off].map((c) => "main section ." + c).join(",");
    hidden.textContent = hide ? hide + "{display:none!important}" : "";
    let shown = 0;
    let all = 0;
    for (const [classes, n] of facets) {
      all += n;
      if (!classes.split(" ").some((c) => off.has(c))) shown += n;
    }
    count.textContent = shown.toLocaleString("en") + " of " + all.toLocaleString("en") + " cases shown";
  };
  boxes.forEach((b) => b.addEventListener("change", filter));
  byId("all").addEventListener("click", () => { boxes.forEach((b) => { b.checked = true; }); filter(); });
  filter();
  if (matchMedia("(max-width: 800px)").matches) document.querySelector(".filters").open = false;

  // What a mark says, beside it.
  const tip = byId("tip");
  const markOf = (node) => node instanceof Element ? node.closest("figure .m[aria-label]") : null;
  const tell = (mark) => {
    if (!mark) { tip.hidden = true; return; }
    tip.textContent = mark.getAttribute("aria-label");
    tip.hidden = false;
    const at = mark.getBoundingClientRect();
    const box = tip.getBoundingClientRect();
    const x = Math.min(Math.max(12, at.left + at.width / 2 - box.width / 2), innerWidth - box.width - 12);
    const above = at.top - box.height - 10;
    tip.style.left = x + "px";
    tip.style.top = (above > 56 ? above : at.bottom + 10) + "px";
  };
  document.addEventListener("pointerover", (e) => tell(markOf(e.target)));
  document.addEventListener("focusin", (e) => tell(markOf(e.target)));
  addEventListener("scroll", () => tell(markOf(document.activeElement)), { passive: true });

  // In a figure the arrow keys go from mark to mark, Escape leaves.
  document.addEventListener("keydown", (e) => {
    const svg = e.target instanceof Element ? e.target.closest("figure svg") : null;
    if (!svg) return;
    if (e.key === "Escape") { svg.focus(); tell(null); return; }
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    if (!by) return;
    const marks = [...svg.querySelectorAll(".m[aria-label]")].filter((m) => m.getClientRects().length);
    if (!marks.length) return;
    e.preventDefault();
    const at = marks.indexOf(e.target.closest(".m"));
    const next = at < 0 ? (by > 0 ? 0 : marks.length - 1) : (at + by + marks.length) % marks.length;
    marks[next].focus({ preventScroll: true });
  });

  // A click on a table's head sorts by it.
  document.addEventListener("click", (e) => {
    const head = e.target instanceof Element ? e.target.closest("th") : null;
    if (!head) return;
    const i = [...head.parentNode.children].indexOf(head);
    const body = head.closest("table").tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => {
      const cell = row.cells[i];
      return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent;
    };
    const sign = down ? -1 : 1;
    const order = (a, b) => a === "" || b === "" ? (a === "" ? 1 : 0) - (b === "" ? 1 : 0) : sign * compare(a, b);
    const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
      : typeof a === "number" ? -1 : typeof b === "number" ? 1 : a.localeCompare(b, "en", { numeric: true });
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort((a, b) => order(a[0], b[0]));
    body.append(...rows.map((r) => r[1]));
  });
})();
