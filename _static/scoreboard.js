/* Sorting and filtering of the scoreboard. Without this script the page is complete: a table for
   each part. The script reads these tables, puts controls above them, hides the rows that a filter
   excludes, and shows all rows in one table when they are sorted. The choice is kept in the address. */

(function () {
  "use strict";

  const VERDICTS = ["supported", "not supported", "inconclusive", "not tested"];
  const PROFILES = ["quick", "cpu", "gpu", "timing"];
  const FILTERS = { part: "Part", paper: "Paper", verdict: "Verdict", profile: "Profile" };
  const NOT_RUN = "none";

  const tables = Array.from(document.querySelectorAll("table.scoreboard"));
  if (!tables.length) {
    return;
  }

  function make(name, attributes, ...content) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      node.setAttribute(key, value);
    }
    node.append(...content);
    return node;
  }

  function words(node) {
    return node ? node.textContent.trim().replace(/\s+/g, " ") : "";
  }

  /* Every row with what it is sorted and filtered by, in the order of the page. */
  function readRows() {
    const rows = [];
    for (const table of tables) {
      const section = table.closest("section");
      const part = words(section.querySelector("h2").firstChild);
      for (const body of table.tBodies) {
        const paper = words(body.querySelector("th.paper a") || body.querySelector("th.paper"));
        const link = body.querySelector("th.paper a");
        for (const row of body.querySelectorAll("tr[id]")) {
          const cells = row.cells;
          const profile = words(cells[5]);
          rows.push({
            row, body, section, part, paper, link,
            order: rows.length,
            claim: words(cells[0]),
            verdict: words(cells[4].querySelector(".verdict")),
            profile: PROFILES.includes(profile) ? profile : NOT_RUN,
            date: (cells[6].querySelector("time") || { dateTime: "" }).dateTime,
            text: (part + " " + paper + " " + row.id + " " + words(row)).toLowerCase(),
          });
        }
      }
    }
    return rows;
  }

  const rows = readRows();
  const parts = Array.from(new Set(rows.map((r) => r.part)));
  const rank = (order) => (a, b) => order.indexOf(a) - order.indexOf(b);
  const alphabet = (a, b) => a.localeCompare(b, "en");
  const COLUMNS = [
    { key: "part", title: "Part", compare: rank(parts) },
    { key: "paper", title: "Paper", compare: alphabet },
    { key: "claim", title: "Claim", compare: (a, b) => a.localeCompare(b, "en", { numeric: true }) },
    { key: "", title: "What the paper says" },
    { key: "", title: "Paper reports" },
    { key: "", title: "We measured" },
    { key: "verdict", title: "Verdict", compare: rank(VERDICTS) },
    { key: "profile", title: "Profile", compare: rank([...PROFILES, NOT_RUN]) },
    { key: "date", title: "Date", compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0) },
  ];

  /* What is chosen. `sort` is "" for the page's own order. */
  const state = { q: "", part: "", paper: "", verdict: "", profile: "", sort: "", down: false };
  const fields = {};

  function readAddress() {
    const given = new URLSearchParams(location.search);
    for (const key of ["q", ...Object.keys(FILTERS), "sort"]) {
      const value = given.get(key) || "";
      const known = key === "q" || Array.from(fields[key].options).some((o) => o.value === value);
      state[key] = known ? value : "";
      fields[key].value = state[key];
    }
    state.down = given.get("order") === "down";
  }

  function writeAddress() {
    const kept = new URLSearchParams();
    for (const key of ["q", ...Object.keys(FILTERS), "sort"]) {
      if (state[key]) {
        kept.set(key, state[key]);
      }
    }
    if (state.sort && state.down) {
      kept.set("order", "down");
    }
    const query = kept.toString();
    try {
      history.replaceState(null, "", location.pathname + (query ? "?" + query : "") + location.hash);
    } catch (error) {
      /* A browser may refuse this for a file; the controls work all the same. */
    }
  }

  /* The table of the sorted view; its rows are those of the page, with part and paper in front. */
  const heads = COLUMNS.map(({ key, title }) => {
    const words = key ? make("button", { type: "button", class: "sort-button" }, title) : title;
    if (key) {
      words.addEventListener("click", () => sortBy(key, state.sort === key && !state.down));
    }
    return make("th", { scope: "col" }, words);
  });
  const flatBody = make("tbody");
  const flat = make(
    "div",
    { class: "table-box", role: "region", "aria-label": "Claims, sorted", tabindex: "0" },
    make(
      "table",
      { class: "table scoreboard scoreboard-sorted" },
      make("caption", { class: "visually-hidden" }, "Claims of all papers, sorted"),
      make("thead", {}, make("tr", {}, ...heads)),
      flatBody,
    ),
  );
  flat.hidden = true;

  function sortBy(key, down) {
    state.sort = key;
    state.down = down;
    fields.sort.value = key;
    show();
  }

  /* The headings of the page's own tables begin the sorted view. */
  for (const table of tables) {
    Array.from(table.tHead.rows[0].cells).forEach((cell, k) => {
      const column = k + COLUMNS.length - table.tHead.rows[0].cells.length;
      if (COLUMNS[column].key) {
        const button = make("button", { type: "button", class: "sort-button" }, words(cell));
        button.addEventListener("click", () => {
          sortBy(COLUMNS[column].key, false);
          heads[column].firstChild.focus();
        });
        cell.replaceChildren(button);
      }
    });
  }

  function layOut() {
    rows.forEach((r) => r.row.querySelectorAll(".only-sorted").forEach((cell) => cell.remove()));
    if (!state.sort) {
      rows.forEach((r) => r.body.append(r.row));
      return;
    }
    const { key, compare } = COLUMNS.find((column) => column.key === state.sort);
    const sign = state.down ? -1 : 1;
    const sorted = rows.slice().sort((a, b) => sign * compare(a[key], b[key]) || a.order - b.order);
    for (const r of sorted) {
      const paper = make("td", { class: "only-sorted" }, r.link ? r.link.cloneNode(true) : r.paper);
      r.row.prepend(make("td", { class: "only-sorted" }, r.part), paper);
      flatBody.append(r.row);
    }
  }

  function matches(r) {
    const asked = state.q.toLowerCase().split(/\s+/);
    return (
      Object.keys(FILTERS).every((key) => !state[key] || r[key] === state[key]) &&
      asked.every((word) => r.text.includes(word))
    );
  }

  const status = make("p", { class: "scoreboard-status", role: "status" });

  function show() {
    layOut();
    let shown = 0;
    for (const r of rows) {
      r.row.hidden = !matches(r);
      shown += r.row.hidden ? 0 : 1;
    }
    flat.hidden = !state.sort;
    for (const table of tables) {
      for (const body of table.tBodies) {
        body.hidden = !body.querySelector("tr[id]:not([hidden])");
      }
      const some = Array.from(table.tBodies).some((body) => !body.hidden);
      table.closest("section").hidden = Boolean(state.sort) || !some;
    }
    heads.forEach((head, k) => {
      const sorted = COLUMNS[k].key && COLUMNS[k].key === state.sort;
      if (sorted) {
        head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      } else {
        head.removeAttribute("aria-sort");
      }
    });
    status.textContent = `${shown} of ${rows.length} claims shown`;
    writeAddress();
  }

  function field(key, label, input) {
    input.id = "scoreboard-" + key;
    fields[key] = input;
    input.addEventListener("input", () => {
      state[key] = input.value;
      if (key === "sort") {
        state.down = false;
      }
      show();
    });
    return make("div", { class: "scoreboard-field" }, make("label", { for: input.id }, label), input);
  }

  function choice(key, label, none, options) {
    const made = options.map(([value, name]) => make("option", { value }, name));
    return field(key, label, make("select", {}, make("option", { value: "" }, none), ...made));
  }

  function values(key) {
    const found = new Set(rows.map((r) => r[key]));
    const order = { part: parts, verdict: VERDICTS, profile: [...PROFILES, NOT_RUN] }[key];
    const list = order ? order.filter((v) => found.has(v)) : Array.from(found).sort(alphabet);
    return list.map((v) => [v, key === "profile" && v === NOT_RUN ? "not measured" : v]);
  }

  const reset = make("button", { type: "button", class: "scoreboard-reset" }, "Show all");
  reset.addEventListener("click", () => {
    Object.keys(fields).forEach((key) => {
      fields[key].value = state[key] = "";
    });
    state.down = false;
    show();
  });

  const sortable = COLUMNS.filter((column) => column.key);
  const controls = make(
    "form",
    { class: "scoreboard-controls", role: "search", "aria-label": "Claims" },
    field("q", "Words", make("input", { type: "search", autocomplete: "off" })),
    ...Object.entries(FILTERS).map(([key, label]) => choice(key, label, "all", values(key))),
    choice("sort", "Sort by", "book order", sortable.map((c) => [c.key, c.title])),
    reset,
  );
  controls.addEventListener("submit", (event) => event.preventDefault());

  /* A link to a row, from a chapter's box, must find it whatever is filtered. */
  function showTarget() {
    const target = rows.find((r) => "#" + r.row.id === decodeURIComponent(location.hash));
    if (target && target.row.hidden) {
      reset.click();
    }
    if (target) {
      target.row.scrollIntoView();
    }
  }

  tables[0].closest("section").before(controls, status, flat);
  readAddress();
  show();
  showTarget();
  window.addEventListener("hashchange", showTarget);
})();
