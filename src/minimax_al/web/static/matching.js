/** Search of a name by typed letters. */

/** The text without regard to case and accents. */
export const fold = (text) => text.trim().toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");

/** Rank of a folded name: 0 if the wanted letters are at its start, 1 at a word's start, 2 elsewhere, else Infinity. */
export function rank(name, wanted) {
  const place = name.indexOf(wanted);
  if (place <= 0) return place === 0 ? 0 : Infinity;
  return /[\s_\-./]/.test(name[place - 1]) ? 1 : 2;
}
