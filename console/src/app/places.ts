/**
 * The rooms of the house. Navigation, palette, shortcuts and their help are all made from this one
 * table, so a room that is not here cannot be found, and one that is here cannot be forgotten.
 */
import type { Schemas } from '@/api/client';
import type { Many } from '@/features/objects/nouns';
import {
  AccountIcon,
  ApprovalsIcon,
  BotIcon,
  ChartIcon,
  GatewayIcon,
  GrantIcon,
  KeyIcon,
  LimitIcon,
  OverviewIcon,
  PersonIcon,
  PlayIcon,
  PlugIcon,
  PolicyIcon,
  PowerIcon,
  QuestionIcon,
  RecordsIcon,
  ReplicaIcon,
  RoleIcon,
  ServerIcon,
  SlidersIcon,
  TeamIcon,
} from '@/ui/icons';

export type Capability = Schemas['Capability'];

export const GROUPS = ['Yours', 'Traffic', 'Access', 'Policy', 'System'] as const;

interface Room {
  name: string;
  to: `/workspaces/$workspace/${string}`;
  group: (typeof GROUPS)[number];
  icon: typeof ServerIcon;
  /** After `g`. */
  key: string;
  /**
   * Whose it is, where no capability in the workspace says so: a user's own, for those to whom any role is
   * granted, or for those above all workspaces, where no role reaches.
   */
  isFor?: 'user' | 'administrator' | 'installation';
  /** What one must hold to see anything there; absent where everybody may ask. */
  capability?: Capability;
  /** A list that may hold something for whoever does not hold the capability in all of it. */
  list?: Many;
}

export const PLACES = [
  {
    name: 'You',
    to: '/workspaces/$workspace/me',
    group: 'Yours',
    icon: AccountIcon,
    key: 'y',
    isFor: 'user',
  },
  {
    name: 'Overview',
    to: '/workspaces/$workspace/overview',
    group: 'Traffic',
    icon: OverviewIcon,
    key: 'h',
    isFor: 'administrator',
  },
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
    name: 'Connect',
    to: '/workspaces/$workspace/connect',
    group: 'Traffic',
    icon: PlugIcon,
    key: 'k',
    capability: 'gateways:read',
    list: 'gateways',
  },
  {
    name: 'Playground',
    to: '/workspaces/$workspace/playground',
    group: 'Traffic',
    icon: PlayIcon,
    key: 'y',
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
    name: 'Charts',
    to: '/workspaces/$workspace/charts',
    group: 'Traffic',
    icon: ChartIcon,
    key: 'm',
    capability: 'records:read',
  },
  {
    name: 'Users',
    to: '/workspaces/$workspace/users',
    group: 'Access',
    icon: PersonIcon,
    key: 'u',
    capability: 'people:read',
    list: 'users',
  },
  {
    name: 'Teams',
    to: '/workspaces/$workspace/teams',
    group: 'Access',
    icon: TeamIcon,
    key: 't',
    capability: 'people:read',
    list: 'teams',
  },
  {
    name: 'Apps',
    to: '/workspaces/$workspace/apps',
    group: 'Access',
    icon: BotIcon,
    key: 'b',
    capability: 'apps:read',
    list: 'apps',
  },
  {
    name: 'Identities',
    to: '/workspaces/$workspace/identities',
    group: 'Access',
    icon: KeyIcon,
    key: 'i',
    capability: 'identities:read',
    list: 'identities',
  },
  {
    name: 'Roles',
    to: '/workspaces/$workspace/roles',
    group: 'Access',
    icon: RoleIcon,
    key: 'o',
    capability: 'roles:read',
  },
  {
    name: 'Role grants',
    to: '/workspaces/$workspace/role-grants',
    group: 'Access',
    icon: GrantIcon,
    key: 'e',
    capability: 'roles:read',
    list: 'role-grants',
  },
  {
    name: 'Why',
    to: '/workspaces/$workspace/why',
    group: 'Access',
    icon: QuestionIcon,
    key: 'w',
  },
  {
    name: 'Policies',
    to: '/workspaces/$workspace/policies',
    group: 'Policy',
    icon: PolicyIcon,
    key: 'p',
    capability: 'policies:read',
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
  {
    name: 'Cut-offs',
    to: '/workspaces/$workspace/cutoffs',
    group: 'System',
    icon: PowerIcon,
    key: 'c',
    // Those who may turn off one thing only find it here, too.
    isFor: 'administrator',
  },
  {
    name: 'Replicas',
    to: '/workspaces/$workspace/replicas',
    group: 'System',
    icon: ReplicaIcon,
    key: 'n',
    isFor: 'installation',
  },
  {
    name: 'Settings',
    to: '/workspaces/$workspace/settings',
    group: 'System',
    icon: SlidersIcon,
    key: 'x',
    // Everybody in a workspace may see what holds for it.
  },
] as const satisfies Room[];

/** One of them: its address is known to the router. */
export interface Place extends Room {
  to: (typeof PLACES)[number]['to'];
}
