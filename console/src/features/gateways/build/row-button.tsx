import { Button } from '@mantine/core';
import type { ReactNode } from 'react';

interface Props {
  /** Why it cannot be pressed, if it cannot. */
  why: string | undefined;
  /** Where its own words do not say which row it is of. */
  label?: string;
  onClick: () => void;
  children: ReactNode;
}

/** What can be done with a row of a table. */
export function RowButton({ why, label, onClick, children }: Props) {
  return (
    <Button
      size="compact-xs"
      variant="default"
      disabled={why !== undefined}
      title={why}
      aria-label={label}
      data-row
      onClick={onClick}
    >
      {children}
    </Button>
  );
}
