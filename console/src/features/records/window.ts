/**
 * The last rows of the tail: bounded, in order, with calls put together.
 *
 * An outcome goes into the row of its intent. When the window is full its oldest rows leave, and
 * are counted.
 */
import { callOf, type Call, type Entry, type Row, toAct, toCall } from './entry';

/** Rows kept. A person looks at fewer, and a browser tab holds these without effort. */
export const MOST_ROWS = 5_000;

export class Window {
  private rows: Row[] = [];
  /** The ordinal of the first row: it falls when rows leave, and rises when older ones come. */
  private left = 0;
  private gone = 0;
  private readonly ordinals = new Map<string, number>();
  private last = -1;
  private notes = 0;

  /** Adds what has not been seen yet. New entries come in the order of their sequence. */
  push(entry: Entry) {
    if (entry.sequence <= this.last) {
      this.relearn(entry);
      return;
    }
    this.last = entry.sequence;
    const call = callOf(entry);
    const key = call ?? `sequence-${entry.sequence}`;
    const place = this.placeOf(key);
    const known = place === null ? undefined : this.rows[place];
    const row = call === null ? toAct(entry) : joined(call, known, entry);
    if (place === null) {
      this.ordinals.set(key, this.left + this.rows.length);
      this.rows.push(row);
    } else {
      this.rows[place] = row;
    }
  }

  /** Takes a record again that has got its index since. Others are left alone. */
  relearn(entry: Entry) {
    const call = callOf(entry);
    const place = this.placeOf(call ?? `sequence-${entry.sequence}`);
    const known = place === null ? undefined : this.rows[place];
    if (place === null || !holds(known, entry)) return;
    this.rows[place] = call === null ? toAct(entry) : joined(call, known, entry);
  }

  /**
   * Puts what is older before the rest, oldest first; gives how many it took. A full window takes
   * nothing, or newer rows would leave for older ones.
   */
  prepend(entries: readonly Entry[]): number {
    const older: Row[] = [];
    const places = new Map<string, number>();
    for (const entry of entries) {
      const call = callOf(entry);
      const key = call ?? `sequence-${entry.sequence}`;
      const place = this.placeOf(key);
      const known = place === null ? older[places.get(key) ?? -1] : this.rows[place];
      const row = call === null ? toAct(entry) : joined(call, known, entry);
      if (place !== null) this.rows[place] = row;
      else if (known) older[places.get(key) ?? 0] = row;
      else places.set(key, older.push(row) - 1);
    }
    const room = Math.max(0, MOST_ROWS - this.rows.length);
    const taken = room > 0 ? older.slice(-room) : [];
    this.rows = [...taken, ...this.rows];
    this.left -= taken.length;
    for (const [place, row] of taken.entries()) this.ordinals.set(row.key, this.left + place);
    return taken.length;
  }

  /** The time of the oldest record; where there is none, nothing is older. */
  get oldest(): number {
    return this.rows.find((row) => row.type !== 'note')?.at ?? Number.NEGATIVE_INFINITY;
  }

  /** Whether older rows have room. */
  get isFull(): boolean {
    return this.rows.length >= MOST_ROWS;
  }

  /** Says something in the midst of the rows. */
  note(text: string, at: number) {
    this.notes += 1;
    this.rows.push({ type: 'note', key: `note-${this.notes}`, at, text });
  }

  /** Drops the oldest rows beyond the bound. Called once per batch, since it moves the rest. */
  trim() {
    const surplus = this.rows.length - MOST_ROWS;
    if (surplus <= 0) return;
    for (const row of this.rows.slice(0, surplus)) this.ordinals.delete(row.key);
    this.rows = this.rows.slice(surplus);
    this.left += surplus;
    this.gone += surplus;
  }

  /** A copy that does not change. */
  snapshot(): readonly Row[] {
    return this.rows.slice();
  }

  /** Rows that have left the window. */
  get forgotten(): number {
    return this.gone;
  }

  /** The last sequence seen; -1 before any. */
  get lastSequence(): number {
    return this.last;
  }

  private placeOf(key: string): number | null {
    const ordinal = this.ordinals.get(key);
    return ordinal === undefined ? null : ordinal - this.left;
  }
}

/** Whether a row has this record already: then it comes again with its index. */
function holds(row: Row | undefined, { sequence, index }: Entry): boolean {
  if (index === null || row === undefined || row.type === 'note') return false;
  const entries = row.type === 'act' ? [row.entry] : [row.intent, row.outcome];
  return entries.some((it) => it?.sequence === sequence);
}

function joined(key: string, known: Row | undefined, entry: Entry): Call {
  const call = known?.type === 'call' ? known : null;
  return entry.kind === 'intent'
    ? toCall(key, entry, call?.outcome ?? null)
    : toCall(key, call?.intent ?? null, entry);
}
