/* What the pages need for the keyboard and for narrow screens, beside what the theme does. */

"use strict";

/* A formula within a line cannot be broken: one that is wider than its line scrolls in a box of its
   own. Formulas that scroll, and no others, are stops for the keyboard. */
function markWideFormulas(article) {
  const room = element => {
    while (getComputedStyle(element).display.startsWith("inline")) element = element.parentElement;
    const style = getComputedStyle(element);
    return element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  };
  const inLines = [...article.querySelectorAll("mjx-container:not([display])")].map(formula => {
    const width = formula.querySelector("mjx-math")?.getBoundingClientRect().width ?? 0;
    return [formula, width > room(formula.parentElement) + 1];
  });
  const between = [...article.querySelectorAll("div.math")].map(box => {
    return [box, box.scrollWidth > box.clientWidth];
  });
  for (const [formula, wide] of inLines) formula.classList.toggle("wide-formula", wide);
  for (const [element, scrolls] of [...inLines, ...between]) {
    if (scrolls) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  }
}

/* The theme takes the focus from a button that opens a dialog, and so cannot give it back. */
function returnFocusToOpener(selector, dialog) {
  for (const button of document.querySelectorAll(selector)) {
    button.addEventListener("click", () => {
      dialog?.addEventListener("close", () => button.focus(), { once: true });
    });
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const article = document.querySelector(".bd-article");
  if (article) {
    const mark = () => requestAnimationFrame(() => markWideFormulas(article));
    new ResizeObserver(mark).observe(article); // also when formulas are set, or a fold opens
  }
  for (const [selector, id] of [
    [".primary-toggle", "pst-primary-sidebar-modal"],
    [".secondary-toggle", "pst-secondary-sidebar-modal"],
    [".search-button__button", "pst-search-dialog"],
  ]) returnFocusToOpener(selector, document.getElementById(id));
});
