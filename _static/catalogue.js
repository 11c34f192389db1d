/* Filters of the catalogue, by words and by state. Without this script the page shows every table. */
(() => {
  const tables = [...document.querySelectorAll("table.papers")];
  if (!tables.length) return;

  const parts = tables.map((table) => ({
    section: table.closest("section"),
    rows: [...table.tBodies[0].rows].map((row) => ({
      row,
      words: fold(row.textContent),
      state: row.querySelector(".planned") ? "planned" : "runs",
    })),
  }));
  const all = parts.flatMap((part) => part.rows);

  const form = document.createElement("form");
  form.className = "catalogue-filter";
  form.setAttribute("role", "search");
  form.setAttribute("aria-label", "Papers of the catalogue");
  form.innerHTML =
    '<label>Search papers <input type="search" name="words" autocomplete="off"></label> ' +
    '<label>State <select name="state"><option value="">all</option>' +
    '<option value="runs">runs</option><option value="planned">planned</option></select></label> ' +
    '<output role="status"></output>';
  const said = form.querySelector("output");
  const first = parts[0].section;
  first.before(form);

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", show);
  show();

  function show() {
    const words = fold(form.elements.words.value).split(/\s+/).filter(Boolean);
    const state = form.elements.state.value;
    let shown = 0;
    for (const part of parts) {
      let left = 0;
      for (const entry of part.rows) {
        const fits =
          (!state || entry.state === state) && words.every((word) => entry.words.includes(word));
        entry.row.hidden = !fits;
        left += fits;
      }
      part.section.hidden = left === 0;
      shown += left;
    }
    said.textContent = `${shown} of ${all.length} papers shown`;
  }

  function fold(text) {
    return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  }
})();
