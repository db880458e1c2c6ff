/** What a form can ask for of a tool’s arguments, by the schema that its server has given. */

export interface Field {
  name: string;
  kind: 'text' | 'number' | 'integer' | 'flag' | 'choice';
  isRequired: boolean;
  /** As its server says it; empty where it says nothing. */
  description: string;
  /** Of a choice. */
  choices: string[];
}

export interface Fields {
  fields: Field[];
  /** Arguments that no field is made for: objects, lists and whatever else there is. */
  rest: string[];
}

/** A form with more is none. */
const MOST_FIELDS = 30;

/** The schema is foreign: what is not as expected becomes no field, and nothing worse. */
export function fieldsOf(schema: unknown): Fields {
  const found: Fields = { fields: [], rest: [] };
  if (!isObject(schema) || !isObject(schema['properties'])) return found;
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  for (const [name, said] of Object.entries(schema['properties'])) {
    const kind = kindOf(said);
    if (kind === null || found.fields.length === MOST_FIELDS) {
      found.rest.push(name);
      continue;
    }
    const of = said as Record<string, unknown>;
    const description = typeof of['description'] === 'string' ? of['description'] : '';
    const choices = kind === 'choice' ? (of['enum'] as string[]) : [];
    found.fields.push({ name, kind, description, choices, isRequired: required.includes(name) });
  }
  return found;
}

function kindOf(said: unknown): Field['kind'] | null {
  if (!isObject(said)) return null;
  const { type, enum: all } = said;
  if (Array.isArray(all)) return all.every((it) => typeof it === 'string') ? 'choice' : null;
  if (type === 'string') return 'text';
  if (type === 'number' || type === 'integer') return type;
  return type === 'boolean' ? 'flag' : null;
}

export type Arguments = Record<string, unknown>;

/** The arguments as they are written, or what is wrong with them. */
export function parse(text: string): { args: Arguments } | { wrong: string } {
  if (text.trim() === '') return { args: {} };
  try {
    const inexact = inexactIn(text);
    const read: unknown = JSON.parse(text);
    if (!isObject(read)) return { wrong: 'An object is needed: { … }' };
    if (inexact !== null)
      return { wrong: `${inexact} is too exact for a browser: it would be changed` };
    return { args: read };
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : 'This is no JSON' };
  }
}

/** Whole numbers as they are written, and texts, which may look like some. */
const PARTS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/gu;

/** The first whole number that cannot be held as it is written. */
function inexactIn(text: string): string | null {
  for (const [part] of text.matchAll(PARTS)) {
    if (/^-?\d+$/u.test(part) && !Number.isSafeInteger(Number(part))) return part;
  }
  return null;
}

/** The same with one of them set, or taken away where it is `undefined`. */
export function withArgument(args: Arguments, name: string, value: unknown): string {
  const others = Object.entries(args).filter(([key]) => key !== name);
  const all = value === undefined ? others : [...others, [name, value]];
  return all.length === 0 ? '' : JSON.stringify(Object.fromEntries(all), null, 2);
}

/** What has been typed as what its field stands for; `undefined` where that is nothing. */
export function valueOf(kind: Field['kind'], typed: string): unknown {
  if (typed === '') return undefined;
  if (kind === 'flag') return typed === 'true';
  if (kind !== 'number' && kind !== 'integer') return typed;
  const number = Number(typed);
  const fits = Number.isFinite(number) && (kind === 'number' || Number.isSafeInteger(number));
  // What is no number is sent as it is: the server says what it thinks of it.
  return fits ? number : typed;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
