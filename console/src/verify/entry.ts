/**
 * An entry of a log: 36 bytes of head, then the leaf, one line of JSON. Numbers are big-endian.
 *
 * | bytes | what |
 * |---|---|
 * | 0 | version of the form, 1 |
 * | 1 | kind: 1 intent, 2 outcome, 3 admin, 4 system |
 * | 2 | flags: bit 0, the clock stood before an earlier record |
 * | 3 | 0 |
 * | 4..20 | workspace |
 * | 20..28 | time, milliseconds since 1970 |
 * | 28..36 | sequence |
 */
import { toHex } from './bytes.ts';
import { Disproof } from './disproof.ts';

export interface LogEntry {
  kind: string;
  isClockSuspect: boolean;
  workspace: string;
  at: bigint;
  sequence: bigint;
  /** As it stands in the log. */
  leaf: string;
  /** What the leaf says; its text where it is no JSON. */
  record: unknown;
}

/** What a page shows of a record. */
export interface Shown {
  index: number | null;
  sequence: number;
  /** As the API writes it. */
  time: string;
  clock_suspect: boolean;
  kind: string;
  record: unknown;
}

export function readEntry(bytes: Uint8Array): LogEntry {
  if (bytes.length < HEAD) throw bad('it is too short');
  const head = new DataView(bytes.buffer, bytes.byteOffset, HEAD);
  const kind = KINDS[head.getUint8(1)];
  const flags = head.getUint8(2);
  if (head.getUint8(0) !== 1 || head.getUint8(3) !== 0 || flags > 1 || kind === undefined) {
    throw bad('it is of a form that this page does not know');
  }
  const id = toHex(bytes.slice(4, 20));
  const leaf = decoded(bytes.slice(HEAD));
  if (leaf === null) throw bad('it is not UTF-8');
  return {
    kind,
    isClockSuspect: flags === 1,
    workspace: id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    at: head.getBigInt64(20),
    sequence: head.getBigUint64(28),
    leaf,
    record: parsed(leaf),
  };
}

/** Where what is shown is not what is in the log: the name of the first member; else `null`. */
export function findDifference(entry: LogEntry, index: bigint, shown: Shown): string | null {
  if (shown.index === null || BigInt(shown.index) !== index) return 'index';
  if (BigInt(shown.sequence) !== entry.sequence) return 'sequence';
  if (BigInt(Date.parse(shown.time) || 0) !== entry.at) return 'time';
  if (shown.clock_suspect !== entry.isClockSuspect) return 'clock_suspect';
  if (shown.kind !== entry.kind) return 'kind';
  return differing(entry.record, shown.record);
}

function differing(own: unknown, shown: unknown): string | null {
  if (!isObject(own) || !isObject(shown)) return isSame(own, shown) ? null : 'record';
  const names = new Set([...Object.keys(own), ...Object.keys(shown)]);
  for (const name of names) {
    const isInBoth = Object.hasOwn(own, name) && Object.hasOwn(shown, name);
    if (!isInBoth || !isSame(own[name], shown[name])) return name;
  }
  return null;
}

function isSame(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((it, place) => isSame(it, other[place]));
  }
  if (isObject(one) && isObject(other)) return differing(one, other) === null;
  return Object.is(one, other);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsed(leaf: string): unknown {
  try {
    return JSON.parse(leaf) as unknown;
  } catch {
    return leaf;
  }
}

function decoded(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function bad(what: string): Disproof {
  return new Disproof('record', `the entry is no record: ${what}`);
}

const HEAD = 36;
const KINDS: Record<number, string | undefined> = {
  1: 'intent',
  2: 'outcome',
  3: 'admin',
  4: 'system',
};
