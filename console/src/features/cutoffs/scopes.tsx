/** What can be turned off: by its name in a list, or by a name that is typed. */
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useQueries } from '@tanstack/react-query';
import { useMemo, useState } from 'react';

import { MANY, namesQuery, NOUNS } from '@/features/objects/nouns';
import { Section } from '@/ui/page';
import classes from './cutoffs-page.module.css';
import type { Kind, Target } from './queries';

const OFF_ABLE = MANY.filter((many) => NOUNS[many].canBeOff);

/** These are named by two names, and typed. */
const TYPED: Kind[] = ['tool', 'assignment', 'connection'];
const KINDS: Kind[] = [...OFF_ABLE.map((many) => NOUNS[many].object as Kind), ...TYPED];

/** More are found by searching. */
const MOST = 60;

interface Doers {
  isPending: boolean;
  /** At once. */
  onStop: (target: Target) => void;
  /** First shows what it stops, and asks. */
  onLook: (target: Target) => void;
}

interface ScopesProps extends Doers {
  workspace: string;
  wanted: string;
  off: { kind: string; name: string }[];
}

export function Scopes({ workspace, wanted, off, isPending, onStop, onLook }: ScopesProps) {
  const lists = useQueries({ queries: OFF_ABLE.map((many) => namesQuery(workspace, many)) });
  const key = lists.map((it) => it.dataUpdatedAt).join(' ');
  const all = useMemo(
    () =>
      OFF_ABLE.flatMap((many, at) =>
        (lists[at]?.data?.names ?? []).map((name) => ({ kind: NOUNS[many].object as Kind, name })),
      ),
    // Lists are made anew each time; what is in them is not.
    // oxlint-disable-next-line react/exhaustive-deps
    [key],
  );
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((it) => words.every((word) => `${it.kind} ${it.name}`.includes(word)));
  const isOff = new Set(off.map((it) => `${it.kind} ${it.name}`));
  return (
    <>
      {lists.some((it) => it.isError) && (
        <p className={classes.note}>
          Not all names could be fetched. What is missing here can be typed below.
        </p>
      )}
      <ul className={classes.scopes} aria-label="What can be turned off">
        {found.slice(0, MOST).map((it) => (
          <Scope
            key={`${it.kind} ${it.name}`}
            target={it}
            isOff={isOff.has(`${it.kind} ${it.name}`)}
            isPending={isPending}
            onStop={onStop}
            onLook={onLook}
          />
        ))}
      </ul>
      <p className={classes.note}>
        {found.length} of {all.length}
        {found.length > MOST && `, of which ${MOST} are shown: more are found by searching`}
      </p>
    </>
  );
}

function Scope({
  target,
  isOff,
  isPending,
  onStop,
  onLook,
}: Doers & { target: Target; isOff: boolean }) {
  const what = `${target.kind} ${target.name}`;
  return (
    <li className={classes.scope}>
      <span className={classes.kind}>{target.kind}</span>
      <span className={classes.name}>{target.name}</span>
      <Button
        size="compact-xs"
        variant="subtle"
        color="gray"
        disabled={isOff}
        aria-label={`Look first what turning off ${what} stops`}
        onClick={() => onLook(target)}
      >
        Look first
      </Button>
      <Button
        size="compact-xs"
        color="red"
        variant="light"
        disabled={isOff || isPending}
        aria-label={isOff ? `Is off: ${what}` : `Turn off ${what}`}
        data-row
        onClick={() => onStop(target)}
      >
        {isOff ? 'Is off' : 'Turn off'}
      </Button>
    </li>
  );
}

export function ByName({ isPending, onStop, onLook }: Doers) {
  const [kind, setKind] = useState<Kind>('tool');
  const [name, setName] = useState('');
  const target = { kind, name: name.trim() };
  const isNamed = target.name !== '';
  return (
    <Section title="By name" note="also a tool, an assignment or a connection">
      <form
        className={classes.typed}
        onSubmit={(event) => {
          event.preventDefault();
          if (isNamed) onStop(target);
        }}
      >
        <NativeSelect
          aria-label="Kind"
          data={KINDS}
          value={kind}
          onChange={(event) => setKind(event.currentTarget.value as Kind)}
        />
        <TextInput
          aria-label="Name"
          placeholder={PLACEHOLDERS[kind] ?? 'name'}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Button variant="default" disabled={!isNamed} onClick={() => onLook(target)}>
          Look first
        </Button>
        <Button type="submit" color="red" variant="light" disabled={!isNamed || isPending}>
          Turn off
        </Button>
      </form>
    </Section>
  );
}

const PLACEHOLDERS: Partial<Record<Kind, string>> = {
  tool: 'server/tool',
  assignment: 'gateway/alias',
  connection: 'app/gateway',
};
