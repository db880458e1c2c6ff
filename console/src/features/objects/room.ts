/** What a room must say about its kind of thing, so that the frame can list, make and change it. */
import type { Schemas } from '@/api/client';
import { type Call, command, quote } from '@/features/changes/call';
import { differences, type Members } from '@/features/changes/difference';
import type { Concerned } from '@/features/changes/reach';
import type { Change } from '@/features/changes/use-change';
import type { Column } from '@/ui/data-table';
import type { FieldSpec, FormSpec, Values } from './form-dialog';
import { type Many, NOUNS } from './nouns';
import { type Bodies, pathOf } from './queries';

type Options = Record<string, string | number | boolean | string[] | null | undefined>;

export interface Room<M extends Many> {
  many: M;
  title: string;
  /** What one must hold to make and change them. */
  writes: Schemas['Capability'];
  columns: Column<Bodies[M]>[];
  textOf: (it: Bodies[M]) => string;
  empty: { title: string; says: string; file: string };
  /** Of a new one, or of one that is there. */
  fields: (it: Bodies[M] | null) => FieldSpec[];
  valuesOf: (it: Bodies[M]) => Values;
  /** The request's body; of one that is there only what differs is sent. */
  bodyOf: (values: Values, it: Bodies[M] | null) => object;
  /** The same, with secrets left out. */
  shownOf?: (body: object) => object;
  /** Options of the command, by the members of the body. */
  optionsOf: (body: Members) => Options;
  /** Words that follow them, behind two dashes. */
  trailing?: (body: Members) => string[];
  /** Why this one cannot be changed. */
  fixed?: (it: Bodies[M]) => string | undefined;
  /** It is taken back and given anew. */
  hasNoEdit?: boolean;
  reach?: Concerned['kind'];
  /** What a grant for one of them is on, such as `gateway` in `gateway/main`. */
  on?: string;
}

export function makeSpec<M extends Many>(room: Room<M>, workspace: string): FormSpec {
  const noun = NOUNS[room.many];
  return {
    title: `New ${noun.one}`,
    fields: room.fields(null),
    plan: (values) => {
      const body = room.bodyOf(values, null);
      const name = values['name'] ?? '';
      return {
        title: `New ${noun.one} ${name}`,
        verb: `Make ${name}`,
        call: callOf('post', noun.list.replace('{workspace}', workspace), body, room.shownOf),
        command: commandOf(room, ['create', name], body),
        before: null,
      };
    },
  };
}

export function editSpec<M extends Many>(
  room: Room<M>,
  workspace: string,
  it: Bodies[M],
): FormSpec {
  const noun = NOUNS[room.many];
  const path = pathOf(workspace, room.many, it.name);
  return {
    title: `Edit ${noun.one} ${it.name}`,
    fields: room.fields(it),
    initial: room.valuesOf(it),
    plan: (values) => {
      const wanted = room.bodyOf(values, it) as Members;
      const before = it as unknown as Members;
      const changed = differences(before, { ...before, ...wanted });
      const body = Object.fromEntries(changed.map(({ member, after }) => [member, after]));
      return {
        title: `Change ${noun.one} ${it.name}`,
        verb: 'Apply',
        call: callOf('patch', path, body, room.shownOf),
        command: commandOf(room, ['update', it.name], body),
        before,
        of: path,
      };
    },
  };
}

export function deletion<M extends Many>(room: Room<M>, workspace: string, name: string): Change {
  const noun = NOUNS[room.many];
  const path = pathOf(workspace, room.many, name);
  return {
    title: `Delete ${noun.one} ${name}?`,
    verb: `Delete ${name}`,
    call: { method: 'delete', path },
    command: command([noun.command, 'delete', name]),
    before: null,
    of: path,
    after: null,
    nameToType: name,
    reach: room.reach && { kind: room.reach, name },
  };
}

function callOf(
  method: Call['method'],
  path: string,
  body: object,
  shownOf: ((body: object) => object) | undefined,
): Call {
  return { method, path, body, shownBody: shownOf?.(body) };
}

function commandOf<M extends Many>(room: Room<M>, words: string[], body: object): string {
  const made = command([NOUNS[room.many].command, ...words], room.optionsOf(body as Members));
  const trailing = room.trailing?.(body as Members) ?? [];
  return [made, ...(trailing.length > 0 ? ['--', ...trailing.map(quote)] : [])].join(' ');
}
