import { Button } from '@mantine/core';

import type { Schemas } from '@/api/client';
import { Visible } from '@/ui/visible';
import classes from './build-page.module.css';

interface Props {
  of: Schemas['MissingBody'][];
  onRetry: () => void;
}

/** Servers that could not be listed: what is theirs is neither shown nor hidden. */
export function Missing({ of, onRetry }: Props) {
  if (of.length === 0) return null;
  return (
    <div role="alert">
      {of.map((it) => (
        <p key={it.alias} className={classes.warn}>
          {it.alias} could not be listed: <Visible text={it.why} />
        </p>
      ))}
      <Button size="compact-xs" variant="default" onClick={onRetry}>
        Look again
      </Button>
    </div>
  );
}
