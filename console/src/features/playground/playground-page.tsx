/** A call of a tool in the place of somebody’s app, through everything that decides about calls. */
import { NativeSelect } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';

import { Missing } from '@/features/gateways/build/missing';
import { NobodySees } from '@/features/gateways/build/seen-as';
import { BECAUSE } from '@/features/gateways/build/words';
import { connectionsQuery } from '@/features/gateways/queries';
import { namesQuery } from '@/features/objects/nouns';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Page } from '@/ui/page';
import { Trouble } from '@/ui/trouble';
import { pieces } from '@/ui/visible';
import classes from './playground-page.module.css';
import { type Hidden, toolsQuery } from './queries';
import type { PlaygroundSearch } from './search';
import { ToolCall } from './tool-call';

const HERE = '/app/workspaces/$workspace/playground';

export function PlaygroundPage() {
  const { workspace } = useParams({ from: HERE });
  const search = useSearch({ from: HERE });
  const navigate = useNavigate({ from: '/workspaces/$workspace/playground' });
  const go = (search: PlaygroundSearch) => void navigate({ search, replace: true });
  const names = useQuery(namesQuery(workspace, 'gateways'));
  const connections = useQuery(connectionsQuery(workspace));
  const gateways = names.data?.names ?? [];
  // Nothing is called elsewhere, or as another, than the address says.
  const gateway = search.gateway ?? gateways[0] ?? '';
  const isThere = gateways.includes(gateway);
  const on = connections.data?.items.filter((it) => it.gateway === gateway) ?? [];
  const app = search.app ?? on[0]?.app ?? '';
  const isOn = on.some((it) => it.app === app);
  const error = names.error ?? connections.error;
  return (
    <Page title="Playground">
      {error && <Trouble what="It is not known what can be called" error={error} />}
      {!error && (!names.data || !connections.data) && <TableSkeleton rows={3} />}
      {names.data && gateways.length === 0 && (
        <p>There is no gateway that you may see, so there is nothing to call.</p>
      )}
      {names.data && gateway !== '' && connections.data && (
        <div className={classes.whole}>
          <div className={classes.choice}>
            <NativeSelect
              label="Gateway"
              data={isThere ? gateways : [gone(gateway), ...gateways]}
              value={gateway}
              onChange={(event) => go({ gateway: event.currentTarget.value })}
            />
            {isThere && app !== '' && (
              <NativeSelect
                label="In the place of"
                data={[
                  ...(isOn ? [] : [gone(app)]),
                  ...on.map((it) => ({ value: it.app, label: `${it.app}, for ${it.user}` })),
                ]}
                value={app}
                onChange={(event) => go({ gateway, app: event.currentTarget.value })}
              />
            )}
          </div>
          {!isThere && <p>There is no gateway {seen(gateway)}, or you may not see it.</p>}
          {isThere && app === '' && <NobodySees workspace={workspace} gateway={gateway} />}
          {isThere && app !== '' && !isOn && (
            <p>
              {seen(app)} is not connected to {gateway}, or you may not see it.
            </p>
          )}
          {isThere && isOn && (
            <Tools
              of={{ workspace, gateway, app }}
              tool={search.tool ?? ''}
              onTool={(tool) => go({ gateway, app, tool })}
            />
          )}
        </div>
      )}
    </Page>
  );
}

interface ToolsProps {
  of: { workspace: string; gateway: string; app: string };
  tool: string;
  onTool: (tool: string) => void;
}

/** What that app can call, and what is hidden from it: to try that says what stops it. */
function Tools({ of, tool, onTool }: ToolsProps) {
  const { data, error, refetch } = useQuery(toolsQuery(of));
  if (error) {
    return <Trouble what="Its tools are not shown" error={error} retry={() => void refetch()} />;
  }
  if (!data) return <TableSkeleton rows={4} />;
  const { shown, hidden } = data.tools;
  const listed = [...shown.map((it) => it.name), ...hidden.map(nameOf)];
  const others = tool !== '' && !listed.includes(tool) ? [tool] : [];
  const found = shown.find((it) => it.name === tool);
  return (
    <>
      <Missing of={data.missing} onRetry={() => void refetch()} />
      <NativeSelect
        label="Tool"
        className={classes.tool}
        value={tool}
        onChange={(event) => onTool(event.currentTarget.value)}
        data={[
          { value: '', label: 'Choose one' },
          ...others.map((it) => ({ value: it, label: `${seen(it)} (not listed)` })),
          {
            group: 'Shown to it',
            items: shown.map((it) => ({ value: it.name, label: seen(it.name) })),
          },
          {
            group: 'Hidden from it',
            items: hidden.map((it) => ({
              value: nameOf(it),
              label: `${seen(nameOf(it))} (${BECAUSE[it.because]})`,
            })),
          },
        ]}
      />
      {tool !== '' && (
        <ToolCall key={`${of.gateway} ${of.app} ${tool}`} wanted={{ ...of, tool }} shown={found} />
      )}
    </>
  );
}

/** What the address names and is not there. */
function gone(name: string) {
  return { value: name, label: `${seen(name)} (not there)` };
}

/** As the gateway would list it. */
function nameOf({ alias, name }: Hidden): string {
  return `${alias}__${name}`;
}

/** A choice holds text alone, so what cannot be seen stands there as its name. */
function seen(text: string): string {
  return pieces(text)
    .map((it) => (it.token ? `[${it.token}]` : it.text))
    .join('');
}
