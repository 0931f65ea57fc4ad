/** Search as people type it: every word must be found; earlier, whole and contiguous matches come first. */

/** Answers a score (higher is better) or null when some word of `query` is not in `text`. */
export function score(query: string, text: string): number | null {
  const hay = text.toLowerCase();
  let total = 0;
  for (const word of query.toLowerCase().split(/\s+/)) {
    if (word === '') continue;
    const at = hay.indexOf(word);
    if (at >= 0) {
      const startsWord = at === 0 || /[\s:.\-_/]/.test(hay[at - 1]);
      total += 100 + (startsWord ? 50 : 0) - Math.min(at, 40);
      continue;
    }
    const gaps = spread(word, hay);
    if (gaps === null) return null;
    total += 20 - Math.min(gaps, 20);
  }
  return total;
}

/** The letters of `word` in order anywhere in `hay`: how many others lie between them, or null. */
function spread(word: string, hay: string): number | null {
  let from = -1;
  let gaps = 0;
  for (const letter of word) {
    const at = hay.indexOf(letter, from + 1);
    if (at < 0) return null;
    if (from >= 0) gaps += at - from - 1;
    from = at;
  }
  return gaps <= word.length * 6 ? gaps : null;
}

/** The items that match, best first; all of them in their order for an empty query. */
export function rank<T>(query: string, items: T[], text: (item: T) => string): T[] {
  if (query.trim() === '') return items;
  return items
    .map((item) => ({ item, score: score(query, text(item)) }))
    .filter((one): one is { item: T; score: number } => one.score !== null)
    .sort((a, b) => b.score - a.score)
    .map((one) => one.item);
}
