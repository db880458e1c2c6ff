/** In what two states of a thing differ, member by member, and how two changes come together. */

export type Members = Record<string, unknown>;

export interface Difference {
  member: string;
  /** `undefined` where there is none. */
  before: unknown;
  after: unknown;
}

/** What the gateway says by itself: it is no part of a change. */
const TOLD = new Set(['id', 'created_at', 'status', 'off']);

export function differences(before: Members | null, after: Members | null): Difference[] {
  const members = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  const found: Difference[] = [];
  for (const member of [...members].toSorted()) {
    if (TOLD.has(member)) continue;
    const was = own(before, member);
    const becomes = own(after, member);
    if (!isSame(was, becomes)) found.push({ member, before: was, after: becomes });
  }
  return found;
}

/** A member that both have changed, in different ways. */
export interface Conflict {
  member: string;
  base: unknown;
  mine: unknown;
  theirs: unknown;
}

export interface Merge {
  conflicts: Conflict[];
  /** What they have changed, and this change does not touch. */
  theirs: Difference[];
}

/** `mine` are the members that a change sets; the others stay as they are now. */
export function merge(base: Members, mine: Members, theirs: Members): Merge {
  const moved = differences(base, theirs);
  const conflicts: Conflict[] = [];
  const others: Difference[] = [];
  for (const it of moved) {
    if (!Object.hasOwn(mine, it.member)) others.push(it);
    else if (!isSame(own(mine, it.member), it.after)) {
      const { member, before, after } = it;
      conflicts.push({ member, base: before, mine: own(mine, member), theirs: after });
    }
  }
  return { conflicts, theirs: others };
}

/** The change without the members for which theirs has been chosen. */
export function withTheirs(mine: Members, chosen: ReadonlySet<string>): Members {
  return Object.fromEntries(Object.entries(mine).filter(([member]) => !chosen.has(member)));
}

/** For people: texts as they are, all else as JSON, with what cannot be seen left for `Visible`. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, undefined, 2);
}

function isSame(a: unknown, b: unknown): boolean {
  // A member that is absent and one that is null mean the same to the API.
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

function own(members: Members | null, name: string): unknown {
  return members && Object.hasOwn(members, name) ? members[name] : undefined;
}
