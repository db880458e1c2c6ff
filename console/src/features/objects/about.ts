/** Which records are about a thing. What they hold is foreign: nothing is taken for granted. */
import type { Schemas } from '@/api/client';

type Recorded = Schemas['RecordBody'];

/** What names a thing in the record of a call. */
const CALL_MEMBERS: Partial<Record<string, string>> = {
  app: 'app_name',
  gateway: 'gateway',
  server: 'server',
};

export function isAbout(record: Recorded, what: 'acts' | 'calls', object: string, name: string) {
  if (what === 'calls') {
    const member = CALL_MEMBERS[object];
    return record.kind === 'intent' && member !== undefined && memberOf(record, member) === name;
  }
  const isSame = memberOf(record, 'object').replaceAll(/[_-]/g, ' ') === object;
  return record.kind === 'admin' && isSame && memberOf(record, 'object_name') === name;
}

/** A member as text; empty where there is none. */
export function memberOf({ record }: Recorded, name: string): string {
  if (typeof record !== 'object' || record === null || !Object.hasOwn(record, name)) return '';
  const value = (record as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value);
}
