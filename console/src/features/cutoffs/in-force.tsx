import { Button } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';

import type { Everything } from '@/api/client';
import { type Column, DataTable, TableSkeleton } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { Ago, Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import type { InForceBody, Target } from './queries';

interface Props {
  found: UseQueryResult<Everything<InForceBody>>;
  onRestore: (target: Target) => void;
}

/** What is off now, since when, until when, and why. */
export function InForce({ found: { data, error }, onRestore }: Props) {
  return (
    <Section title="In force">
      {error && <Trouble what="What is off is not shown" error={error} />}
      {data ? (
        <DataTable
          label="In force"
          columns={columns(onRestore)}
          rows={data.items}
          rowId={(it) => `${it.kind} ${it.name}`}
          empty="Nothing is turned off."
        />
      ) : (
        !error && <TableSkeleton rows={1} />
      )}
    </Section>
  );
}

function columns(onRestore: Props['onRestore']): Column<InForceBody>[] {
  return [
    { id: 'name', header: 'What', accessorFn: (it) => `${it.kind} ${it.name}` },
    {
      id: 'since',
      header: 'Since',
      cell: ({ row: { original: it } }) => <Ago at={it.since} />,
    },
    {
      id: 'until',
      header: 'Until',
      cell: ({ row: { original: it } }) =>
        it.until ? (
          <>
            <Ago at={it.until} /> (<Exact at={it.until} />)
          </>
        ) : (
          'turned on again'
        ),
      meta: { hide: 'medium' },
    },
    {
      id: 'reason',
      header: 'Reason',
      cell: ({ row: { original: it } }) => <Visible text={it.reason ?? ''} />,
      meta: { hide: 'narrow' },
    },
    {
      id: 'restore',
      header: 'Restore',
      cell: ({ row: { original: it } }) => (
        <Button
          size="compact-xs"
          variant="default"
          aria-label={`Turn on ${it.kind} ${it.name}`}
          onClick={() => onRestore({ kind: it.kind as Target['kind'], name: it.name })}
        >
          Turn on…
        </Button>
      ),
    },
  ];
}
