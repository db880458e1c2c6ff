/** What stands where a page does not. */
import { useQueryErrorResetBoundary } from '@tanstack/react-query';
import { type ErrorComponentProps, Link, useRouter } from '@tanstack/react-router';

import { Failure } from '@/api/failure';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Page } from '@/ui/page';
import { Panel } from '@/ui/panel';
import { Trouble } from '@/ui/trouble';

export function Pending() {
  return (
    <Page title="Loading…" isWaiting>
      <TableSkeleton />
    </Page>
  );
}

/** Beside a list, whose title is that of the page. */
export function PendingPanel() {
  return (
    <Panel title="Loading…" label="What is opened" onClose={useClose()}>
      <TableSkeleton />
    </Panel>
  );
}

export function Wrong({ error, reset }: ErrorComponentProps) {
  const retry = useRetry(reset);
  return (
    <Page title={isMissing(error) ? 'Not found' : 'This page could not be loaded'}>
      <Trouble what="The gateway’s answer" error={error} retry={retry} />
      <Link to="/">Start again from the first page</Link>
    </Page>
  );
}

export function WrongPanel({ error, reset }: ErrorComponentProps) {
  const retry = useRetry(reset);
  const title = isMissing(error) ? 'Not found' : 'This could not be loaded';
  return (
    <Panel title={title} label="What is opened" onClose={useClose()}>
      <Trouble what="The gateway’s answer" error={error} retry={retry} />
    </Panel>
  );
}

function isMissing(error: unknown) {
  return error instanceof Failure && error.status === 404;
}

function useRetry(reset: () => void) {
  const router = useRouter();
  const boundary = useQueryErrorResetBoundary();
  return () => {
    boundary.reset();
    reset();
    void router.invalidate();
  };
}

/** Back to the list, as it was searched and sorted. */
function useClose() {
  const router = useRouter();
  return () => {
    const { pathname, searchStr } = router.state.location;
    void router.navigate({ href: pathname.slice(0, pathname.lastIndexOf('/')) + searchStr });
  };
}

export function NotFound() {
  return (
    <Page title="Not found">
      <p>There is no such page in this console.</p>
      <Link to="/">Go to the first page</Link>
    </Page>
  );
}
