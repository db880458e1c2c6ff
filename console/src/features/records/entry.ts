/** Records as they come from the API, and the rows that the page makes of them. */
import type { Schemas } from '@/api/client';

export type RecordBody = Schemas['RecordBody'];

/** A record with its members at hand. What it holds is foreign: nothing is taken for granted. */
export interface Entry {
  sequence: number;
  /** Its place in the workspace's log, where that is known yet. */
  index: number | null;
  at: number;
  isClockSuspect: boolean;
  kind: string;
  /** In the order in which they stand in the log. */
  members: [string, unknown][];
}

/** A call: what was meant, and what became of it. One of the two may be missing. */
export interface Call {
  type: 'call';
  key: string;
  at: number;
  intent: Entry | null;
  outcome: Entry | null;
  app: string;
  gateway: string;
  server: string;
  /** The tool, prompt or resource; else the method. */
  subject: string;
  /** Who has made it in the place of the app, to see what comes of it; empty for all others. */
  testBy: string;
  /** The tool, where it is one. */
  tool: string;
  /** The rules that have found something, by name. */
  rules: string[];
  /** How it ended; empty while it is under way. */
  end: string;
  isError: boolean;
  micros: number | null;
}

/** An administrative act, or something that the gateway did by itself. */
export interface Act {
  type: 'act';
  key: string;
  at: number;
  entry: Entry;
  actor: string;
  subject: string;
}

/** Something about the tail itself, such as records that it does not show. */
export interface Note {
  type: 'note';
  key: string;
  at: number;
  text: string;
}

export type Row = Call | Act | Note;

export function toEntry(body: RecordBody): Entry {
  const { record } = body;
  const members =
    typeof record === 'object' && record !== null && !Array.isArray(record)
      ? // Own members as data: `__proto__` is a name like any other here.
        Object.entries(record)
      : ([['record', record]] as [string, unknown][]);
  return {
    sequence: body.sequence,
    index: body.index ?? null,
    at: Date.parse(body.time),
    isClockSuspect: body.clock_suspect,
    kind: body.kind,
    members,
  };
}

/** A member as text; empty where there is none. */
export function textOf(entry: Entry | null, name: string): string {
  const value = memberOf(entry, name);
  if (typeof value === 'string') return value;
  return value === undefined || value === null ? '' : JSON.stringify(value);
}

/** What pairs an intent with its outcome; records without it stand alone. */
export function callOf(entry: Entry): string | null {
  if (entry.kind !== 'intent' && entry.kind !== 'outcome') return null;
  const call = memberOf(entry, 'call');
  return typeof call === 'string' ? call : `sequence-${entry.sequence}`;
}

/** The row of a call, from what is known of it so far. */
export function toCall(key: string, intent: Entry | null, outcome: Entry | null): Call {
  // What was refused before it left has no intent, so its outcome says all.
  const told = intent ?? outcome;
  const micros = memberOf(outcome, 'total_us');
  return {
    type: 'call',
    key,
    at: told?.at ?? 0,
    intent,
    outcome,
    app: textOf(told, 'app_name') || textOf(told, 'app'),
    gateway: textOf(told, 'gateway'),
    server: textOf(told, 'server'),
    subject: textOf(told, 'name') || textOf(told, 'method'),
    testBy: textOf(told, 'test_by'),
    tool: textOf(told, 'offer') === 'tool' ? textOf(told, 'name') : '',
    rules: [...rulesOf(intent), ...rulesOf(outcome)],
    end: textOf(outcome, 'end'),
    isError: memberOf(outcome, 'error') === true,
    micros: typeof micros === 'number' ? micros : null,
  };
}

/** `cards mask 1` stands in a record for what the rule `cards` has done. */
function rulesOf(entry: Entry | null): string[] {
  const hits = memberOf(entry, 'rules');
  const names = Array.isArray(hits) ? hits.map((it) => String(it).split(' ')[0] ?? '') : [];
  const blocked = textOf(entry, 'rule');
  return blocked ? [...names, blocked] : names;
}

export function toAct(entry: Entry): Act {
  const object = [textOf(entry, 'object'), textOf(entry, 'object_name')].filter(Boolean).join(' ');
  const action = textOf(entry, 'action') || textOf(entry, 'event') || entry.kind;
  return {
    type: 'act',
    key: `sequence-${entry.sequence}`,
    at: entry.at,
    entry,
    actor: textOf(entry, 'actor'),
    subject: [action, object].filter(Boolean).join(' · '),
  };
}

export function memberOf(entry: Entry | null, name: string): unknown {
  return entry?.members.find(([member]) => member === name)?.[1];
}
