/**
 * Which rows are shown. It stands in the URL, and can be typed: `server:jira end:denied since:1h word`.
 */
import { type Entry, type Row, textOf } from './entry';

export interface Filter {
  app?: string | undefined;
  end?: string | undefined;
  gateway?: string | undefined;
  kind?: string | undefined;
  q?: string | undefined;
  rule?: string | undefined;
  server?: string | undefined;
  since?: string | undefined;
  tool?: string | undefined;
  until?: string | undefined;
  user?: string | undefined;
}

/** What one can filter by, in the order in which it is offered. */
export const FACETS = ['kind', 'end', 'app', 'user', 'gateway', 'server', 'tool', 'rule'] as const;
export type Facet = (typeof FACETS)[number];

/** How many rows have each value, as far as they have been seen. */
export type Facets = Record<Facet, Map<string, number>>;

/** Names of the filter that are typed before a colon. */
const NAMES = [...FACETS, 'since', 'until'] as const;

/** The `end` of calls that are under way. */
export const UNDER_WAY = 'under_way';
/** The ends of calls that somebody's decision has stopped, whose common name is `denied`. */
export const DENIED = 'denied';
const DENIALS = new Set([
  'address',
  'gate_closed',
  'host',
  'limited',
  'missing_capability',
  'no_identity',
  'not_permitted',
  'origin',
  'policy',
  'rule_block',
  'switched_off',
  'unapproved',
  'unauthenticated',
  'withdrawn',
]);

export function isDenied(row: Row): boolean {
  return row.type === 'call' && DENIALS.has(row.end);
}

/** What is typed, taken apart. A word whose name nobody knows is a word to look for. */
export function readQuery(text: string): Filter {
  const filter: Filter = {};
  const words: string[] = [];
  for (const [token, name, quoted, plain] of text.matchAll(TOKEN)) {
    const known = NAMES.find((it) => it === name);
    const value = quoted ?? plain ?? '';
    if (known && value !== '') filter[known] = value;
    else words.push(token);
  }
  if (words.length > 0) filter.q = words.join(' ');
  return filter;
}

/** The other way round: the one spelling of a filter. */
export function writeQuery(filter: Filter): string {
  const named = NAMES.flatMap((name) => {
    const value = filter[name];
    if (value === undefined) return [];
    return [`${name}:${/[\s"]/.test(value) ? `"${value.replaceAll('"', '')}"` : value}`];
  });
  return [...named, ...(filter.q ? [filter.q] : [])].join(' ');
}

const TOKEN = /(?:(\w+):(?:"([^"]*)"|(\S*)))|\S+/g;

/** `90s`, `15m`, `1h` and `7d` are that long ago; all else is a time, or nothing. */
export function readTime(text: string | undefined, now: number): number | null {
  if (text === undefined) return null;
  const ago = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = UNITS[ago?.[2] ?? ''];
  if (ago && unit) return now - Number(ago[1]) * unit;
  const time = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}

const UNITS: Record<string, number | undefined> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A filter that is ready to be asked of many rows. */
export function matcher(filter: Filter, now: number): (row: Row) => boolean {
  const since = readTime(filter.since, now) ?? Number.NEGATIVE_INFINITY;
  const until = readTime(filter.until, now) ?? Number.POSITIVE_INFINITY;
  const wanted = filter.q?.trim().toLowerCase() ?? '';
  const facets = FACETS.filter((it) => filter[it] !== undefined);
  return (row) => {
    // Notes are always shown: a filter must not hide that something is missing.
    if (row.type === 'note') return true;
    if (row.at < since || row.at >= until) return false;
    if (!facets.every((it) => hasValue(row, it, filter[it] ?? ''))) return false;
    return wanted === '' || wordsOf(row).includes(wanted);
  };
}

export function matches(row: Row, filter: Filter, now = Date.now()): boolean {
  return matcher(filter, now)(row);
}

/** What there is to choose among. */
export function facetsOf(rows: readonly Row[]): Facets {
  const facets = Object.fromEntries(FACETS.map((it) => [it, new Map()])) as Facets;
  for (const row of rows) {
    for (const facet of FACETS) {
      for (const value of valuesOf(row, facet)) {
        if (value) facets[facet].set(value, (facets[facet].get(value) ?? 0) + 1);
      }
    }
  }
  return facets;
}

/** What is chosen stays on offer, also when no row has it any more. */
export function withChosen(seen: Facets, filter: Filter): Facets {
  const chosen = FACETS.filter((it) => filter[it] !== undefined && !seen[it].has(filter[it]));
  const added = chosen.map((it) => [it, new Map([...seen[it], [filter[it] ?? '', 0]])] as const);
  return { ...seen, ...(Object.fromEntries(added) as Partial<Facets>) };
}

function hasValue(row: Row, facet: Facet, value: string): boolean {
  if (facet === 'end' && value === DENIED) return isDenied(row);
  return valuesOf(row, facet).includes(value);
}

function valuesOf(row: Row, facet: Facet): readonly string[] {
  if (row.type === 'note') return [];
  if (row.type === 'act') return facet === 'kind' ? [row.entry.kind] : [];
  switch (facet) {
    case 'kind':
      return CALL;
    case 'end':
      return [row.end || UNDER_WAY];
    case 'user':
      return [textOf(row.intent, 'user')];
    case 'tool':
      return [row.tool];
    case 'rule':
      return row.rules;
    case 'app':
    case 'gateway':
    case 'server':
      return [row[facet]];
  }
}

function wordsOf(row: Exclude<Row, { type: 'note' }>): string {
  if (row.type === 'act') return `${row.actor} ${row.subject}`.toLowerCase();
  const { app, gateway, server, subject, end } = row;
  const ids = `${idOf(row.intent ?? row.outcome)} ${textOf(row.outcome, 'detail')}`;
  return `${app} ${gateway} ${server} ${subject} ${end || UNDER_WAY} ${ids}`.toLowerCase();
}

function idOf(entry: Entry | null): string {
  return entry ? `${textOf(entry, 'call')} ${textOf(entry, 'peer')}` : '';
}

const CALL = ['call'];
