import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';

import { ALL_CAPABILITIES } from '@/features/roles/room';
import { Code } from '@/ui/code';
import { Page, Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Trouble } from '@/ui/trouble';
import { Visible } from '@/ui/visible';
import { Chain } from './chain';
import { type Answer, asCommand, isAsked, type Question, whyQuery } from './queries';
import classes from './why-page.module.css';

const HERE = '/app/workspaces/$workspace/why';

/** Why somebody can or cannot: the decision itself, link by link. */
export function WhyPage() {
  const { workspace } = useParams({ from: HERE });
  const question = useSearch({ from: HERE });
  const { data, error, refetch } = useQuery(whyQuery(workspace, question));
  return (
    <Page title="Why can somebody …?">
      <Ask key={JSON.stringify(question)} question={question} />
      {isAsked(question) && (
        <div aria-live="polite" className={classes.answers}>
          {error ? (
            <Trouble what="It cannot be said" error={error} retry={() => void refetch()} />
          ) : data ? (
            <>
              {data.answers.map((it) => (
                <Told key={it.app ?? it.because} answer={it} />
              ))}
              {data.answers.length === 0 && <p>Nobody: the user has no app at that gateway.</p>}
              <Code text={asCommand(question)} what="command" />
            </>
          ) : (
            <TableSkeleton rows={3} />
          )}
        </div>
      )}
    </Page>
  );
}

function Ask({ question }: { question: Question }) {
  const navigate = useNavigate({ from: '/workspaces/$workspace/why' });
  const form = useForm({
    initialValues: {
      kind: question.capability ? 'administer' : 'call',
      user: question.user ?? '',
      app: question.app ?? '',
      gateway: question.gateway ?? '',
      tool: question.tool ?? '',
      capability: question.capability ?? 'servers:write',
      on: question.on ?? '',
    },
    validate: {
      app: (app, { kind, user }) =>
        kind === 'call' && !app && !user ? 'An app, or a user whose apps are meant' : null,
      user: (user, { kind }) => (kind === 'administer' && !user ? 'A user' : null),
      gateway: (gateway, { kind }) => (kind === 'call' && !gateway ? 'A gateway' : null),
      tool: (tool) => (tool && !/^[a-z](-?[a-z0-9])*\/.+$/.test(tool) ? 'As alias/tool' : null),
    },
  });
  const { kind } = form.values;
  const submit = ({ kind, user, app, gateway, tool, capability, on }: typeof form.values) => {
    const search: Question =
      kind === 'call'
        ? { user: app ? undefined : user, app, gateway, tool }
        : { user, capability, on };
    void navigate({
      search: Object.fromEntries(Object.entries(search).filter(([, value]) => value)),
    });
  };
  return (
    <form className={classes.ask} onSubmit={form.onSubmit(submit)}>
      <NativeSelect
        label="What"
        data={[
          { value: 'call', label: 'call a tool' },
          { value: 'administer', label: 'administer something' },
        ]}
        {...form.getInputProps('kind')}
      />
      {kind === 'call' ? (
        <>
          <TextInput label="App" data-search {...form.getInputProps('app')} />
          <TextInput label="or user" {...form.getInputProps('user')} />
          <TextInput label="Gateway" {...form.getInputProps('gateway')} />
          <TextInput label="Tool" placeholder="jira/search" {...form.getInputProps('tool')} />
        </>
      ) : (
        <>
          <TextInput label="User" data-search {...form.getInputProps('user')} />
          <NativeSelect
            label="Capability"
            data={ALL_CAPABILITIES}
            {...form.getInputProps('capability')}
          />
          <TextInput label="On" placeholder="workspace" {...form.getInputProps('on')} />
        </>
      )}
      <Button type="submit" className={classes.submit}>
        Ask
      </Button>
    </form>
  );
}

/** One answer, and what has led to it. */
function Told({ answer }: { answer: Answer }) {
  return (
    <Section title={answer.app ? `App ${answer.app}` : 'Answer'}>
      <p className={classes.because}>
        <Pill tone={answer.allowed ? 'good' : 'bad'}>{answer.allowed ? 'Yes' : 'No'}</Pill>
        <span>
          <Visible text={answer.because} />
        </span>
      </p>
      <Chain links={answer.chain} label="What has led to it" />
    </Section>
  );
}
