import { Checkbox, NativeSelect, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';

import { type Column, DataTable } from '@/ui/data-table';
import { Page, Section } from '@/ui/page';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Exact } from '@/ui/time';
import { Stale, Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { Chart } from './chart';
import classes from './charts-page.module.css';
import { type Drawn, drawnOf, worded } from './lines';
import { type SeriesBody, seriesQuery } from './queries';
import {
  type CallSearch,
  type ChartSearch,
  type Measure,
  MEASURES,
  PARTS,
  RANGES,
  type Range,
  SPLITS,
} from './search';

const HERE = '/app/workspaces/$workspace/charts';

/** What is called, and how it goes, over time. Each number leads to the calls behind it. */
export function ChartsPage() {
  const { workspace } = useParams({ from: HERE });
  const search = useSearch({ from: HERE });
  const { data, error, dataUpdatedAt, refetch } = useQuery(seriesQuery(workspace, search));
  return (
    <Page title="Charts" aside={data && <Counted body={data} />} tools={<Tools search={search} />}>
      {data ? (
        <>
          <Stale error={error} since={dataUpdatedAt} />
          <Shown workspace={workspace} search={search} body={data} name="Now" />
          {search.compare && <Before workspace={workspace} search={search} />}
        </>
      ) : error ? (
        <Trouble what="The chart could not be loaded" error={error} retry={() => void refetch()} />
      ) : (
        <TableSkeleton rows={8} />
      )}
    </Page>
  );
}

function Before({ workspace, search }: { workspace: string; search: ChartSearch }) {
  const { data, error } = useQuery(seriesQuery(workspace, search, 1));
  if (error) return <Trouble what="What was before could not be loaded" error={error} />;
  if (!data) return <TableSkeleton rows={4} />;
  return <Shown workspace={workspace} search={search} body={data} name="Before" />;
}

/** Up to when everything is counted. */
function Counted({ body: { counted, is_partial: isPartial, unsorted } }: { body: SeriesBody }) {
  const late = counted.logs?.filter((it) => !it.is_current) ?? [];
  return (
    <span>
      {counted.to ? (
        <>
          counted up to <Exact at={counted.to} />
        </>
      ) : (
        'nothing counted yet'
      )}
      {counted.under_way ? `, ${counted.under_way} under way` : ''}
      {late.length > 0 && `, ${late.length} log${late.length > 1 ? 's' : ''} not heard of`}
      {isPartial && `, ${unsorted ?? 'some'} calls not told apart`}
    </span>
  );
}

function Tools({ search }: { search: ChartSearch }) {
  const navigate = useNavigate({ from: '/workspaces/$workspace/charts' });
  const set = (more: ChartSearch) =>
    void navigate({ search: (old) => ({ ...old, ...more }), replace: true });
  const measure = search.measure ?? 'calls';
  const side = measure === 'latency' ? ` ${search.side ?? 'gateway'}` : '';
  return (
    <>
      <NativeSelect
        aria-label="What is shown"
        value={`${measure}${side}`}
        data={MEASURES.flatMap((it) =>
          it === 'latency'
            ? [
                { value: 'latency gateway', label: 'Latency that the gateway adds' },
                { value: 'latency upstream', label: 'Latency of servers' },
              ]
            : [{ value: it, label: capital(it) }],
        )}
        onChange={({ currentTarget: { value } }) => {
          const [of, which] = value.split(' ');
          set({
            measure: MEASURES.find((it) => it === of),
            side: which === 'upstream' ? 'upstream' : undefined,
          });
        }}
      />
      <NativeSelect
        aria-label="Told apart by"
        value={search.by ?? ''}
        data={[
          { value: '', label: 'All together' },
          ...SPLITS.map((it) => ({ value: it, label: `By ${it}` })),
        ]}
        onChange={({ currentTarget: { value } }) => set({ by: SPLITS.find((it) => it === value) })}
      />
      <NativeSelect
        aria-label="Time"
        value={search.range ?? '24h'}
        data={Object.entries(RANGES).map(([value, { words }]) => ({ value, label: words }))}
        onChange={({ currentTarget: { value } }) => set({ range: value as Range })}
      />
      <Checkbox
        label="Beside the time before"
        checked={search.compare ?? false}
        onChange={({ currentTarget: { checked } }) => set({ compare: checked || undefined })}
      />
      <Only search={search} onSet={set} />
    </>
  );
}

/** Which part is shown, as `server:jira user:ann`. */
function Only({ search, onSet }: { search: ChartSearch; onSet: (more: ChartSearch) => void }) {
  const known = PARTS.flatMap((it) => (search[it] === undefined ? [] : [`${it}:${search[it]}`]));
  const text = known.join(' ');
  const read = (typed: string) => {
    const found = [...typed.matchAll(/(\w+):(\S+)/g)].map(([, name, value]) => [name, value]);
    const values = Object.fromEntries(found) as Record<string, string | undefined>;
    onSet(Object.fromEntries(PARTS.map((it) => [it, values[it]])));
  };
  return (
    <TextInput
      key={text}
      aria-label="Only"
      placeholder="Only server:jira, user:ann"
      defaultValue={text}
      onBlur={({ currentTarget: { value } }) => value !== text && read(value)}
      onKeyDown={(event) => event.key === 'Enter' && read(event.currentTarget.value)}
    />
  );
}

interface ShownProps {
  workspace: string;
  search: ChartSearch;
  body: SeriesBody;
  name: string;
}

function Shown({ workspace, search, body, name }: ShownProps) {
  const navigate = useNavigate();
  const drawn = useMemo(() => drawnOf(body, search.side), [body, search.side]);
  const measure = search.measure ?? 'calls';
  const label = `${capital(measure)}${search.by ? ` by ${search.by}` : ''}, ${name.toLowerCase()}`;
  const pick = (index: number) =>
    void navigate({
      to: '/workspaces/$workspace/calls',
      params: { workspace },
      search: behind(search, drawn, index),
    });
  if (drawn.lines.length === 0) {
    return (
      <Section title={name}>
        <p className={classes.note}>
          Nothing of this was called in this time. Charts show what is in the record.
        </p>
      </Section>
    );
  }
  return (
    <Section title={name}>
      <Chart label={label} measure={measure} drawn={drawn} onPick={pick} />
      <Table label={label} workspace={workspace} search={search} drawn={drawn} />
    </Section>
  );
}

/** By what the calls of a time are found, of all lines or of one. */
function behind(search: ChartSearch, drawn: Drawn, index: number, value?: string): CallSearch {
  const { by, compare: _, side: __, range: ___, ...rest } = search;
  const at = drawn.times[index] ?? 0;
  const times = { from: timeOf(at), to: timeOf(at + drawn.step) };
  // What has no team or server is found by nothing.
  const part = by && value ? { [by]: value } : {};
  return { ...rest, ...part, ...times };
}

interface TableProps {
  label: string;
  workspace: string;
  search: ChartSearch;
  drawn: Drawn;
}

interface Row {
  id: string;
  at: string;
  name: string;
  value: number | null;
  measure: Measure;
  workspace: string;
  behind: CallSearch;
}

function Table({ label, workspace, search, drawn }: TableProps) {
  const measure = search.measure ?? 'calls';
  const rows = useMemo(() => {
    const all = drawn.lines.flatMap((line) =>
      drawn.times.map((at, index): Row => {
        const value = line.values[index] ?? null;
        const calls = behind(search, drawn, index, line.value);
        const id = `${line.key} ${at}`;
        return { id, at: timeOf(at), name: line.name, value, measure, workspace, behind: calls };
      }),
    );
    return all.filter((it) => it.value).toReversed();
  }, [drawn, measure, search, workspace]);
  return (
    <DataTable
      label={`${label}, as a table`}
      columns={COLUMNS}
      rows={rows}
      rowId={(it) => it.id}
      empty="Nothing was called in this time."
    />
  );
}

const COLUMNS: Column<Row>[] = [
  {
    id: 'at',
    header: 'From',
    accessorFn: (it) => it.at,
    cell: ({ row }) => <Exact at={row.original.at} />,
  },
  {
    id: 'line',
    header: 'What',
    accessorFn: (it) => it.name,
    cell: ({ row }) => <Visible text={row.original.name} />,
  },
  {
    id: 'value',
    header: 'How much',
    accessorFn: (it) => it.value,
    cell: ({ row: { original: it } }) => (
      <Link
        to="/workspaces/$workspace/calls"
        params={{ workspace: it.workspace }}
        search={it.behind}
      >
        {worded(it.value, it.measure)}
      </Link>
    ),
    meta: { isNumber: true },
  },
];

function timeOf(seconds: number): string {
  return new Date(seconds * 1_000).toISOString();
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
