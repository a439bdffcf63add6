// On a phone, a table that is wider than its place becomes a list: pages.css shows each cell below its row's first one.
const phone = matchMedia("(max-width: 48em)");
const fitTables = () => {
  for (const table of document.querySelectorAll("div.table-wrapper > table")) {
    table.classList.remove("stacked");
    const { scrollWidth, clientWidth } = table.parentElement;
    table.classList.toggle("stacked", phone.matches && scrollWidth > clientWidth);
  }
};
for (const table of document.querySelectorAll("div.table-wrapper > table")) {
  const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.cells].forEach((cell, column) => {
      cell.dataset.label = cell.textContent.trim() && heads[column];
    });
  }
}
fitTables();
addEventListener("resize", fitTables);
