import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';

import { useMay } from '@/app/rights';
import { useChange } from '@/features/changes/use-change';
import { Section } from '@/ui/page';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Trouble } from '@/ui/trouble';
import { AssignmentTable } from '../assignment-table';
import { exposing } from '../plans';
import { type Assignment, previewQuery } from '../queries';
import classes from './build-page.module.css';
import { ContextMeter } from './context-meter';
import { collisions, exposedOf, type Offer, offersOf, provisionOf, tokensOf } from './offers';
import { Missing } from './missing';
import { NobodySees, type Seen, SeenAs } from './seen-as';
import { ToolPicker } from './tool-picker';

interface Props extends Seen {
  workspace: string;
  gateway: string;
  assignments: Assignment[];
}

/** Which tools are seen: picked by hand, or by conditions for each server. */
export function ToolStep({ workspace, gateway, assignments, ...seen }: Props) {
  const { data, error, refetch } = useQuery(previewQuery(workspace, gateway, seen.app));
  const offers = useMemo(() => (data ? offersOf(data.tools) : []), [data]);
  return (
    <>
      <Section title="Tools" note="of all servers on this gateway">
        {seen.app === '' && <NobodySees workspace={workspace} gateway={gateway} />}
        {error && (
          <Trouble
            what="What servers list is not shown"
            error={error}
            retry={() => void refetch()}
          />
        )}
        {data && <Missing of={data.missing} onRetry={() => void refetch()} />}
        {data ? (
          <Picking
            // Another state of the gateway is another beginning.
            key={JSON.stringify([seen.app, assignments.map((it) => it.tools)])}
            workspace={workspace}
            assignments={assignments}
            offers={offers}
            seen={seen}
          />
        ) : (
          seen.app !== '' && !error && <TableSkeleton rows={8} />
        )}
      </Section>
      <AssignmentTable workspace={workspace} gateway={gateway} />
    </>
  );
}

const HERE = '/app/workspaces/$workspace/gateways/$gateway/build';

interface PickingProps {
  workspace: string;
  assignments: Assignment[];
  offers: Offer[];
  seen: Seen;
}

function Picking({ workspace, assignments, offers, seen }: PickingProps) {
  const { q = '', by } = useSearch({ from: HERE });
  const navigate = useNavigate({ from: '/workspaces/$workspace/gateways/$gateway/build' });
  const before = useMemo(() => exposedOf(offers, assignments), [offers, assignments]);
  const [picked, setPicked] = useState<ReadonlySet<string>>(before);
  const same = collisions(offers);
  const want = useCallback(
    (wanted: string) =>
      void navigate({ search: (old) => ({ ...old, q: wanted || undefined }), replace: true }),
    [navigate],
  );
  return (
    <>
      <div className={classes.line}>
        <SeenAs {...seen} />
        <ContextMeter tokens={tokensOf(offers, picked)} count={picked.size} />
      </div>
      {same.length > 0 && (
        <p className={classes.warn}>
          {same.length} tools have a name that another one has, so neither is shown: give one of
          their servers another alias ({[...new Set(same.map((it) => it.alias))].join(', ')}).
        </p>
      )}
      <ToolPicker
        offers={offers}
        picked={picked}
        onPick={setPicked}
        wanted={q}
        onWant={want}
        by={by ?? 'server'}
        onGroup={(value) =>
          void navigate({
            search: (old) => ({ ...old, by: value === 'risk' ? value : undefined }),
            replace: true,
          })
        }
      />
      <Changes
        workspace={workspace}
        assignments={assignments}
        offers={offers}
        before={before}
        picked={picked}
        onReset={() => setPicked(before)}
      />
    </>
  );
}

interface ChangesProps {
  workspace: string;
  assignments: Assignment[];
  offers: Offer[];
  before: ReadonlySet<string>;
  picked: ReadonlySet<string>;
  onReset: () => void;
}

/** What picking would change, server by server: each is a change of its own. */
function Changes({ workspace, assignments, offers, before, picked, onReset }: ChangesProps) {
  const { ask, dialog } = useChange(workspace);
  const gateway = assignments[0]?.gateway ?? '';
  const { why } = useMay(workspace, 'gateways:write', `gateway/${gateway}`);
  const changes = assignments.flatMap((it) => {
    const provision = provisionOf(it, offers, picked);
    return provision ? [{ assignment: it, provision }] : [];
  });
  if (changes.length === 0) return null;
  return (
    <div className={classes.foot} role="group" aria-label="What is picked and not yet applied">
      {dialog}
      <div className={classes.line}>
        {changes.map(({ assignment, provision }) => (
          <Button
            key={assignment.id}
            disabled={why !== undefined}
            title={why}
            onClick={() => ask(exposing(workspace, assignment, 'tools', provision))}
          >
            Apply to {assignment.alias}: {countsOf(assignment, offers, before, picked)}
          </Button>
        ))}
        <Button variant="default" onClick={onReset}>
          Take back
        </Button>
      </div>
      {changes.some((it) => it.assignment.tools.expose !== 'named') && (
        <p className={classes.note}>
          From then on what these servers list anew is not seen until it is picked.
        </p>
      )}
    </div>
  );
}

function countsOf(
  { alias }: Assignment,
  offers: Offer[],
  before: ReadonlySet<string>,
  picked: ReadonlySet<string>,
): string {
  const own = offers.filter((it) => it.alias === alias);
  const more = own.filter((it) => picked.has(it.key) && !before.has(it.key)).length;
  const fewer = own.filter((it) => !picked.has(it.key) && before.has(it.key)).length;
  return [more > 0 && `+${more}`, fewer > 0 && `−${fewer}`].filter(Boolean).join(' ');
}
