import { queryOptions } from '@tanstack/react-query';

import { api, type Schemas, take } from '@/api/client';
import { callOf, command } from '@/features/changes/call';
import { freshKey, send } from '@/features/changes/send';

export type Told = Schemas['TestCallBody'];
export type Shown = Schemas['ShownBody'];
export type Hidden = Schemas['HiddenBody'];

/** What is called, as whom. */
export interface Wanted {
  workspace: string;
  gateway: string;
  app: string;
  tool: string;
}

/** The tools of somebody, with what arguments they take. */
export function toolsQuery({ workspace, gateway, app }: Omit<Wanted, 'tool'>) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'gateways', gateway, 'preview', app, 'schemas'],
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/workspaces/{workspace}/gateways/{gateway}/preview', {
          params: { path: { workspace, gateway }, query: { app, schemas: true } },
          signal,
        }),
      ),
    // Each look asks servers and is recorded.
    staleTime: 30_000,
    enabled: gateway !== '' && app !== '',
    retry: false,
  });
}

/** The request. */
export function requestOf(wanted: Wanted, args: Record<string, unknown>) {
  const { workspace, gateway, app, tool } = wanted;
  return callOf(
    'post',
    '/api/v1/workspaces/{workspace}/gateways/{gateway}/calls',
    { workspace, gateway },
    // The description of the API says of them that they are an object, and no more.
    { app, tool, arguments: args as Record<string, never> },
  );
}

/** The same from a command line. */
export function commandOf(wanted: Wanted, args: Record<string, unknown>): string {
  const { gateway, app, tool } = wanted;
  const has = Object.keys(args).length > 0;
  return command(['call', gateway, tool], {
    app,
    ...(has && { 'json-args': JSON.stringify(args) }),
  });
}

/** Once, also where the answer is lost on the way: what it does is not done again. */
export function callTool(wanted: Wanted, args: Record<string, unknown>): Promise<Told> {
  return send(requestOf(wanted, args), undefined, freshKey()) as Promise<Told>;
}
