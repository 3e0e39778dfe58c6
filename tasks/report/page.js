"use strict";
(() => {
  const save = (name, type, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  // A cell's value: its number where it has one, else its text. Empty cells come last.
  const value = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent;
  };
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    return typeof a === "number" && typeof b === "number"
      ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  };

  const sortBy = (head, column) => {
    const table = head.closest("table"), body = table.tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => (a === "" || b === "" ? compare(a, b) : (down ? -1 : 1) * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
  };

  const field = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const csv = (table) => [...table.rows].map((row) => [...row.cells].map((cell) =>
    field("v" in cell.dataset ? cell.dataset.v : cell.textContent)).join(",")).join("\n") + "\n";

  for (const box of document.querySelectorAll(".table")) {
    const table = box.querySelector("table");
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.querySelector("button")?.addEventListener("click", () => sortBy(head, column));
    });
    box.querySelector(".csv").addEventListener("click", () =>
      save(box.dataset.name + ".csv", "text/csv", csv(table)));
    box.querySelector("input")?.addEventListener("input", (event) => {
      const words = event.target.value.toLowerCase().split(/\s+/);
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
  }

  for (const figure of document.querySelectorAll("figure")) {
    figure.querySelector(".svg").addEventListener("click", () => {
      const svg = figure.querySelector("svg").cloneNode(true);
      svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
      svg.style.color = "#1b1f24";
      svg.style.background = "#ffffff";
      save(figure.dataset.name + ".svg", "image/svg+xml", svg.outerHTML);
    });
  }
})();
