/** What stands where a page does not. */
import { useQueryErrorResetBoundary } from '@tanstack/react-query';
import { type ErrorComponentProps, Link, useRouter } from '@tanstack/react-router';

import { Failure } from '@/api/failure';
import { TableSkeleton } from '@/ui/data-table';
import { Page } from '@/ui/page';
import { Trouble } from '@/ui/trouble';

export function Pending() {
  return (
    <Page title="Loading…" isWaiting>
      <TableSkeleton />
    </Page>
  );
}

export function Wrong({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const boundary = useQueryErrorResetBoundary();
  const isMissing = error instanceof Failure && error.status === 404;
  const retry = () => {
    boundary.reset();
    reset();
    void router.invalidate();
  };
  return (
    <Page title={isMissing ? 'Not found' : 'This page could not be loaded'}>
      <Trouble what="The gateway’s answer" error={error} retry={retry} />
      <Link to="/">Start again from the first page</Link>
    </Page>
  );
}

export function NotFound() {
  return (
    <Page title="Not found">
      <p>There is no such page in this console.</p>
      <Link to="/">Go to the first page</Link>
    </Page>
  );
}
