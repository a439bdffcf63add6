// Changes Sphinx's search. See dev/docs/search.py.
if (typeof Search !== "undefined") {
  // Search for words of digits in a query, too.
  const parseQuery = Search._parseQuery;
  Search._parseQuery = (query) => {
    const parsed = parseQuery(query);
    const [, searchTerms, , highlightTerms] = parsed;
    for (const number of splitQuery(query).filter((word) => /^\d+$/.test(word))) {
      searchTerms.add(number);
      highlightTerms.add(number);
    }
    return parsed;
  };

  // A result that leads to a section shows its title, as in "Errors > IP1RateLimitError".
  const performSearch = Search._performSearch;
  Search._performSearch = (...terms) => {
    const { alltitles, docnames } = Search._index;
    const sections = new Map();
    for (const [section, places] of Object.entries(alltitles)) {
      for (const [page, id] of places) sections.set(`${docnames[page]}#${id}`, section);
    }
    return performSearch(...terms).map((result) => {
      const [page, title, anchor] = result;
      const section = sections.get(page + anchor);
      if (section && !title.endsWith(section)) result[1] = `${title} > ${section}`;
      return result;
    });
  };
}
