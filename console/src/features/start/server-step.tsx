import { Button, SegmentedControl, Textarea, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';

import type { Schemas } from '@/api/client';
import { callOf } from '@/features/changes/call';
import { type Change, useChange } from '@/features/changes/use-change';
import { checkName, linesOf } from '@/features/objects/form-dialog';
import { sessionQuery } from '@/features/session/queries';
import { documents, type First, nameFrom, OWNER } from './documents';
import classes from './start-page.module.css';

/** Asks for what only people know, and makes the rest with it. */
export function ServerStep({ workspace }: { workspace: string }) {
  const navigate = useNavigate({ from: '/workspaces/$workspace/start' });
  const { data: session } = useQuery(sessionQuery);
  const { ask, dialog } = useChange(workspace);
  const form = useForm({
    initialValues: { type: 'http', reach: '', server: '', person: '' },
    validate: {
      reach: (text, { type }) => checkReach(text, type),
      server: (text) => (text.trim() === '' ? null : checkName(text.trim())),
      person: (text) => (text.trim() === '' ? null : checkName(text.trim())),
    },
  });
  const { type, reach } = form.values;
  const isCommand = type === 'stdio';
  const suggested = { server: nameFrom(reach), person: session?.name ?? 'admin' };
  const next = form.onSubmit((values) => {
    const first: First = {
      server: values.server.trim() || suggested.server,
      person: values.person.trim() || suggested.person,
      transport: transportOf(values),
    };
    ask(making(workspace, first), () =>
      navigate({ search: { server: first.server }, replace: true }),
    );
  });
  return (
    <form className={classes.form} onSubmit={next} noValidate>
      <p>
        Which MCP server shall be the first behind Ostiary? It is made together with a user, a team,
        a gateway and an app, which can all be changed later.
      </p>
      <SegmentedControl
        aria-label="How it is reached"
        transitionDuration={0}
        data={[
          { value: 'http', label: 'At a URL' },
          { value: 'stdio', label: 'By a command here' },
        ]}
        {...form.getInputProps('type')}
      />
      {isCommand ? (
        <Textarea
          label="Command"
          description="On the machine of the gateway, with its arguments, one in a line; never a shell"
          autosize
          minRows={2}
          spellCheck={false}
          {...form.getInputProps('reach')}
        />
      ) : (
        <TextInput
          label="URL"
          description="Of Streamable HTTP, as the server's own documentation has it"
          type="url"
          spellCheck={false}
          {...form.getInputProps('reach')}
        />
      )}
      <TextInput
        label="Name of the server"
        description={`${suggested.server}, where this is empty`}
        spellCheck={false}
        {...form.getInputProps('server')}
      />
      <TextInput
        label="Your name as a user of this workspace"
        description={`${suggested.person}, where this is empty`}
        spellCheck={false}
        {...form.getInputProps('person')}
      />
      <div>
        <Button type="submit">Next: see what is made</Button>
      </div>
      {dialog}
    </form>
  );
}

function checkReach(text: string, type: string): string | null {
  if (text.trim() === '') return type === 'stdio' ? 'Type a command' : 'Type a URL';
  if (type === 'stdio') return null;
  const isWeb = URL.canParse(text.trim()) && /^https?:/.test(text.trim());
  return isWeb ? null : 'This is no URL that begins with https:// or http://';
}

function transportOf({ type, reach }: { type: string; reach: string }): Schemas['TransportText'] {
  if (type !== 'stdio') return { type: 'http', url: reach.trim() };
  const [command = '', ...args] = linesOf(reach);
  return { type: 'stdio', command, args };
}

function making(workspace: string, first: First): Change {
  const text = documents(first);
  return {
    title: 'What is made for the first call',
    verb: 'Make all of it',
    call: callOf(
      'post',
      '/api/v1/workspaces/{workspace}/apply',
      { workspace },
      { text, owner: OWNER },
    ),
    command: `ostiary apply --owner ${OWNER} -f - <<'END'\n${text}END`,
    before: null,
    after: { documents: text },
    note: 'All of it, or nothing. Nobody sees what the server lists before you have approved it.',
  };
}
