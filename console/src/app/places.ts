/**
 * The rooms of the house. Navigation, palette, shortcuts and their help are all made from this one
 * table, so a room that is not here cannot be found, and one that is here cannot be forgotten.
 */
import type { Schemas } from '@/api/client';
import type { Many } from '@/features/objects/nouns';
import { ApprovalsIcon, GatewayIcon, LimitIcon, RecordsIcon, ServerIcon } from '@/ui/icons';

export type Capability = Schemas['Capability'];

export const GROUPS = ['Traffic', 'Access', 'Policy', 'System'] as const;

interface Room {
  name: string;
  to: `/workspaces/$workspace/${string}`;
  group: (typeof GROUPS)[number];
  icon: typeof ServerIcon;
  /** After `g`. */
  key: string;
  /** What one must hold to see anything there; absent where everybody may ask. */
  capability?: Capability;
  /** A list that may hold something for whoever does not hold the capability in all of it. */
  list?: Many;
}

export const PLACES = [
  {
    name: 'Servers',
    to: '/workspaces/$workspace/servers',
    group: 'Traffic',
    icon: ServerIcon,
    key: 's',
    capability: 'servers:read',
    list: 'servers',
  },
  {
    name: 'Gateways',
    to: '/workspaces/$workspace/gateways',
    group: 'Traffic',
    icon: GatewayIcon,
    key: 'g',
    capability: 'gateways:read',
    list: 'gateways',
  },
  {
    name: 'Records',
    to: '/workspaces/$workspace/records',
    group: 'Traffic',
    icon: RecordsIcon,
    key: 'r',
    capability: 'records:read',
  },
  {
    name: 'Limits',
    to: '/workspaces/$workspace/limits',
    group: 'Policy',
    icon: LimitIcon,
    key: 'l',
    capability: 'limits:read',
  },
  {
    name: 'Approvals',
    to: '/workspaces/$workspace/pins',
    group: 'Policy',
    icon: ApprovalsIcon,
    key: 'a',
    capability: 'pins:read',
  },
] as const satisfies Room[];

/** One of them: its address is known to the router. */
export interface Place extends Room {
  to: (typeof PLACES)[number]['to'];
}
