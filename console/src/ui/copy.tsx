import { ActionIcon, Tooltip } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';

import { CheckIcon, CopyIcon } from './icons';

/** Copies a text. `what` names it: “Copy URL”. */
export function Copy({ text, what }: { text: string; what: string }) {
  const clipboard = useClipboard({ timeout: 1500 });
  const label = clipboard.copied ? 'Copied' : `Copy ${what}`;
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="sm"
        aria-label={label}
        onClick={() => clipboard.copy(text)}
      >
        {clipboard.copied ? <CheckIcon size={14} /> : <CopyIcon size={14} />}
      </ActionIcon>
    </Tooltip>
  );
}
