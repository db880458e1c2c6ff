import { useSuspenseQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';

import { useMay } from '@/app/rights';
import { useChange } from '@/features/changes/use-change';
import { Actions } from '@/features/objects/object-page';
import { ObjectTabs } from '@/features/objects/object-tabs';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { Facts, Panel } from '@/ui/panel';
import { Exact } from '@/ui/time';
import { Stale } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { AllowanceForm } from './allowance-form';
import { deleting } from './plans';
import { limitQuery, type Usage, usageQuery } from './queries';
import { amountWords, holderWords, scopeWords, unitWords } from './words';

/** One limit: how much it allows, which can be changed, and who has used how much. */
export function LimitPanel() {
  const params = useParams({ from: '/app/workspaces/$workspace/limits/$limit' });
  const { workspace, limit: name } = params;
  const navigate = useNavigate({ from: '/workspaces/$workspace/limits/$limit' });
  const { data: limit } = useSuspenseQuery(limitQuery(workspace, name));
  const { data: usage, error, dataUpdatedAt } = useSuspenseQuery(usageQuery(workspace, name));
  const { ask, dialog } = useChange(workspace);
  const { why } = useMay(workspace, 'limits:write');
  const close = () =>
    navigate({
      to: '/workspaces/$workspace/limits',
      params,
      search: (old) => ({ ...old, tab: undefined }),
    });
  const deed = {
    name: 'Delete…',
    isDangerous: true,
    why,
    onDo: () => ask(deleting(workspace, name, usage.items), close),
  };
  const overview = (
    <>
      <Facts
        facts={[
          ['Counts', <Visible key="scope" text={scopeWords(limit)} />],
          ['Unit', unitWords(limit)],
          ['Made', <Exact key="created" at={limit.created_at} />],
          ['Id', <code key="id">{limit.id}</code>],
        ]}
      />
      <Section title="Allows">
        <AllowanceForm key={JSON.stringify(limit.allowance)} workspace={workspace} limit={limit} />
      </Section>
      <Section title="Used">
        <Stale error={error} since={dataUpdatedAt} />
        <DataTable
          label="Used"
          columns={COLUMNS}
          rows={usage.items}
          rowId={(it) => `${it.id} ${it.tool ?? ''}`}
          empty="Nobody has used anything of it."
        />
      </Section>
    </>
  );
  return (
    <Panel
      key={limit.id}
      title={limit.name}
      label={`Limit ${limit.name}`}
      tools={<Actions name={limit.name} deeds={[deed]} />}
      onClose={() => void close()}
    >
      {dialog}
      <ObjectTabs workspace={workspace} many="limits" name={name} overview={overview} hasNoCalls />
    </Panel>
  );
}

const COLUMNS: Column<Usage>[] = [
  {
    id: 'holder',
    header: 'By',
    accessorFn: holderWords,
    cell: ({ row: { original: it } }) => <Visible text={holderWords(it)} />,
  },
  {
    id: 'used',
    header: 'Used',
    accessorFn: (it) => it.used,
    cell: ({ row: { original: it } }) => `${amountWords(it.used)} of ${amountWords(it.most)}`,
    meta: { isNumber: true },
  },
  {
    id: 'until',
    header: 'Back',
    accessorFn: (it) => it.until,
    cell: ({ row: { original: it } }) => <Exact at={it.until} />,
  },
];
