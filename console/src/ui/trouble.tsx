/** What went wrong, what to do, and the id by which the gateway's log knows it. */
import { Button } from '@mantine/core';

import { Failure } from '@/api/failure';
import { Copy } from './copy';
import { WarningIcon } from './icons';
import classes from './trouble.module.css';
import { useExact } from './time';
import { Visible } from './visible';

interface Props {
  /** What did not work, as a clause: “The servers could not be loaded”. */
  what: string;
  error: unknown;
  retry?: () => void;
}

export function Trouble({ what, error, retry }: Props) {
  const failure = error instanceof Failure ? error : null;
  return (
    <div className={classes.box} role="alert">
      <span className={classes.sign}>
        <WarningIcon />
      </span>
      <div className={classes.text}>
        <p className={classes.what}>
          {what}
          {failure && (
            <>
              : <Visible text={failure.detail} />
            </>
          )}
          .
        </p>
        <p className={classes.advice}>{failure ? failure.advice : UNEXPECTED}</p>
        {failure?.requestId && (
          <p className={classes.id}>
            Request <code>{failure.requestId}</code>
            <Copy text={failure.requestId} what="request id" />
          </p>
        )}
        {retry && (
          <Button variant="default" size="compact-xs" onClick={retry} mt={8}>
            Try again
          </Button>
        )}
      </div>
    </div>
  );
}

/** Says that what is shown is old, where refreshing it has failed. `since` is in milliseconds. */
export function Stale({ error, since }: { error: unknown; since: number }) {
  const exact = useExact();
  if (!error) return null;
  const then = exact(new Date(since).toISOString());
  return <Trouble what={`This is what was known at ${then}; refreshing it failed`} error={error} />;
}

const UNEXPECTED = 'This is a fault of the console. Reload the page; nothing was changed by it.';
