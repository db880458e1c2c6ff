/**
 * Conditions as rows of a form: tests of which all must hold, or one. Conditions inside of conditions
 * are written by hand.
 */
import type { Schemas } from '@/api/client';

export type Condition = Schemas['ConditionText'];

/** Every member of every form of a condition. */
type Loose = Partial<Record<Subject | 'all' | 'any', unknown>>;

export const TEXTS = ['name', 'title', 'description'] as const;
export const HINTS = [
  'readOnlyHint',
  'destructiveHint',
  'idempotentHint',
  'openWorldHint',
] as const;
export const WAYS = ['is', 'glob', 'contains', 'matches'] as const;

type Text = (typeof TEXTS)[number];
type Hint = (typeof HINTS)[number];
export type Subject = Text | Hint;
export type Way = (typeof WAYS)[number];

export interface Test {
  /** Tells rows apart while they are edited. */
  key: number;
  subject: Subject;
  /** Of a text. */
  way: Way;
  text: string;
  /** Of a hint. */
  says: 'true' | 'false';
}

export interface Rows {
  join: 'all' | 'any';
  tests: Test[];
}

export function isHint(subject: Subject): subject is Hint {
  return HINTS.some((it) => it === subject);
}

export function freshTest(key: number): Test {
  return { key, subject: 'name', way: 'glob', text: '', says: 'true' };
}

/** Nothing where there is more to it than rows can say. */
export function rowsOf(condition: Condition): Rows | null {
  const loose: Loose = condition;
  const join = Array.isArray(loose.all) ? 'all' : Array.isArray(loose.any) ? 'any' : null;
  const parts: unknown = join === null ? [condition] : loose[join];
  const tests: Test[] = [];
  for (const [key, part] of (parts as Loose[]).entries()) {
    const test = testOf(part, key);
    if (test === null) return null;
    tests.push(test);
  }
  return { join: join ?? 'all', tests };
}

/** What the rows say. */
export function conditionOf({ join, tests }: Rows): Condition {
  const parts = tests.map(({ subject, way, text, says }): Condition => {
    const value = isHint(subject) ? says === 'true' : { [way]: text };
    return { [subject]: value } as Condition;
  });
  return join === 'all' ? { all: parts } : { any: parts };
}

function testOf(part: Loose, key: number): Test | null {
  const fresh = freshTest(key);
  const hint = HINTS.find((it) => typeof part[it] === 'boolean');
  if (hint) return { ...fresh, subject: hint, says: part[hint] === true ? 'true' : 'false' };
  const subject = TEXTS.find((it) => typeof part[it] === 'object');
  if (!subject) return null;
  const test = part[subject] as Partial<Record<Way, string>>;
  const way = WAYS.find((it) => typeof test[it] === 'string');
  return way ? { ...fresh, subject, way, text: test[way] ?? '' } : null;
}
