/* Small manners of the report pages: filters apply when changed, links can be copied, rows have keys.
   Every key also has a visible link or button, so that pages work without this file. */
(() => {
  "use strict";

  const typing = (node) => node.closest("input, textarea, select, [contenteditable]");

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-filters]");
    if (form) form.requestSubmit ? form.requestSubmit() : form.submit();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-filters]");
    if (!form) return;
    for (const field of form.elements) if (field.name && field.value === "") field.disabled = true;
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-copy-link]");
    if (!link || !navigator.clipboard) return;
    event.preventDefault();
    navigator.clipboard.writeText(location.href).then(() => {
      const was = link.textContent;
      link.textContent = "✓ " + was;
      setTimeout(() => (link.textContent = was), 1500);
    });
  });

  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-check-all]");
    if (!all) return;
    for (const box of document.querySelectorAll(all.dataset.checkAll)) box.checked = all.checked;
  });

  // A part that renews itself waits while somebody is in it: the focus and what is open would be lost.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!event.target.matches("[data-live]")) return;
    const parts = [...document.querySelectorAll("[data-live]")];
    const busy = parts.some((part) => part.contains(document.activeElement) || part.querySelector("details[open]"));
    if (busy || document.hidden) event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const rows = [...document.querySelectorAll("[data-row]")];
    const at = rows.findIndex((row) => row.classList.contains("cur"));
    const step = { j: 1, k: -1 }[event.key];
    if (step && rows.length) {
      const next = rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
      const link = next.querySelector("a[href]");
      if (link) {
        event.preventDefault();
        link.focus();
        for (const row of rows) row.classList.toggle("cur", row === next);
        next.scrollIntoView({ block: "nearest" });
      }
      return;
    }
    const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (button) {
      event.preventDefault();
      button.click();
    }
  });
})();
