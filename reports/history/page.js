"use strict";
{
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
