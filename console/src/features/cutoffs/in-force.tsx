/**
 * What is off, in a table of its own: the page for when all else fails is fetched before it is needed,
 * and brings no more than it must.
 */
import { Button } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';

import type { Everything } from '@/api/client';
import table from '@/ui/data-table.module.css';
import { Section } from '@/ui/page';
import { TableSkeleton } from '@/ui/table-skeleton';
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
        <Table items={data.items} onRestore={onRestore} />
      ) : (
        !error && <TableSkeleton rows={1} />
      )}
    </Section>
  );
}

function Table({ items, onRestore }: { items: InForceBody[]; onRestore: Props['onRestore'] }) {
  return (
    <div className={table.box}>
      <table className={table.table} aria-label="In force">
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Since</th>
            <th scope="col" data-hide="medium">
              Until
            </th>
            <th scope="col" data-hide="narrow">
              Reason
            </th>
            <th scope="col">Restore</th>
          </tr>
        </thead>
        <tbody>
          {items.map((it) => (
            <tr key={`${it.kind} ${it.name}`}>
              <td>
                <Visible text={`${it.kind} ${it.name}`} />
              </td>
              <td>
                <Ago at={it.since} />
              </td>
              <td data-hide="medium">
                {it.until ? (
                  <>
                    <Ago at={it.until} /> (<Exact at={it.until} />)
                  </>
                ) : (
                  'turned on again'
                )}
              </td>
              <td data-hide="narrow">
                <Visible text={it.reason ?? ''} />
              </td>
              <td>
                <Button
                  size="compact-xs"
                  variant="default"
                  aria-label={`Turn on ${it.kind} ${it.name}`}
                  onClick={() => onRestore({ kind: it.kind as Target['kind'], name: it.name })}
                >
                  Turn on…
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {items.length === 0 && <p className={table.empty}>Nothing is turned off.</p>}
    </div>
  );
}
