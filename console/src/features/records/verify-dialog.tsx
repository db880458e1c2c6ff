/**
 * Checks a file that somebody has dropped here: a proof, or an export with proofs. It asks nobody, so it
 * works without a network; and shows by a sample what a log looks like that was tampered with.
 */
import { Button, FileButton, Group, Modal, Textarea } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';

import { useExact } from '@/ui/time';
import { Visible } from '@/ui/visible';
import {
  type Bundle,
  checkBundle,
  MOST_FILE_BYTES,
  readBundle,
  type Verdict,
} from '@/verify/bundle';
import { Disproof } from '@/verify/disproof';
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
  verdicts: Verdict[];
  total: number;
  isDone: boolean;
  /** Why the file could not be checked at all. */
  why: string | null;
  /** Whether the key was taken from the file, which then vouches for itself. */
  isOwnKey: boolean;
}

/** So many that do not hold are listed; the rest is counted. */
const MOST_LISTED = 50;
/** The page is drawn after so many. */
const STRIDE = 20;

export function VerifyDialog({ workspace, onClose }: Props) {
  const remembered = readRemembered(workspace);
  const exact = useExact();
  const [key, setKey] = useState(remembered?.key ?? '');
  const [result, setResult] = useState<Result | null>(null);
  const run = useRef(0);
  useEffect(
    () => () => {
      run.current += 1;
    },
    [],
  );
  const begin = (name: string, text: Promise<string>, own: string | null) => {
    run.current += 1;
    const mine = run.current;
    void checkFile(name, text, own ?? key, (next) => {
      if (mine === run.current) setResult(next);
    });
  };
  const take = (file: File | null | undefined) => {
    if (file) begin(file.name, readText(file), null);
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
              onClick={() => begin('the sample', Promise.resolve(SAMPLE), SAMPLE_KEY)}
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

function Outcome({ result: { name, verdicts, total, isDone, why, isOwnKey } }: { result: Result }) {
  if (why !== null) {
    return (
      <p className={classes.bad}>
        <Visible text={name} /> cannot be checked: {why}.
      </p>
    );
  }
  const bad = verdicts.filter((it) => it.disproof);
  const count = new Intl.NumberFormat('en').format(verdicts.length);
  return (
    <div className={classes.outcome}>
      <p className={bad.length > 0 ? classes.bad : isDone ? classes.good : undefined}>
        {!isDone && `Checked ${count} of ${total}…`}
        {isDone && bad.length === 0 && `${count} of ${total} records hold.`}
        {isDone && bad.length > 0 && `${bad.length} of ${total} records do not hold.`}
      </p>
      {isOwnKey && (
        <p>
          The key is the one that the file itself names: whoever wrote the file could have made
          both. Give the key from elsewhere.
        </p>
      )}
      <ul>
        {bad.slice(0, MOST_LISTED).map(({ index, disproof }) => (
          <li key={index}>
            <strong>Record {index} does not hold.</strong> {disproof && STEPS[disproof.step]}:{' '}
            <Visible text={disproof?.message ?? ''} />.
          </li>
        ))}
      </ul>
    </div>
  );
}

async function checkFile(
  name: string,
  text: Promise<string>,
  given: string,
  show: (result: Result) => void,
) {
  const verdicts: Verdict[] = [];
  let bundle: Bundle = { key: null, claims: [] };
  let isOwnKey = false;
  const tell = (isDone: boolean, why: string | null = null) =>
    show({ name, verdicts: [...verdicts], total: bundle.claims.length, isDone, why, isOwnKey });
  try {
    bundle = readBundle(await text);
    isOwnKey = given.trim() === '' && bundle.key !== null;
    if (given.trim() === '' && !isOwnKey) throw new Disproof('key', 'give the key of its log');
    for await (const verdict of checkBundle(bundle, isOwnKey ? (bundle.key ?? '') : given)) {
      verdicts.push(verdict);
      if (verdicts.length % STRIDE === 0) tell(false);
    }
    tell(true);
  } catch (error) {
    tell(true, error instanceof Error ? error.message : String(error));
  }
}

async function readText(file: File): Promise<string> {
  if (file.size > MOST_FILE_BYTES) throw new Error('it is too large');
  const bytes = await file.arrayBuffer();
  // As it stands there: a mark at its beginning is no part of the form, nor is what is not UTF-8.
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}
