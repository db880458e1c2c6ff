/** In which words two texts differ: the shortest way from one to the other (Myers, 1986). */

export interface Part {
  text: string;
  kind: 'added' | 'removed' | 'same';
}

/** Longer ways are not looked for: then all of one text is replaced by all of the other. */
const MOST_STEPS = 1_500;

/** Words, runs of white space, and anything else character by character: so nothing hides in a word. */
export function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{N}_]+|[ \t]+|[\s\S]/gu) ?? [];
}

export function wordDiff(before: string, after: string): Part[] {
  const a = wordsOf(before);
  const b = wordsOf(after);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (
    end < a.length - start &&
    end < b.length - start &&
    a[a.length - 1 - end] === b[b.length - 1 - end]
  ) {
    end += 1;
  }
  const middle = steps(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return joined([
    ...a.slice(0, start).map((text): Part => ({ text, kind: 'same' })),
    ...middle,
    ...a.slice(a.length - end).map((text): Part => ({ text, kind: 'same' })),
  ]);
}

function steps(a: string[], b: string[]): Part[] {
  const all = (words: string[], kind: Part['kind']) => words.map((text): Part => ({ text, kind }));
  if (a.length === 0 || b.length === 0) return [...all(a, 'removed'), ...all(b, 'added')];
  const trace = search(a, b);
  return trace ? walk(a, b, trace) : [...all(a, 'removed'), ...all(b, 'added')];
}

/** How far one comes on each diagonal with each number of steps. */
function search(a: string[], b: string[]): Map<number, number>[] | null {
  const reach = new Map<number, number>([[1, 0]]);
  const trace: Map<number, number>[] = [];
  const most = Math.min(a.length + b.length, MOST_STEPS);
  for (let count = 0; count <= most; count += 1) {
    trace.push(new Map(reach));
    for (let diagonal = -count; diagonal <= count; diagonal += 2) {
      let x = entry(reach, diagonal, count);
      while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x += 1;
      reach.set(diagonal, x);
      if (x >= a.length && x - diagonal >= b.length) return trace;
    }
  }
  return null;
}

function entry(reach: Map<number, number>, diagonal: number, count: number): number {
  const below = reach.get(diagonal - 1) ?? -1;
  const above = reach.get(diagonal + 1) ?? -1;
  return diagonal === -count || (diagonal !== count && below < above) ? above : below + 1;
}

/** Back from the end along the way that was found. */
function walk(a: string[], b: string[], trace: Map<number, number>[]): Part[] {
  const found: Part[] = [];
  let [x, y] = [a.length, b.length];
  for (let count = trace.length - 1; count >= 0 && (x > 0 || y > 0); count -= 1) {
    const reach = trace[count] ?? new Map<number, number>();
    const diagonal = x - y;
    const from = entry(reach, diagonal, count);
    const isAdded =
      diagonal === -count ||
      (diagonal !== count && (reach.get(diagonal - 1) ?? -1) < (reach.get(diagonal + 1) ?? -1));
    const start = count === 0 ? 0 : from;
    while (x > start && y > start - diagonal && y > 0) {
      x -= 1;
      y -= 1;
      found.push({ text: a[x] ?? '', kind: 'same' });
    }
    if (count === 0) break;
    if (isAdded) {
      y -= 1;
      found.push({ text: b[y] ?? '', kind: 'added' });
    } else {
      x -= 1;
      found.push({ text: a[x] ?? '', kind: 'removed' });
    }
  }
  return found.toReversed();
}

function joined(parts: Part[]): Part[] {
  const found: Part[] = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (last?.kind === part.kind) last.text += part.text;
    else found.push({ ...part });
  }
  return found;
}
