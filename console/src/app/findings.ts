/** What the palette can find, and which of it comes first. */

export interface Finding {
  name: string;
  /** What it is, in a word. */
  kind: string;
  /** Where it leads. */
  path: string;
  /** Something that is done: it comes up only when it is asked for. */
  isDeed?: boolean;
}

/** More would only have to be scrolled past. */
const MOST = 50;

/** All words must be in the name or the kind; what begins with the first one comes first. */
export function search(findings: Finding[], wanted: string): Finding[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const first = words[0];
  if (first === undefined) return findings.filter((it) => !it.isDeed).slice(0, MOST);
  const ranked: [number, Finding][] = [];
  for (const it of findings) {
    const name = it.name.toLowerCase();
    const text = `${name} ${it.kind}`;
    if (!words.every((word) => text.includes(word))) continue;
    const place = name.startsWith(first) ? 0 : name.split(/[\s-]/).some(begins(first)) ? 1 : 2;
    // Of a name alone one wants the thing; what is done to it stands below.
    const isMeant = it.isDeed && /^(?:t(?:u|ur|urn)?|off?)$/.test(first);
    ranked.push([place * 2 + (it.isDeed && !isMeant ? 7 : 0), it]);
  }
  return ranked
    .toSorted(([a], [b]) => a - b)
    .slice(0, MOST)
    .map(([, it]) => it);
}

function begins(word: string) {
  return (text: string) => text.startsWith(word);
}
