import { useQuery } from '@tanstack/react-query';

import type { Schemas } from '@/api/client';
import { type Column, DataTable } from '@/ui/data-table';
import { Section } from '@/ui/page';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { previewQuery } from '../queries';
import classes from './build-page.module.css';
import { ContextMeter } from './context-meter';
import { Missing } from './missing';
import { NobodySees, type Seen, SeenAs } from './seen-as';
import { BECAUSE, BECAUSE_HELP } from './words';

type Shown = Schemas['ShownBody'];
type Hidden = Schemas['HiddenBody'];

interface Props extends Seen {
  workspace: string;
  gateway: string;
}

/** The very lists that a client of somebody gets, in their order, and what is hidden from it. */
export function PreviewStep({ workspace, gateway, ...seen }: Props) {
  const { data, error, refetch } = useQuery(previewQuery(workspace, gateway, seen.app));
  if (seen.app === '') return <NobodySees workspace={workspace} gateway={gateway} />;
  return (
    <>
      <div className={classes.line}>
        <SeenAs {...seen} />
        {data && (
          <ContextMeter
            tokens={data.tokens}
            count={LISTS.reduce((sum, it) => sum + data[it].shown.length, 0)}
          />
        )}
      </div>
      {error && <Trouble what="Nothing can be shown" error={error} retry={() => void refetch()} />}
      {!data && !error && <TableSkeleton rows={8} />}
      {data && (
        <>
          <p className={classes.note}>
            {data.app} acts for {data.user}. That you have looked is recorded.
          </p>
          <Missing of={data.missing} onRetry={() => void refetch()} />
          {LISTS.filter(
            (it) => it === 'tools' || data[it].shown.length + data[it].hidden.length > 0,
          ).map((it) => (
            <Section
              key={it}
              title={TITLES[it]}
              note={`${data[it].shown.length} shown, ${data[it].tokens.toLocaleString('en')} tokens`}
            >
              <DataTable
                label={`${TITLES[it]} that are shown`}
                columns={SHOWN}
                rows={data[it].shown}
                rowId={(row) => row.name}
                empty="Nothing is shown."
              />
              {data[it].hidden.length > 0 && (
                <details>
                  <summary>{data[it].hidden.length} are hidden, and why</summary>
                  <DataTable
                    label={`${TITLES[it]} that are hidden`}
                    columns={HIDDEN}
                    rows={data[it].hidden}
                    rowId={(row) => `${row.alias} ${row.name}`}
                  />
                </details>
              )}
            </Section>
          ))}
        </>
      )}
    </>
  );
}

const LISTS = ['tools', 'prompts', 'resources', 'resource_templates'] as const;

const TITLES: Record<(typeof LISTS)[number], string> = {
  tools: 'Tools',
  prompts: 'Prompts',
  resources: 'Resources',
  resource_templates: 'Resource templates',
};

const SHOWN: Column<Shown>[] = [
  {
    id: 'name',
    header: 'As it is listed',
    cell: ({ row: { original: it } }) => (
      <code>
        <Visible text={it.name} />
      </code>
    ),
  },
  {
    id: 'says',
    header: 'What its server says',
    cell: ({ row: { original: it } }) => <Visible text={it.said.description ?? ''} />,
    meta: { hide: 'medium' },
  },
  {
    id: 'tokens',
    header: 'Tokens',
    accessorFn: (it) => it.tokens.toLocaleString('en'),
    meta: { isNumber: true },
  },
];

const HIDDEN: Column<Hidden>[] = [
  { id: 'alias', header: 'Server', accessorFn: (it) => it.alias },
  {
    id: 'name',
    header: 'Its own name',
    cell: ({ row: { original: it } }) => (
      <code>
        <Visible text={it.name} />
      </code>
    ),
  },
  {
    id: 'because',
    header: 'Because',
    cell: ({ row: { original: it } }) => (
      <span title={BECAUSE_HELP[it.because]}>{BECAUSE[it.because]}</span>
    ),
  },
];
