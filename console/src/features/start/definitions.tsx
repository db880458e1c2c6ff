import { Button } from '@mantine/core';
import { useInfiniteQuery, useQueries } from '@tanstack/react-query';

import { callOf, command } from '@/features/changes/call';
import { useChange } from '@/features/changes/use-change';
import { KIND_WORDS, pinQuery, pinsQuery } from '@/features/pins/queries';
import { Section } from '@/ui/page';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import classes from './start-page.module.css';

interface Props {
  workspace: string;
  server: string;
}

/** More are approved where they can be looked at one by one. */
const MOST = 50;

/** What the server has listed for a client that came, and the decision about it. */
export function Definitions({ workspace, server }: Props) {
  const { ask, dialog } = useChange(workspace);
  const { data, error } = useInfiniteQuery(pinsQuery(workspace, 'pending'));
  const all = data?.pages.flatMap((page) => page.items).filter((it) => it.server === server) ?? [];
  const waiting = all.slice(0, MOST);
  const details = useQueries({ queries: waiting.map((it) => pinQuery(workspace, it.id)) });
  // Only what has been shown can be approved.
  const shown = details.flatMap(({ data }) => (data?.definition ? [data] : []));
  const hashes = shown.map((it) => it.pin.hash);
  return (
    <Section title="What the server offers">
      {dialog}
      {error && <Trouble what="What waits for approval is not shown" error={error} />}
      {waiting.length === 0 ? (
        <p>
          Nothing waits for an approval. When a client comes, {server} is asked what it has, and
          clients see nothing of it before you have approved it here.
        </p>
      ) : (
        <div className={classes.part}>
          <p>Models read these as instructions. Read them first.</p>
          <ul className={classes.definitions} tabIndex={0} aria-label="Waiting for approval">
            {shown.map((it) => (
              <li key={it.pin.id}>
                <strong>
                  <Visible text={it.pin.name} />
                </strong>{' '}
                {KIND_WORDS[it.pin.kind] ?? it.pin.kind}
                <p>
                  <Visible text={it.definition ?? ''} />
                </p>
              </li>
            ))}
          </ul>
          <div>
            <Button
              disabled={hashes.length < waiting.length}
              onClick={() =>
                ask({
                  title: `What ${server} offers`,
                  verb: `Approve ${hashes.length}`,
                  call: callOf(
                    'post',
                    '/api/v1/workspaces/{workspace}/servers/{server}/pins/approve',
                    { workspace, server },
                    { hashes },
                  ),
                  command: command(['pin', 'approve-all', server]),
                  before: null,
                  after: { approved: shown.map((it) => it.pin.name) },
                })
              }
            >
              Approve {all.length > MOST ? `these ${MOST} of ${all.length}` : `all ${all.length}`}
            </Button>
          </div>
        </div>
      )}
    </Section>
  );
}
