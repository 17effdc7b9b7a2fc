"use strict";
// Everything except sorting, filtering and exporting works without this script.

// The table of all rows of a run.
for (const records of document.querySelectorAll(".records")) {
  const table = records.querySelector("table.sortable");
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const first = [...body.rows];
  const filter = records.querySelector(".filter");
  const search = filter.querySelector("input");
  const count = filter.querySelector(".count");
  const all = records.querySelector("a.export");
  const key = (row, index) => row.cells[index].dataset.key ?? row.cells[index].textContent;

  const sort = (index) => {
    const heading = headings[index];
    const before = heading.getAttribute("aria-sort");
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    if (before === "descending") {
      body.append(...first);
      return;
    }
    const sign = before === "ascending" ? -1 : 1;
    heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const numeric = heading.classList.contains("number");
    const order = (a, b) => {
      const [x, y] = [key(a, index), key(b, index)];
      if (x === "" || y === "") return (x === "") - (y === ""); // missing values come last in both directions
      return sign * (numeric ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true }));
    };
    body.append(...[...first].sort(order));
  };
  headings.forEach((heading, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sort(index));
    heading.replaceChildren(button);
  });

  const text = new Map(first.map((row) => [row, [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase()]));
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of first) row.hidden = !words.every((word) => text.get(row).includes(word));
    count.textContent = `${first.filter((row) => !row.hidden).length} of ${first.length} rows`;
  };
  search.addEventListener("input", show);
  filter.hidden = false;
  show();

  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "export-shown";
  button.textContent = "Rows and columns shown, as CSV";
  button.addEventListener("click", () => {
    const indices = headings.flatMap((heading, index) => (getComputedStyle(heading).display === "none" ? [] : [index]));
    const lines = [indices.map((index) => headings[index].textContent)];
    for (const row of body.rows) if (!row.hidden) lines.push(indices.map((index) => key(row, index)));
    const csv = lines.map((line) => line.map(quoted).join(",") + "\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
    link.download = all.download.replace(/\.csv$/, "-shown.csv");
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
  all.after(button);
}

// The series of a history.
if (document.getElementById("tools")) {
  const element = (id) => document.getElementById(id);
  const settings = [...document.querySelectorAll(".setting")].map((section) => ({
    section,
    cells: [...section.querySelectorAll(".cell")],
  }));
  const orders = {
    newest: (a, b) => b.dataset.newest - a.dataset.newest,
    largest: (a, b) => b.dataset.largest - a.dataset.largest,
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, "en", { numeric: true }),
  };

  const filter = () => {
    const wanted = element("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0, all = 0;
    for (const { section, cells } of settings) {
      let own = 0;
      for (const cell of cells) {
        const name = cell.dataset.name.toLowerCase();
        const fits = wanted.every((word) => name.includes(word)) && (!element("changed").checked || cell.dataset.newest >= 0);
        cell.hidden = !fits;
        own += fits;
      }
      section.hidden = !own;
      shown += own;
      all += cells.length;
    }
    element("count").textContent = `${shown} of ${all}`;
  };

  const sort = () => {
    const order = orders[element("order").value];
    for (const { section, cells } of settings) section.append(...(order ? [...cells].sort(order) : cells));
  };

  element("tools").addEventListener("submit", (event) => event.preventDefault());
  element("search").addEventListener("input", filter);
  element("changed").addEventListener("change", filter);
  element("order").addEventListener("change", sort);
  window.addEventListener("hashchange", () => {
    const cell = element(location.hash.slice(1));
    if (cell && cell.hidden) {
      element("search").value = "";
      element("changed").checked = false;
      filter();
      cell.scrollIntoView();
    }
  });
  element("tools").hidden = false;
  filter();
}
