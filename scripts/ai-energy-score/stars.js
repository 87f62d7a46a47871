/** The rating of a score among those of other models. */

/**
 * Returns 1 to 5 stars: the range from the lowest to the highest score is cut into five equal parts, and the lowest part
 * has 5 stars. A score on a border belongs to the part above it, which has fewer stars. Returns `undefined` if the range
 * is empty.
 */
export function starsOf(score, others) {
  const all = [score, ...others];
  const [lowest, highest] = [Math.min(...all), Math.max(...all)];
  if (!(highest > lowest)) return undefined;
  const part = Math.floor((5 * (score - lowest)) / (highest - lowest));
  return 5 - Math.min(part, 4);
}

/** Parses scores separated by commas. Returns `undefined` if one is no number above 0. */
export function parseScores(text) {
  if (text.trim() === "") return [];
  const scores = text.split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  return scores.every((score) => Number.isFinite(score) && score > 0) ? scores : undefined;
}
