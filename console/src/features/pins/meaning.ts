/**
 * What a difference means, by where it is and in which direction it goes: for the model, which reads
 * all texts, and for whoever calls. It helps to read; what is decided about is the whole definition.
 */
import type { Difference } from './queries';
import { read } from './spelled';

export type Label = 'changed' | 'hints' | 'narrowed' | 'text' | 'widened';

export interface Meaning {
  label: Label;
  /** Who is concerned. */
  of: 'caller' | 'model';
}

export const LABEL_WORDS: Record<Label, string> = {
  changed: 'Changed',
  hints: 'Says it is something else',
  narrowed: 'Takes less',
  text: 'Text only',
  widened: 'Takes more',
};

/** In the order in which they are read. */
export const GROUPS = [
  'Name',
  'Description',
  'Annotations',
  'What it takes',
  'What it gives',
  'Else',
] as const;
export type Group = (typeof GROUPS)[number];

const PLACES: Partial<Record<string, Group>> = {
  name: 'Name',
  title: 'Name',
  uriTemplate: 'Name',
  description: 'Description',
  instructions: 'Description',
  annotations: 'Annotations',
  inputSchema: 'What it takes',
  arguments: 'What it takes',
  outputSchema: 'What it gives',
};

/** The members of a JSON pointer (RFC 6901). */
export function placeOf({ path }: Pick<Difference, 'path'>): string[] {
  return path
    .split('/')
    .slice(1)
    .map((it) => it.replaceAll('~1', '/').replaceAll('~0', '~'));
}

export function groupOf(difference: Pick<Difference, 'path'>): Group {
  return PLACES[placeOf(difference)[0] ?? ''] ?? 'Else';
}

const TEXTS = new Set(['description', 'instructions', 'title']);

export function meaningOf(difference: Difference): Meaning {
  const place = placeOf(difference);
  const last = place.at(-1) ?? '';
  const group = groupOf(difference);
  // A member of that name in a schema is an argument and no text.
  const isArgument = place.at(-2) === 'properties';
  if (TEXTS.has(last) && !isArgument) return { label: 'text', of: 'model' };
  if (group === 'Name') return { label: 'changed', of: 'model' };
  if (group === 'Annotations') return { label: 'hints', of: 'caller' };
  if (group !== 'What it takes') return { label: 'changed', of: 'caller' };
  return { label: schemaLabel(place, difference), of: 'caller' };
}

function schemaLabel(place: string[], { before, after }: Difference): Label {
  const [was, is] = [known(before), known(after)];
  const word = place.find((it) => it === 'required' || it === 'enum');
  if (word !== undefined) {
    const more = sizeOf(is) - sizeOf(was);
    if (more === 0) return 'changed';
    // More that must be said leaves less that is taken; more to choose from leaves more.
    return more > 0 === (word === 'enum') ? 'widened' : 'narrowed';
  }
  if (place.at(-2) === 'properties') {
    if (was === undefined) return 'widened';
    if (is === undefined) return 'narrowed';
  }
  const last = place.at(-1) ?? '';
  if (last === 'additionalProperties') return is === false ? 'narrowed' : 'widened';
  if (BOUNDS.has(last)) {
    if (was === undefined) return 'narrowed';
    if (is === undefined) return 'widened';
    const isUpper = last.startsWith('max') || last === 'exclusiveMaximum';
    return Number(is) > Number(was) === isUpper ? 'widened' : 'narrowed';
  }
  return 'changed';
}

const BOUNDS = new Set([
  'exclusiveMaximum',
  'exclusiveMinimum',
  'maxItems',
  'maxLength',
  'maximum',
  'minItems',
  'minLength',
  'minimum',
]);

function known(spelled: string | null | undefined): unknown {
  return typeof spelled === 'string' ? read(spelled) : undefined;
}

/** A list counts by its length, one of its entries as one. */
function sizeOf(value: unknown): number {
  if (value === undefined) return 0;
  return Array.isArray(value) ? value.length : 1;
}
