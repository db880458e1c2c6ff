import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { type Tone, Pill } from '@/ui/pill';
import { Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import classes from './editor.module.css';

type Simulated = Schemas['SimulatedCall'];

interface Props {
  workspace: string;
  name: string;
  text: string;
  isEnabled: boolean;
}

/** How many of the newest calls are decided again. */
const LAST = 1_000;

/** What the text, as it stands in the editor, would have changed. Nothing is saved. */
export function Simulation({ workspace, name, text, isEnabled }: Props) {
  const simulate = useMutation({
    mutationFn: () =>
      take(
        api.POST('/api/v1/workspaces/{workspace}/policy-simulations', {
          params: { path: { workspace } },
          body: { last: LAST, policies: [{ name, text, enabled: isEnabled }] },
        }),
      ),
  });
  const { data, error, isPending } = simulate;
  return (
    <Section
      title="Simulation"
      note={
        <Button
          variant="default"
          size="compact-xs"
          loading={isPending}
          onClick={() => simulate.mutate()}
        >
          Try it on the last {LAST.toLocaleString('en')} calls
        </Button>
      }
    >
      {error && <Trouble what="Nothing was simulated" error={error} />}
      <div aria-live="polite" className={classes.counts}>
        {data ? (
          <>
            <span>
              <strong>{data.calls}</strong> calls looked at
            </span>
            <span>
              <strong>{data.refused}</strong> would be refused
            </span>
            <span>
              <strong>{data.allowed}</strong> would be allowed
            </span>
            <span>
              <strong>{data.open}</strong> depend on what is not recorded
            </span>
          </>
        ) : (
          <span className={classes.note}>What would be different is shown; nothing is saved.</span>
        )}
      </div>
      {data && (
        <DataTable
          label="Calls that would be decided otherwise"
          columns={COLUMNS}
          rows={data.examples}
          rowId={(it) => `${it.time} ${it.index ?? ''} ${it.name}`}
          empty="No call would have been decided otherwise."
        />
      )}
    </Section>
  );
}

const TONES: Record<Simulated['becomes'], Tone> = { allowed: 'good', refused: 'bad', open: 'calm' };

const COLUMNS: Column<Simulated>[] = [
  {
    id: 'becomes',
    header: 'Becomes',
    accessorFn: (it) => it.becomes,
    cell: ({ row: { original: it } }) => <Pill tone={TONES[it.becomes]}>{it.becomes}</Pill>,
  },
  { id: 'app', header: 'App', accessorFn: (it) => it.app },
  {
    id: 'name',
    header: 'Called',
    accessorFn: (it) => `${it.server}/${it.name}`,
    cell: ({ row: { original: it } }) => <Visible text={`${it.server}/${it.name}`} />,
  },
  { id: 'gateway', header: 'Gateway', accessorFn: (it) => it.gateway, meta: { hide: 'medium' } },
  {
    id: 'time',
    header: 'Time',
    accessorFn: (it) => it.time,
    cell: ({ row: { original: it } }) => <Exact at={it.time} />,
    meta: { hide: 'medium' },
  },
];
