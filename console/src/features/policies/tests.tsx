import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import classes from './editor.module.css';

type Tested = Schemas['Tested'];

/** Runs the tests that are saved with a policy. */
export function Tests({ workspace, policy }: { workspace: string; policy: string }) {
  const { data, error, refetch, isFetching } = useQuery({
    queryKey: ['workspace', workspace, 'policies', 'one', policy, 'test'],
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/workspaces/{workspace}/policies/{policy}/test', {
          params: { path: { workspace, policy } },
          signal,
        }),
      ),
    enabled: false,
  });
  return (
    <Section
      title="Results"
      note={
        <Button
          variant="default"
          size="compact-xs"
          loading={isFetching}
          onClick={() => void refetch()}
        >
          Run the saved tests
        </Button>
      }
    >
      {error && <Trouble what="The tests were not run" error={error} />}
      {data ? (
        <DataTable
          label="Results of the tests"
          columns={COLUMNS}
          rows={data.tests}
          rowId={(it) => it.test}
          empty="It has no tests."
        />
      ) : (
        <p className={classes.note}>They are run with each change, too.</p>
      )}
    </Section>
  );
}

const COLUMNS: Column<Tested>[] = [
  {
    id: 'test',
    header: 'Test',
    accessorFn: (it) => it.test,
    cell: ({ row: { original: it } }) => <Visible text={it.test} />,
  },
  {
    id: 'result',
    header: 'Result',
    accessorFn: (it) => (it.passed ? 'Passed' : 'Failed'),
    cell: ({ row: { original: it } }) => (
      <Pill tone={it.passed ? 'good' : 'bad'}>{it.passed ? 'Passed' : 'Failed'}</Pill>
    ),
  },
  { id: 'expected', header: 'Expected', accessorFn: (it) => it.expected },
  { id: 'found', header: 'Found', accessorFn: (it) => it.found, meta: { hide: 'narrow' } },
];
