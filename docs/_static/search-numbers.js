// Sphinx's search ignores words of digits in a query. Search for them, too. See dev/docs/search.py.
if (typeof Search !== "undefined") {
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
}
