import { queryOptions } from '@tanstack/react-query';

import { api, everyPage, type Schemas, take } from '@/api/client';
import { listing } from '@/api/listing';

export type Assignment = Schemas['AssignmentBody'];
export type Connection = Schemas['ConnectionBody'];
export type Gateway = Schemas['GatewayBody'];
export type Preview = Schemas['PreviewBody'];
export type Provision = Schemas['ProvisionText'];
export type Rule = Schemas['RuleBody'];

export function gatewaysQuery(workspace: string) {
  return listing<Gateway>(['workspace', workspace, 'gateways'], (query, signal) =>
    api.GET('/api/v1/workspaces/{workspace}/gateways', {
      params: { path: { workspace }, query },
      signal,
    }),
  );
}

export function assignmentsQuery(workspace: string, gateway: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'gateways', gateway, 'assignments'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(
          api.GET('/api/v1/workspaces/{workspace}/gateways/{gateway}/assignments', {
            params: { path: { workspace, gateway }, query },
            signal,
          }),
        ),
      ),
  });
}

export function rulesQuery(workspace: string, gateway: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'gateways', gateway, 'rules'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(
          api.GET('/api/v1/workspaces/{workspace}/gateways/{gateway}/rules', {
            params: { path: { workspace, gateway }, query },
            signal,
          }),
        ),
      ),
  });
}

/** Of all gateways: who is connected to what. */
export function connectionsQuery(workspace: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'connections'],
    queryFn: ({ signal }) =>
      everyPage((query) =>
        take(
          api.GET('/api/v1/workspaces/{workspace}/connections', {
            params: { path: { workspace }, query },
            signal,
          }),
        ),
      ),
  });
}

/** What a server offers, by the member of an assignment. */
export type Offers = 'tools' | 'prompts' | 'resources';

/** What a client of somebody is shown. That one has looked is recorded. */
export function previewQuery(workspace: string, gateway: string, app: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'gateways', gateway, 'preview', app],
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/workspaces/{workspace}/gateways/{gateway}/preview', {
          params: { path: { workspace, gateway }, query: { app } },
          signal,
        }),
      ),
    // Each look asks servers and is recorded.
    staleTime: 30_000,
    enabled: app !== '',
  });
}
