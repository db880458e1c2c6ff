/**
 * Checks a file that somebody has dropped here: a proof, or an export with proofs. It asks nobody, so it
 * works without a network; and shows by a sample what a log looks like that was tampered with.
 */
import { Button, FileButton, Group, Modal, Textarea } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';

import { useExact } from '@/ui/time';
import { Visible } from '@/ui/visible';
import { Verifier } from '@/verify/thread';
import type { Progress } from '@/verify/worker';
import { readRemembered } from './known';
import { SAMPLE, SAMPLE_KEY } from './sample';
import { STEPS } from './verification';
import classes from './verify-dialog.module.css';

interface Props {
  workspace: string;
  onClose: () => void;
}

/** What was checked last, and what became of it. */
interface Result {
  name: string;
  /** Absent while the file is read. */
  progress: Progress | null;
  isDone: boolean;
  /** Why the file could not be checked at all. */
  why: string | null;
}

export function VerifyDialog({ workspace, onClose }: Props) {
  const remembered = readRemembered(workspace);
  const exact = useExact();
  const [key, setKey] = useState(remembered?.key ?? '');
  const [result, setResult] = useState<Result | null>(null);
  const stop = useRef<AbortController | null>(null);
  // Started with the dialog, so that a file can be checked when the network has gone.
  const verifier = useRef<Verifier | null>(null);
  useEffect(() => {
    const own = new Verifier();
    verifier.current = own;
    return () => {
      stop.current?.abort();
      own.end();
    };
  }, []);
  const begin = (name: string, file: Blob, own: string | null) => {
    stop.current?.abort();
    const mine = new AbortController();
    stop.current = mine;
    const steps = verifier.current?.checkFile(file, own ?? key, mine.signal);
    if (!steps) return;
    void showAll(steps, (next) => {
      if (!mine.signal.aborted) setResult({ name, ...next });
    });
  };
  const take = (file: File | null | undefined) => {
    if (file) begin(file.name, file, null);
  };
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title="Verify a file"
      closeButtonProps={{ 'aria-label': 'Close' }}
      transitionProps={{ duration: 0 }}
    >
      <div className={classes.body}>
        <div
          className={classes.drop}
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event) => {
            event.preventDefault();
            take(event.dataTransfer.files[0]);
          }}
        >
          <p>
            Drop a <code>.tlog-proof</code> or an export with proofs here. It is checked on this
            machine and sent nowhere.
          </p>
          <Group gap={8} justify="center">
            <FileButton onChange={take} inputProps={{ 'aria-label': 'File to verify' }}>
              {(props) => (
                <Button {...props} variant="default">
                  Choose a file
                </Button>
              )}
            </FileButton>
            <Button
              variant="subtle"
              onClick={() => begin('the sample', new Blob([SAMPLE]), SAMPLE_KEY)}
            >
              See what tampering looks like
            </Button>
          </Group>
        </div>
        <Textarea
          label="Key of the log"
          description={
            remembered
              ? `As this browser has seen it since ${exact(remembered.since)}. A copy of log.key from elsewhere proves more.`
              : 'The text of log.key in the data folder, from somewhere that this gateway cannot change.'
          }
          autosize
          maxRows={3}
          spellCheck={false}
          classNames={{ input: classes.key ?? '' }}
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
        />
        <div role="status">{result && <Outcome result={result} />}</div>
      </div>
    </Modal>
  );
}

function Outcome({ result: { name, progress, isDone, why } }: { result: Result }) {
  if (why !== null) {
    return (
      <p className={classes.bad}>
        <Visible text={name} /> cannot be checked: {why}.
      </p>
    );
  }
  if (!progress) return <p>Reading…</p>;
  const { total, checked, failed, listed, isOwnKey } = progress;
  const number = new Intl.NumberFormat('en');
  return (
    <div className={classes.outcome}>
      <p className={failed > 0 ? classes.bad : isDone ? classes.good : undefined}>
        {!isDone && `Checked ${number.format(checked)} of ${number.format(total)}…`}
        {isDone &&
          failed === 0 &&
          `${number.format(checked)} of ${number.format(total)} records hold.`}
        {isDone &&
          failed > 0 &&
          `${number.format(failed)} of ${number.format(total)} records do not hold.`}
      </p>
      {isOwnKey && (
        <p>
          The key is the one that the file itself names: whoever wrote the file could have made
          both. Give the key from elsewhere.
        </p>
      )}
      <ul>
        {listed.map(({ index, step, why }) => (
          <li key={index}>
            <strong>Record {index} does not hold.</strong> {STEPS[step]}: <Visible text={why} />.
          </li>
        ))}
      </ul>
    </div>
  );
}

async function showAll(
  steps: AsyncGenerator<Progress>,
  show: (result: Omit<Result, 'name'>) => void,
) {
  let progress: Progress | null = null;
  try {
    show({ progress, isDone: false, why: null });
    for await (progress of steps) show({ progress, isDone: false, why: null });
    show({ progress, isDone: true, why: null });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    show({ progress, isDone: true, why });
  }
}
