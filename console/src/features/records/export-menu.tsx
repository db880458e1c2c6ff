import { Button, Menu } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';

import { DownloadIcon } from '@/ui/icons';
import { Trouble } from '@/ui/trouble';
import type { Row } from './entry';
import { csv, entriesOf, MOST_PROOFS, ndjson, proved, save } from './export';
import { fetchHead } from './verification';

interface Props {
  workspace: string;
  /** What is shown. */
  rows: readonly Row[];
}

/** Files of what is shown, and the checkpoint to check them against. */
export function ExportMenu({ workspace, rows }: Props) {
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const run = (make: (signal: AbortSignal) => Promise<void>) => {
    stop.current = new AbortController();
    const { signal } = stop.current;
    setError(null);
    setBusy(true);
    make(signal)
      .catch((failed: unknown) => {
        if (!signal.aborted) setError(failed);
      })
      .finally(() => setBusy(false));
  };
  const name = (end: string) => `${workspace}-records.${end}`;
  return (
    <>
      <Menu withinPortal transitionProps={{ duration: 0 }} position="bottom-end">
        <Menu.Target>
          <Button variant="default" leftSection={<DownloadIcon size={14} />} loading={isBusy}>
            Export
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            onClick={() =>
              run((signal) => save(name('ndjson'), ndjson(workspace, entriesOf(rows), signal)))
            }
          >
            NDJSON
          </Menu.Item>
          <Menu.Item
            onClick={() =>
              run((signal) =>
                save(name('proved.ndjson'), proved(workspace, entriesOf(rows), signal)),
              )
            }
          >
            NDJSON with proofs (newest {MOST_PROOFS})
          </Menu.Item>
          <Menu.Item onClick={() => run(() => save(name('csv'), csv(entriesOf(rows))))}>
            CSV
          </Menu.Item>
          <Menu.Item
            onClick={() =>
              run(async (signal) => {
                const { checkpoint } = await fetchHead(workspace, {}, signal);
                await save(`${workspace}.checkpoint`, [checkpoint]);
              })
            }
          >
            Checkpoint
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {error !== null && <Trouble what="The file was not made" error={error} />}
    </>
  );
}
