import { Button, Group, Switch, Textarea } from '@mantine/core';
import { useState } from 'react';

import { useMay } from '@/app/rights';
import { command } from '@/features/changes/call';
import { differences, type Members } from '@/features/changes/difference';
import { useChange } from '@/features/changes/use-change';
import { pathOf } from '@/features/objects/queries';
import { Section } from '@/ui/page';
import classes from './editor.module.css';
import type { Policy } from './room';
import { Simulation } from './simulation';
import { Tests } from './tests';

/** The text and the tests are changed together: a policy whose tests fail is not saved. */
export function Editor({ policy, workspace }: { policy: Policy; workspace: string }) {
  const [text, setText] = useState(policy.text);
  const [tests, setTests] = useState(() => JSON.stringify(policy.tests, undefined, 2));
  const [isEnabled, setEnabled] = useState(policy.enabled);
  const { ask, dialog } = useChange(workspace);
  const { why } = useMay(workspace, 'policies:write');
  const read = parsed(tests);
  const before = policy as unknown as Members;
  const wanted = { text, enabled: isEnabled, tests: read ?? policy.tests };
  const changed = differences(before, { ...before, ...wanted });
  const save = () => {
    const body = Object.fromEntries(changed.map(({ member, after }) => [member, after]));
    const path = pathOf(workspace, 'policies', policy.name);
    ask({
      title: `Change policy ${policy.name}`,
      verb: 'Apply',
      call: { method: 'patch', path, body },
      command: command(['policy', 'update', policy.name], {
        text: 'text' in body ? 'policy.cedar' : undefined,
        tests: 'tests' in body ? 'tests.json' : undefined,
        enabled: 'enabled' in body ? isEnabled : undefined,
      }),
      before,
      of: path,
    });
  };
  return (
    <>
      {dialog}
      <div className={classes.both}>
        <Section title="Text" note="Cedar">
          <Textarea
            aria-label="Text of the policy"
            classNames={{ input: classes.code ?? '' }}
            autosize
            minRows={12}
            maxRows={30}
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
        </Section>
        <Section title="Tests" note="a list in JSON; all must pass">
          <Textarea
            aria-label="Tests of the policy"
            classNames={{ input: classes.code ?? '' }}
            autosize
            minRows={12}
            maxRows={30}
            spellCheck={false}
            error={read ? null : 'This is no list in JSON'}
            value={tests}
            onChange={(event) => setTests(event.currentTarget.value)}
          />
        </Section>
      </div>
      <Group gap={12}>
        <Switch
          label="It counts"
          checked={isEnabled}
          onChange={(event) => setEnabled(event.currentTarget.checked)}
        />
        <Button
          disabled={why !== undefined || !read || changed.length === 0}
          title={why}
          onClick={save}
        >
          See the change
        </Button>
      </Group>
      <Tests workspace={workspace} policy={policy.name} />
      <Simulation workspace={workspace} name={policy.name} text={text} isEnabled={isEnabled} />
    </>
  );
}

/** What a test may say is for the gateway to decide. */
function parsed(text: string): Policy['tests'] | null {
  try {
    const read: unknown = JSON.parse(text);
    return Array.isArray(read) ? (read as Policy['tests']) : null;
  } catch {
    return null;
  }
}
