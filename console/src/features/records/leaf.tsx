/** One record: all of its members, whether its content is there, and its proof. */
import { Button, Menu } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { ApprovalsIcon, CheckIcon, CopyIcon, DownloadIcon } from '@/ui/icons';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { Exact } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { type Entry, memberOf } from './entry';
import { forget, readRemembered } from './known';
import classes from './record-panel.module.css';
import { Steps } from './steps';
import { type Check, useCheck } from './verification';

interface Props {
  workspace: string;
  entry: Entry;
}

export function Leaf({ workspace, entry }: Props) {
  const [check, begin] = useCheck(workspace, entry);
  const text = JSON.stringify(Object.fromEntries(entry.members));
  return (
    <Section
      title={TITLES[entry.kind] ?? entry.kind}
      note={<Exact at={new Date(entry.at).toISOString()} />}
    >
      <div className={classes.leaf}>
        <dl>
          {entry.members.map(([name, value]) => (
            <div key={name} className={classes.member}>
              <dt>
                <Visible text={name} />
              </dt>
              <dd data-type={typeof value}>
                <Visible text={typeof value === 'string' ? value : JSON.stringify(value)} />
              </dd>
            </div>
          ))}
        </dl>
        {entry.index !== null && memberOf(entry, 'content') !== undefined && (
          <Content workspace={workspace} index={entry.index} />
        )}
        <footer className={classes.foot}>
          <span>
            sequence {entry.sequence}, index {entry.index ?? 'not known yet'}
            {entry.isClockSuspect && ', the clock went back'}
          </span>
          <CopyMenu
            texts={{
              'Record as JSON': text,
              Command:
                entry.index === null
                  ? null
                  : `ostiary record show ${entry.index} --workspace ${workspace}`,
              'Link to this page': globalThis.location.href,
            }}
          />
          {entry.index !== null && (
            <>
              <Button
                component="a"
                variant="default"
                size="compact-xs"
                leftSection={<DownloadIcon size={13} />}
                href={`/api/v1/workspaces/${encodeURIComponent(workspace)}/records/${entry.index}/proof`}
                download={`${workspace}-${entry.index}.tlog-proof`}
              >
                Proof
              </Button>
              <Button
                size="compact-xs"
                leftSection={<ApprovalsIcon size={13} />}
                // Not disabled meanwhile: who works by keyboard would lose the place.
                aria-busy={check.state === 'running'}
                onClick={begin}
              >
                Verify
              </Button>
            </>
          )}
        </footer>
        <div role="status">
          {check.state !== 'idle' && (
            <Verification workspace={workspace} index={entry.index} check={check} />
          )}
        </div>
      </div>
    </Section>
  );
}

function Verification(props: { workspace: string; index: number | null; check: Check }) {
  const { workspace, index, check } = props;
  const remembered = readRemembered(workspace);
  return (
    <div className={classes.verification}>
      {check.state === 'holds' && <Pill tone="good">Record {index} holds</Pill>}
      {check.state === 'fails' && <Pill tone="bad">Record {index} does not hold</Pill>}
      {check.failure && <Trouble what="The proof could not be asked for" error={check.failure} />}
      <Steps check={check} />
      {check.state !== 'running' && (
        <p className={classes.open}>
          Checked in this browser. The key is the one that this gateway names
          {remembered && (
            <>
              ; this browser has seen it since <Exact at={remembered.since} />
            </>
          )}
          . Compare its fingerprint with a copy of <code>log.key</code> from elsewhere.{' '}
          {remembered && (
            <Button variant="subtle" size="compact-xs" onClick={() => forget(workspace)}>
              Forget what was seen
            </Button>
          )}
        </p>
      )}
    </div>
  );
}

/** Texts by what they are. */
function CopyMenu({ texts }: { texts: Record<string, string | null> }) {
  const clipboard = useClipboard({ timeout: 1500 });
  return (
    <Menu withinPortal transitionProps={{ duration: 0 }} position="bottom-end">
      <Menu.Target>
        <Button
          variant="default"
          size="compact-xs"
          leftSection={clipboard.copied ? <CheckIcon size={13} /> : <CopyIcon size={13} />}
        >
          {clipboard.copied ? 'Copied' : 'Copy'}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {Object.entries(texts).map(
          ([what, text]) =>
            text !== null && (
              <Menu.Item key={what} onClick={() => clipboard.copy(text)}>
                {what}
              </Menu.Item>
            ),
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

/** What lies sealed beside the log. That of calls is told to nobody here. */
function Content({ workspace, index }: { workspace: string; index: number }) {
  const { data, error } = useQuery({
    queryKey: ['records', workspace, 'content', index],
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/workspaces/{workspace}/records/{index}', {
          params: { path: { workspace, index } },
          signal,
        }),
      ),
  });
  if (error) return <Trouble what="Whether its content is there is not known" error={error} />;
  if (!data) return null;
  return (
    <div className={classes.content}>
      <p>{CONTENT[data.content]}</p>
      {data.deed && <Changes changes={data.deed.changes} />}
    </div>
  );
}

function Changes({ changes }: { changes: Schemas['Difference'][] }) {
  return (
    <ul className={classes.changes}>
      {changes.map(({ member, before, after }) => (
        <li key={member}>
          <strong>
            <Visible text={member} />
          </strong>{' '}
          <del>
            <Visible text={JSON.stringify(before)} />
          </del>{' '}
          <ins>
            <Visible text={JSON.stringify(after)} />
          </ins>
        </li>
      ))}
    </ul>
  );
}

const CONTENT: Record<Schemas['RecordDetail']['content'], string> = {
  none: 'No content was recorded.',
  kept: 'What it has changed is sealed beside the log:',
  erased: 'Its content has been erased. The record and its proof stay.',
  missing: 'Its content is missing.',
  unavailable: 'Its content cannot be read now.',
  withheld:
    'What was said is sealed beside the log, as the rules have left it, under the digest above. It is not shown here.',
};

const TITLES: Partial<Record<string, string>> = {
  admin: 'Administrative act',
  intent: 'Intent',
  outcome: 'Outcome',
  system: 'System',
};
