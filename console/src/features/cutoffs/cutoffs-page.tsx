/**
 * Turning anything off, from one page.
 *
 * It needs names and nothing else, and a name can be typed where even those cannot be fetched, so
 * that it works while everything else is broken.
 */
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useQuery, useQueries } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import { MANY, namesQuery, NOUNS } from '@/features/objects/nouns';
import { Page, Section } from '@/ui/page';
import { SearchField } from '@/ui/search-field';
import { CutoffDialog } from './cutoff-dialog';
import { InForce } from './in-force';
import { Outcome } from './outcome';
import { cutoffsQuery, type Kind, type Target, type Turn, useTurn } from './queries';
import classes from './cutoffs-page.module.css';
import { Trouble } from '@/ui/trouble';

const HERE = '/app/workspaces/$workspace/cutoffs';
const OFF_ABLE = MANY.filter((many) => NOUNS[many].canBeOff);

/** These are named by two names, and typed. */
const TYPED: Kind[] = ['tool', 'assignment', 'connection'];
const KINDS: Kind[] = [...OFF_ABLE.map((many) => NOUNS[many].object as Kind), ...TYPED];

/** More are found by searching. */
const MOST = 60;

export function CutoffsPage() {
  const { workspace } = useParams({ from: HERE });
  const { q, kind, name } = useSearch({ from: HERE });
  const navigate = useNavigate({ from: '/workspaces/$workspace/cutoffs' });
  const [restored, setRestored] = useState<Target | null>(null);
  const inForce = useQuery(cutoffsQuery(workspace));
  const asked = kind && name ? { kind, name } : null;
  const target = asked ?? restored ?? NOTHING;
  const turn = useTurn(workspace, target);
  const ask = (it: Target | null) =>
    void navigate({ search: (old) => ({ ...old, kind: it?.kind, name: it?.name }), replace: true });
  const close = () => {
    ask(null);
    setRestored(null);
  };
  const confirm = (wanted: Turn) => turn.mutate(wanted, { onSettled: close });
  return (
    <Page
      title="Cut-offs"
      aside={inForce.data && `${inForce.data.items.length} in force`}
      tools={
        <SearchField
          label="Search what can be turned off"
          value={q ?? ''}
          onChange={(q) =>
            void navigate({ search: (old) => ({ ...old, q: q || undefined }), replace: true })
          }
        />
      }
    >
      <div aria-live="polite">
        {turn.data && <Outcome held={turn.data} isOn={turn.variables === null} />}
        {turn.error && <Trouble what="It is not turned off or on" error={turn.error} />}
      </div>
      <InForce found={inForce} onRestore={setRestored} />
      <Scopes workspace={workspace} wanted={q ?? ''} off={inForce.data?.items ?? []} onAsk={ask} />
      <CutoffDialog
        opened={asked !== null || restored !== null}
        target={target}
        isOn={restored === null}
        isPending={turn.isPending}
        workspace={workspace}
        onConfirm={confirm}
        onClose={close}
      />
    </Page>
  );
}

const NOTHING: Target = { kind: 'server', name: '' };

interface ScopesProps {
  workspace: string;
  wanted: string;
  off: { kind: string; name: string }[];
  onAsk: (target: Target) => void;
}

function Scopes({ workspace, wanted, off, onAsk }: ScopesProps) {
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
      <Section title="Turn off" note={`${found.length} of ${all.length}`}>
        {lists.some((it) => it.isError) && (
          <p className={classes.note}>
            Not all names could be fetched. What is missing here can be typed below.
          </p>
        )}
        <ul className={classes.scopes}>
          {found.slice(0, MOST).map((it) => (
            <li key={`${it.kind} ${it.name}`} className={classes.scope}>
              <span className={classes.kind}>{it.kind}</span>
              <span className={classes.name}>{it.name}</span>
              <Button
                size="compact-xs"
                color="red"
                variant="light"
                disabled={isOff.has(`${it.kind} ${it.name}`)}
                aria-label={`Turn off ${it.kind} ${it.name}`}
                onClick={() => onAsk(it)}
              >
                {isOff.has(`${it.kind} ${it.name}`) ? 'Is off' : 'Turn off…'}
              </Button>
            </li>
          ))}
        </ul>
        {found.length > MOST && <p className={classes.note}>More are found by searching.</p>}
      </Section>
      <ByName onAsk={onAsk} />
    </>
  );
}

function ByName({ onAsk }: { onAsk: (target: Target) => void }) {
  const [kind, setKind] = useState<Kind>('tool');
  const [name, setName] = useState('');
  return (
    <Section title="By name" note="also a tool, an assignment or a connection">
      <form
        className={classes.typed}
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() !== '') onAsk({ kind, name: name.trim() });
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
        <Button type="submit" color="red" variant="light" disabled={name.trim() === ''}>
          Turn off…
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
